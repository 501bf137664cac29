/**
 * The status of one gateway: its nodes, and who holds its tunnel. Pure; the time is told.
 *
 * Whoever holds it keeps it while its node is Ready, and for a short grace after that: a kubelet that was
 * late once moves no tunnel. A node that comes back takes nothing back. Where nobody else could take over,
 * the holder keeps it, Ready or not: a site that is cut off from the API may well reach the other sites, and
 * dropping it would only break what works. (yurt-manager drops it.)
 */
import type { EndpointObject, SiteNodeObject, StatusObject } from '../model/resource.js';
import type { SeenNode } from './node.js';
import type { SiteSpec } from './site.js';

export interface Election {
  readonly status: Status;
  /** Unix or monotonic milliseconds, as `now` is: the same question then may have another answer. */
  readonly askAgain: number | null;
  /** Nodes of the gateway that are not in the status, and why. */
  readonly leftOut: readonly string[];
}

export interface Status {
  readonly nodes: readonly SiteNodeObject[];
  /** As spec has them: the holders in the order in which they took over, the first carries. */
  readonly activeEndpoints: readonly EndpointObject[];
}

/**
 * @param nodes the gateway's, by name in byte order
 * @param unreadySince since when a node is not Ready; nothing for one that is
 */
export function elect(
  site: SiteSpec,
  nodes: readonly SeenNode[],
  unreadySince: ReadonlyMap<string, number>,
  now: number,
  graceMs: number,
): Election {
  const members = new Map(nodes.map((node) => [node.name, node]));
  const able = site.endpoints.filter(({ nodeName }) => members.has(nodeName));
  const byName = new Map(able.map((endpoint) => [endpoint.nodeName, endpoint]));
  const isReady = (name: string) => members.get(name)?.ready === true;
  const held = [...new Set((site.status?.activeEndpoints ?? []).filter(isTunnel).map(({ nodeName }) => nodeName))];
  const holders = held.filter((name) => byName.has(name));

  const graceEnds = (name: string) => (unreadySince.get(name) ?? now) + graceMs;
  const inGrace = holders.filter((name) => !isReady(name) && graceEnds(name) > now);
  const kept = holders.filter((name) => isReady(name) || inGrace.includes(name)).slice(0, site.replicas);
  const fresh = [...byName.keys()].filter((name) => isReady(name) && !kept.includes(name)).sort();
  const chosen = [...kept, ...fresh].slice(0, site.replicas);
  // Who lost it and has no successor keeps it
  for (const name of holders) if (chosen.length < site.replicas && !chosen.includes(name)) chosen.push(name);

  const waiting = inGrace.filter((name) => chosen.includes(name)).map(graceEnds);
  return {
    status: {
      nodes: nodes.flatMap((node) => entryOf(node) ?? []),
      activeEndpoints: chosen.flatMap((name) => byName.get(name) ?? []),
    },
    askAgain: waiting.length === 0 ? null : Math.min(...waiting),
    leftOut: nodes.filter((node) => entryOf(node) === null).map(({ name }) => `${name} has no InternalIP`),
  };
}

function isTunnel({ type }: EndpointObject): boolean {
  return type === 'tunnel';
}

function entryOf({ name, privateIp, subnets }: SeenNode): SiteNodeObject | null {
  return privateIp === null ? null : { nodeName: name, privateIP: privateIp, subnets: [...subnets] };
}

/** Why a node that carried does so no more, for a person. */
export function whyLost(site: SiteSpec, nodes: readonly SeenNode[], name: string): string {
  const node = nodes.find((each) => each.name === name);
  if (!site.endpoints.some(({ nodeName }) => nodeName === name)) return `${name} is no tunnel endpoint any more`;
  if (node === undefined) return `${name} is no node of the gateway any more`;
  return node.ready ? `spec.tunnelConfig.Replicas is ${site.replicas}` : `${name} is not Ready`;
}

/** What keeps `present` from being `wanted`. */
export type Difference =
  | 'none'
  /** Only what endpoints say of themselves, which agents read from spec: no hurry. */
  | 'copies'
  | 'real';

export function compareStatus(present: StatusObject | null, wanted: Status): Difference {
  if (present === null) return 'real';
  const nodes = present.nodes ?? [];
  const active = present.activeEndpoints;
  // No list and an empty one are not the same to the agents: without one the first endpoint is active
  if (!active || !sameList(nodes, wanted.nodes, sameEntry)) return 'real';
  if (!sameList(active, wanted.activeEndpoints, sameIdentity)) return 'real';
  return sameList(active, wanted.activeEndpoints, sameJson) ? 'none' : 'copies';
}

function sameList<A, B>(a: readonly A[], b: readonly B[], same: (a: A, b: B) => boolean): boolean {
  return a.length === b.length && a.every((item, index) => same(item, b[index] as B));
}

function sameEntry(a: SiteNodeObject, b: SiteNodeObject): boolean {
  const subnets = (entry: SiteNodeObject) => (entry.subnets ?? []).join();
  return a.nodeName === b.nodeName && a.privateIP === b.privateIP && subnets(a) === subnets(b);
}

function sameIdentity(a: EndpointObject, b: EndpointObject): boolean {
  return a.nodeName === b.nodeName && a.type === b.type;
}

/** Whatever the order of keys; nothing, null and an absent key are one. */
function sameJson(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return (a ?? null) === (b ?? null);
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].every((key) => sameJson(left[key], right[key]));
}
