/** Where Gateways are in the API, and what of each object is kept beside the parsed one. */
import { GATEWAY_API_VERSION } from '../../model/gateway.js';
import type { KubeObject } from './reflector.js';

export const GATEWAYS_PATH = `/apis/${GATEWAY_API_VERSION}/gateways`;

export interface GatewayObject extends KubeObject {
  readonly spec?: { readonly endpoints?: unknown } | null;
}

/** What a patch is built on. */
export interface Known {
  readonly uid: string;
  readonly version: string;
  /** `spec.endpoints`, as the API has it. */
  readonly endpoints: unknown;
}

export function known(object: GatewayObject): Known {
  const { uid, resourceVersion } = object.metadata;
  return { uid: uid ?? '', version: resourceVersion ?? '', endpoints: object.spec?.endpoints };
}

/**
 * Is the first the later version of the two? (KEP-5504: resource versions of one collection are decimal numbers
 * and can be compared.) What cannot be compared counts as later: what comes last is believed.
 */
export function isLater(version: string, than: string): boolean {
  if (!/^\d+$/.test(version) || !/^\d+$/.test(than)) return true;
  return BigInt(version) > BigInt(than);
}

export function gatewayPath(name: string): string {
  return `${GATEWAYS_PATH}/${encodeURIComponent(name)}`;
}
