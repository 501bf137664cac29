/** What the controller reads of a Node. Whoever holds a kubelet's credentials may have written its status. */
import * as z from 'zod';
import { type Ip, type Prefix, parseIp, parsePrefix } from '../model/address.js';
import { isDnsName } from '../model/gateway.js';
import { printable, quote } from '../model/quote.js';
import type { Labels } from './selector.js';

export interface SeenNode {
  readonly name: string;
  readonly labels: Labels;
  /** The first InternalIP; null where there is none: such a node is no part of a site yet. */
  readonly privateIp: Ip | null;
  readonly subnets: readonly Prefix[];
  /** Condition Ready is True. */
  readonly ready: boolean;
}

const text = z.string();
const nodeSchema = z.looseObject({
  metadata: z.looseObject({ name: text, labels: z.record(text, text).nullish() }),
  spec: z.looseObject({ podCIDR: text.nullish(), podCIDRs: z.array(text).nullish() }).nullish(),
  status: z
    .looseObject({
      addresses: z.array(z.looseObject({ type: text, address: text })).nullish(),
      conditions: z.array(z.looseObject({ type: text, status: text })).nullish(),
    })
    .nullish(),
});

/** A string: why it is not read. */
export function parseNode(object: unknown): SeenNode | string {
  const parsed = nodeSchema.safeParse(object);
  if (!parsed.success) return printable(`not a Node: ${parsed.error.issues[0]?.message ?? 'unreadable'}`);
  const { metadata, spec, status } = parsed.data;
  if (!isDnsName(metadata.name)) return `${quote(metadata.name)} is no name of a Node`;
  const internal = (status?.addresses ?? []).filter(({ type }) => type === 'InternalIP');
  const cidrs = spec?.podCIDRs?.length ? spec.podCIDRs : [spec?.podCIDR ?? ''];
  return {
    name: metadata.name,
    labels: metadata.labels ?? {},
    privateIp: first(internal, ({ address }) => parseIp(address)),
    subnets: cidrs.flatMap((cidr) => parsePrefix(cidr) ?? []),
    ready: (status?.conditions ?? []).some(({ type, status: value }) => type === 'Ready' && value === 'True'),
  };
}

function first<T, R>(list: readonly T[], parse: (item: T) => R | null): R | null {
  for (const item of list) {
    const parsed = parse(item);
    if (parsed !== null) return parsed;
  }
  return null;
}

export function sameNode(a: SeenNode, b: SeenNode): boolean {
  return (
    a.privateIp === b.privateIp &&
    a.ready === b.ready &&
    a.subnets.join() === b.subnets.join() &&
    sameLabels(a.labels, b.labels)
  );
}

function sameLabels(a: Labels, b: Labels): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}
