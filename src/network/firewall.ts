/**
 * The one nftables table of ours, as libnftables JSON (libnftables-json(5)). It is replaced whole in one
 * transaction; nobody else's rules are touched.
 */
import { isIpv4, type Prefix } from '../model/address.js';
import { type FirewallItem, type OutsidePortItem, sameItem } from '../model/item.js';
import { DIRECT_PORT, TUNNEL_FWMARK, TUNNEL_PORT } from '../model/names.js';
import { OVERLAY } from '../model/overlay.js';
import { INSIDE_SET, OUTSIDE_MAP, outsideElements, outsidePortChange } from './outside-ports.js';
import { BUSY_SET, busySet, notProbes, remember } from './traffic.js';

const FAMILY = 'ip';
const TABLE = 'corax';

/** After the host's own filter has judged the packet (0), and before conntrack confirms it: conntrack keeps 4500. */
const PRIORITY_IN = 200;
/** Before conntrack (−300, −200), which so sees one port and one flow a remote. */
const PRIORITY_OUT = -310;
/** With conntrack's own raw priority, where notrack counts. */
const PRIORITY_RAW = -300;
/** With iptables' mangle. */
const PRIORITY_MANGLE = -150;
/** After all NAT: nobody looks at the mark any more. */
const PRIORITY_LAST = 110;
/** Before a CNI's masquerade at srcnat (100): the first NAT rule that matches a flow is its last. */
const PRIORITY_SNAT = 90;

type Json = Readonly<Record<string, unknown>>;

/** @param outside what stands in the table and is to stand in the new one */
export function firewallTransaction(item: FirewallItem, outside: Iterable<OutsidePortItem> = []): string {
  const commands: Json[] = [...removal(), add('table', {}, true)];
  commands.push(...identityNat(item));
  if (item.relays !== null) commands.push(...portRewriting(item, outside));
  const [relayDevice] = item.devices;
  if (item.relaying && relayDevice !== undefined) commands.push(...relaying(item, relayDevice));
  if (item.overlay !== null) commands.push(...overlayRules(item, item.overlay), ...passing(item, item.overlay));
  if (item.watchesTraffic) commands.push(...watching(item.devices));
  return JSON.stringify({ nftables: commands });
}

/** Null where more differs than the own subnets. A failure leaves all as it was. */
export function firewallUpdate(present: FirewallItem, item: FirewallItem): string | null {
  const [before, after] = [present, item].map((it) => it.localSubnets.filter(isIpv4));
  if (before === undefined || after === undefined || before.length === 0 || after.length === 0) return null;
  if (!sameItem({ ...present, localSubnets: item.localSubnets }, item)) return null;
  const elements = (op: 'add' | 'delete', subnets: readonly Prefix[]): Json[] =>
    subnets.length === 0
      ? []
      : [{ [op]: { element: { family: FAMILY, table: TABLE, name: 'local', elem: subnets.map(prefix) } } }];
  const [old, now] = [new Set(before), new Set(after)];
  const gone = before.filter((subnet) => !now.has(subnet));
  const come = after.filter((subnet) => !old.has(subnet));
  // Deleted first: one that comes may hold one that goes.
  return JSON.stringify({ nftables: [...elements('delete', gone), ...elements('add', come)] });
}

/** One element more or less in both; an error where there is no table, or no port rewriting in it. */
export function outsidePortUpdate(op: 'add' | 'delete', item: OutsidePortItem): string {
  return JSON.stringify({ nftables: outsidePortChange(op, { family: FAMILY, table: TABLE }, [item]) });
}

/** Asks for the outside ports; an error where there are none. */
export function outsidePortQuery(): string {
  return JSON.stringify({ nftables: [{ list: { map: { family: FAMILY, table: TABLE, name: OUTSIDE_MAP } } }] });
}

/** Asks for whom there is traffic with; an error where nobody watches. */
export function busyQuery(): string {
  return JSON.stringify({ nftables: [{ list: { set: { family: FAMILY, table: TABLE, name: BUSY_SET } } }] });
}

/** Asks for the table; an error where there is none. */
export function firewallQuery(): string {
  return JSON.stringify({ nftables: [{ list: { table: { family: FAMILY, name: TABLE } } }] });
}

/** Does the answer to {@link firewallQuery} have as many chains and rules as the transaction made? */
export function firewallMatches(answer: string, item: FirewallItem): boolean {
  const count = (kind: string, objects: readonly Json[]) => objects.filter((object) => kind in object).length;
  const { nftables: present } = JSON.parse(answer) as { nftables: Json[] };
  const { nftables: commands } = JSON.parse(firewallTransaction(item)) as { nftables: { add?: Json }[] };
  const wanted = commands.map((command) => command.add ?? {});
  return ['chain', 'rule'].every((kind) => count(kind, present) === count(kind, wanted));
}

/** Removes the table, whether it is there or not. */
export function firewallRemoval(): string {
  return JSON.stringify({ nftables: removal() });
}

function removal(): Json[] {
  // Adding a table that exists is no error, and deleting one that does not is: so add first.
  return [add('table', {}, true), { delete: { table: { family: FAMILY, name: TABLE } } }];
}

/**
 * Port 4500 outside, two devices inside; towards some another port outside, for the direct device alone. Stateless: it leaves
 * no trace, whoever spoke first.
 */
function portRewriting(item: FirewallItem, outsidePorts: Iterable<OutsidePortItem>): Json[] {
  // The table is IPv4's, and one address of another kind would have the whole of it refused.
  const elements = (item.relays ?? []).filter(({ ip }) => isIpv4(ip)).map(({ ip, port }) => ({ concat: [ip, port] }));
  const others = set(item.devices);
  const place = ['ipv4_addr', 'inet_service'];
  const { outside, inside } = outsideElements(outsidePorts);
  const elem = (list: readonly Json[]) => (list.length === 0 ? {} : { elem: list });
  return [
    add('map', { name: OUTSIDE_MAP, type: place, map: 'inet_service', ...elem(outside) }),
    add('set', { name: INSIDE_SET, type: [...place, 'inet_service'], ...elem(inside) }),
    add('set', {
      name: 'relays',
      type: ['ipv4_addr', 'inet_service'],
      ...elem(elements),
    }),
    chain('in', { type: 'filter', hook: 'input', prio: PRIORITY_IN }),
    rule('in', [
      match(meta('iifname'), '!=', others),
      match({ concat: [field('ip', 'saddr'), field('udp', 'sport'), field('udp', 'dport')] }, '==', `@${INSIDE_SET}`),
      { mangle: { key: field('udp', 'dport'), value: DIRECT_PORT } },
    ]),
    rule('in', [
      match(meta('iifname'), '!=', others),
      match(field('udp', 'dport'), '==', TUNNEL_PORT),
      match({ concat: [field('ip', 'saddr'), field('udp', 'sport')] }, '!=', '@relays'),
      { mangle: { key: field('udp', 'dport'), value: DIRECT_PORT } },
    ]),
    chain('out', { type: 'filter', hook: 'output', prio: PRIORITY_OUT }),
    // Where the map has nothing the rule ends, and the next one counts; where it has, that one finds another port.
    rule('out', [
      match(meta('mark'), '==', TUNNEL_FWMARK),
      match(field('udp', 'sport'), '==', DIRECT_PORT),
      {
        mangle: {
          key: field('udp', 'sport'),
          value: { map: { key: { concat: [field('ip', 'daddr'), field('udp', 'dport')] }, data: `@${OUTSIDE_MAP}` } },
        },
      },
    ]),
    rule('out', [
      match(meta('mark'), '==', TUNNEL_FWMARK),
      match(field('udp', 'sport'), '==', DIRECT_PORT),
      { mangle: { key: field('udp', 'sport'), value: TUNNEL_PORT } },
    ]),
  ];
}

/**
 * Pod traffic into a tunnel is mapped to itself: no later chain masquerades it then. A masqueraded flow would
 * come from an address that the other end does not accept, and die when its path changes.
 */
function identityNat(item: FirewallItem): Json[] {
  const local = item.localSubnets.filter(isIpv4);
  if (local.length === 0) return [];
  return [
    add('set', { name: 'local', type: 'ipv4_addr', flags: ['interval'], elem: local.map(prefix) }),
    chain('post', { type: 'nat', hook: 'postrouting', prio: PRIORITY_SNAT }),
    ...goesIn(item).map((goes) =>
      rule('post', [goes, match(field('ip', 'saddr'), '==', '@local'), { snat: { addr: field('ip', 'saddr') } }]),
    ),
  ];
}

/**
 * By policy a packet leaves for the tunnel by the underlay's device, and says so itself; before there is an SA by ours,
 * which drops it: a flow keeps what its first packet was given.
 */
function goesIn({ devices, byPolicy }: FirewallItem): Json[] {
  const byDevice = match(meta('oifname'), '==', set(devices));
  return byPolicy ? [byDevice, match({ rt: { key: 'ipsec' } }, '==', true)] : [byDevice];
}

/** Came out of the tunnel: what was decrypted has the device that it was encrypted on. */
function cameOut({ byPolicy }: FirewallItem, devices: readonly string[]): Json {
  return byPolicy ? match(meta('ipsec'), '==', true) : match(meta('iifname'), '==', set(devices));
}

/**
 * For the nodes of the own gateway. On the gateway node what comes out of a tunnel is marked, so that it is routed by the
 * overlay's table, and leaves for a member with the source that it came with. VXLAN routes its outer packet by the mark of
 * the inner one: it is taken off. On a member only pods have addresses that the other end accepts.
 */
function overlayRules(item: FirewallItem, overlay: NonNullable<FirewallItem['overlay']>): Json[] {
  const { device, marks, handover, source } = overlay;
  const leaving = match(meta('oifname'), '==', device);
  const rules = [
    chain('unmark', { type: 'filter', hook: 'postrouting', prio: PRIORITY_LAST }),
    rule('unmark', [leaving, { mangle: { key: meta('mark'), value: 0 } }]),
    chain('sources', { type: 'nat', hook: 'postrouting', prio: PRIORITY_SNAT + 1 }),
  ];
  if (marks.length > 0) {
    const mark = (from: Json, value: number) => rule('mark', [from, { mangle: { key: meta('mark'), value } }]);
    rules.push(
      chain('mark', { type: 'filter', hook: 'prerouting', prio: PRIORITY_MANGLE }),
      mark(cameOut(item, marks), OVERLAY.mark),
      ...(handover === 'former' ? [mark(match(meta('iifname'), '==', device), OVERLAY.onwardMark)] : []),
      rule('sources', [leaving, { snat: { addr: field('ip', 'saddr') } }]),
    );
  } else if (source !== null) rules.push(rule('sources', [leaving, { snat: { addr: source } }]));
  return rules;
}

function prefix(text: Prefix): Json {
  const [addr, len] = text.split('/');
  return { prefix: { addr, len: Number(len) } };
}

/**
 * While two edges' paths differ a relay sees half of each flow. Tracked, that half turns INVALID, and
 * kube-proxy drops it.
 */
function relaying(item: FirewallItem, device: string): Json[] {
  return [
    chain('relaying', { type: 'filter', hook: 'prerouting', prio: PRIORITY_RAW }),
    rule('relaying', [
      cameOut(item, [device]),
      match({ fib: { result: 'oifname', flags: ['daddr'] } }, '==', device),
      { notrack: null },
    ]),
  ];
}

/** Both ways: where one end only sends, the other has to open its direct plane too. */
function watching(devices: readonly string[]): Json[] {
  return [
    add('set', busySet),
    chain('going', { type: 'filter', hook: 'postrouting', prio: PRIORITY_LAST }),
    rule('going', notProbes),
    rule('going', [match(meta('oifname'), '==', set(devices)), remember('daddr')]),
    chain('coming', { type: 'filter', hook: 'prerouting', prio: PRIORITY_MANGLE }),
    rule('coming', notProbes),
    rule('coming', [match(meta('iifname'), '==', set(devices)), remember('saddr')]),
  ];
}

/**
 * While the tunnel changes hands a node sees half of what it passes on for others: on a member that is the next to have the
 * tunnel, before it knows, and on both nodes then; on a relay that of remotes too.
 */
function passing(item: FirewallItem, { device, marks, handover }: NonNullable<FirewallItem['overlay']>): Json[] {
  const isMember = marks.length === 0;
  if (!isMember && handover === null) return [];
  const iif = meta('iifname');
  const oif = { fib: { result: 'oifname', flags: ['daddr'] } };
  const commands = [
    chain('passing', { type: 'filter', hook: 'prerouting', prio: PRIORITY_RAW }),
    rule('passing', [match(iif, '==', device), match(oif, '==', device), { notrack: null }]),
  ];
  if (!item.relaying || !item.localSubnets.some(isIpv4)) return commands;
  const others = [field('ip', 'saddr'), field('ip', 'daddr')].map((end) => match(end, '!=', '@local'));
  return [...commands, rule('passing', [match(iif, '==', set([...marks, device])), ...others, { notrack: null }])];
}

function add(what: string, body: Json, named = false): Json {
  return { add: { [what]: { family: FAMILY, ...(named ? { name: TABLE } : { table: TABLE }), ...body } } };
}

function chain(name: string, hook: Json): Json {
  return add('chain', { name, ...hook, policy: 'accept' });
}

function rule(name: string, expr: readonly Json[]): Json {
  return add('rule', { chain: name, expr });
}

function match(left: Json, op: '==' | '!=', right: unknown): Json {
  return { match: { left, op, right } };
}

function field(protocol: string, name: string): Json {
  return { payload: { protocol, field: name } };
}

function meta(key: string): Json {
  return { meta: { key } };
}

function set(members: readonly string[]): unknown {
  return members.length === 1 ? members[0] : { set: members };
}
