/** The folder of Gateways: one YAML a gateway, as a person would write it (facts: raven's v1beta1). */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { NodePlan } from './net/plan.js';

/** What a person writes about a gateway with one node; agents fill in the rest. */
export function gatewayObject(node: NodePlan): Record<string, unknown> {
  const endpoint: Record<string, unknown> = {
    nodeName: node.name,
    type: 'tunnel',
    port: 4500,
    underNAT: node.underNat,
  };
  if (node.role === 'relay') endpoint.publicIP = node.publicAddress;
  return {
    apiVersion: 'raven.openyurt.io/v1beta1',
    kind: 'Gateway',
    metadata: { name: node.gateway },
    spec: {
      ...(node.role === 'relay' ? { exposeType: 'PublicIP' } : {}),
      tunnelConfig: { Replicas: 1 },
      endpoints: [endpoint],
    },
    status: {
      nodes: [{ nodeName: node.name, privateIP: node.address, subnets: [node.podSubnet] }],
      activeEndpoints: [endpoint],
    },
  };
}

/** Writes (or rewrites) a file a gateway, each in one rename. */
export function writeGateways(directory: string, nodes: readonly NodePlan[]): void {
  for (const node of nodes) {
    // No aliases: the endpoint stands in spec and in status, as Kubernetes would print it.
    writeGatewayFile(
      directory,
      `${node.gateway}.yaml`,
      stringify(gatewayObject(node), { aliasDuplicateObjects: false }),
    );
  }
}

export function writeGatewayFile(directory: string, file: string, text: string): void {
  const aside = join(directory, `.${file}.${process.pid}`);
  writeFileSync(aside, text);
  renameSync(aside, join(directory, file));
}
