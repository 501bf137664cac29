/** The folder of Gateways: one YAML a gateway, as a person would write it (facts: raven's v1beta1). */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { CoraxError } from '#src/errors.js';
import type { NodePlan } from './net/plan.js';

/**
 * What a person writes about a gateway of these nodes; agents fill in the rest. The first two may hold its tunnel.
 *
 * @param active name of the node that does, null for none; the first unless given
 */
export function gatewayObject(nodes: readonly NodePlan[], active: string | null = nodes[0]?.name ?? null) {
  const [first] = nodes;
  if (first === undefined) throw new CoraxError('CORAX_LAB', 'A gateway has a node');
  const endpoints = nodes.slice(0, 2).map((node): Record<string, unknown> => {
    const endpoint = { nodeName: node.name, type: 'tunnel', port: 4500, underNAT: node.underNat };
    return first.role === 'relay' ? { ...endpoint, publicIP: node.publicAddress } : endpoint;
  });
  return {
    apiVersion: 'raven.openyurt.io/v1beta1',
    kind: 'Gateway',
    metadata: { name: first.gateway },
    spec: {
      ...(first.role === 'relay' ? { exposeType: 'PublicIP' } : {}),
      tunnelConfig: { Replicas: 1 },
      endpoints,
    },
    status: {
      nodes: nodes.map((node) => ({ nodeName: node.name, privateIP: node.privateAddress, subnets: [node.podSubnet] })),
      activeEndpoints: endpoints.filter(({ nodeName }) => nodeName === active),
    },
  };
}

/** By gateway, in the plan's order. */
export function sitesOf(nodes: readonly NodePlan[]): NodePlan[][] {
  const sites = new Map<string, NodePlan[]>();
  for (const node of nodes) sites.set(node.gateway, [...(sites.get(node.gateway) ?? []), node]);
  return [...sites.values()];
}

/** Writes (or rewrites) a file a gateway, each in one rename. */
export function writeGateways(directory: string, nodes: readonly NodePlan[]): void {
  for (const site of sitesOf(nodes)) {
    // No aliases: the endpoint stands in spec and in status, as Kubernetes would print it.
    const text = stringify(gatewayObject(site), { aliasDuplicateObjects: false });
    writeGatewayFile(directory, `${site[0]?.gateway}.yaml`, text);
  }
}

export function writeGatewayFile(directory: string, file: string, text: string): void {
  const aside = join(directory, `.${file}.${process.pid}`);
  writeFileSync(aside, text);
  renameSync(aside, join(directory, file));
}
