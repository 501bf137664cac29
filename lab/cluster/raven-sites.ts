/** Gateways as raven-agent reads and writes them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { writeGatewayFile } from '../gateways.js';
import type { Lab } from '../lab.js';
import type { LabNode } from '../node.js';

interface Endpoint {
  readonly nodeName: string;
  readonly underNAT?: boolean;
  publicIP?: string;
  publicPort?: number;
  natType?: string;
  config?: Record<string, string>;
}

export interface RavenSite {
  readonly name: string;
  readonly active: Endpoint;
  readonly nodes: ReadonlyArray<{ readonly nodeName: string; readonly privateIP: string; readonly subnets: string[] }>;
  readonly subnets: readonly string[];
}

/** Those that have an active endpoint. */
export function sitesOf({ gateways }: Lab): RavenSite[] {
  return readdirSync(gateways)
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file): RavenSite[] => {
      const { metadata, spec, status } = parse(readFileSync(join(gateways, file), 'utf8'));
      const name: string | undefined = status.activeEndpoints[0]?.nodeName;
      const active = (spec.endpoints as Endpoint[]).find((endpoint) => endpoint.nodeName === name);
      const subnets = status.nodes.flatMap((node: { subnets: string[] }) => node.subnets);
      return active === undefined ? [] : [{ name: metadata.name, active, nodes: status.nodes, subnets }];
    });
}

/** Writes NAT type and public address into the node's endpoint, and `config` with no other keys than raven's. */
export function announce({ gateways }: Lab, node: LabNode, natType: string, config: Record<string, string>): void {
  const { gateway, publicAddress, name } = node.plan;
  const file = `${gateway}.yaml`;
  const object = parse(readFileSync(join(gateways, file), 'utf8'));
  for (const endpoint of object.spec.endpoints as Endpoint[]) {
    if (endpoint.nodeName !== name) continue;
    Object.assign(endpoint, { natType, publicIP: publicAddress, publicPort: 4500, config });
  }
  writeGatewayFile(gateways, file, stringify(object, { aliasDuplicateObjects: false }));
}
