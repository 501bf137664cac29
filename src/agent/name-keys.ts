/** Libreswan's ends have no keys: what tells them is their node's name, in a key's form. */
import { createHash } from 'node:crypto';
import type { Gateway } from '../model/gateway.js';
import type { PublicKey } from '../model/key.js';

/** The same for the name everywhere. */
export function keyOfName(node: string): PublicKey {
  return createHash('sha256').update(`corax node ${node}`).digest('base64') as PublicKey;
}

export function keyedByName(gateway: Gateway): Gateway {
  const endpoints = gateway.endpoints.map((endpoint) => ({ ...endpoint, publicKey: keyOfName(endpoint.nodeName) }));
  const active = endpoints.find(({ nodeName }) => nodeName === gateway.active?.nodeName) ?? null;
  return { ...gateway, endpoints, active };
}
