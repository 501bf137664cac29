/**
 * NATs made of nftables, one network namespace each: `wan` is the outside, `lan` the inside.
 *
 * Linux's own masquerade is endpoint-independent while ports are free, but says so only until a clash;
 * cones therefore keep explicit maps of who has which public port (facts: RFC 4787 4 and 5).
 */

export const NAT_KINDS = [
  'full-cone',
  'restricted-cone',
  'port-restricted',
  'symmetric',
  'symmetric-sequential',
  'symmetric-block',
  'symmetric-sequential-block',
  'linux',
  'udp-blocked',
  'none',
] as const;

export type NatKind = (typeof NAT_KINDS)[number];

export function isNatKind(text: string): text is NatKind {
  return (NAT_KINDS as readonly string[]).includes(text);
}

/** What a person reads. */
export const NAT_TITLES: Readonly<Record<NatKind, string>> = {
  'full-cone': 'full cone',
  'restricted-cone': 'restricted cone',
  'port-restricted': 'port-restricted cone',
  symmetric: 'symmetric',
  'symmetric-sequential': 'symmetric, sequential ports',
  'symmetric-block': "symmetric, a carrier's block of ports",
  'symmetric-sequential-block': "symmetric, sequential in a carrier's block",
  linux: "Linux's plain masquerade",
  'udp-blocked': 'UDP blocked',
  none: 'none',
};

export interface NatSettings {
  readonly kind: Exclude<NatKind, 'none'>;
  /** The address on `wan`. */
  readonly outside: string;
  /** The prefix on `lan`. */
  readonly inside: string;
  /** Public ports are taken from here, both ends included. A rebinding takes another range. */
  readonly ports: readonly [first: number, last: number];
  /** How long a mapping that nobody uses stays, in seconds; 5 minutes unless given. */
  readonly idleS?: number;
  /** Of sequential ports: how many of the first are passed over before the sequence has wrapped once. */
  readonly passedOver?: number;
  /** UDP ports that are forwarded to an inside address, whatever the kind. */
  readonly forwards: ReadonlyArray<{ readonly port: number; readonly to: string }>;
}

/** Port ranges that a NAT goes through as it is rebound. */
/** All that a NAT may give out (RFC 4787 4.3): 64,512 ports. */
export const ALL_PORTS: readonly [number, number] = [1_024, 65_535];

export const PORT_RANGES: ReadonlyArray<readonly [number, number]> = [
  [20_000, 32_999],
  [33_000, 45_999],
  [46_000, 59_999],
];

const SEQUENTIAL_PORTS = 400;
/** What a carrier's NAT gives one subscriber (RFC 7422): the first ports of the range; few, so that a sequence wraps soon. */
export const BLOCK_PORTS = { 'symmetric-block': 512, 'symmetric-sequential-block': 64 } as const;

/** A NAT that is switched off: nothing passes, so nothing that is in flight can make a mapping while rules change. */
export const NAT_OFF =
  'table ip nat\ndelete table ip nat\ntable ip nat { chain forward { type filter hook forward priority 0; drop; }; }\n';

/** The whole ruleset of a NAT, as one transaction that replaces an earlier one and forgets its mappings. */
export function natRules(settings: NatSettings, rebound = false): string {
  const { kind, outside, inside, ports, forwards, idleS = 300, passedOver = 0 } = settings;
  const [first, last] = ports;
  const range = `${first}-${last}`;
  const cone = kind === 'full-cone' || kind === 'restricted-cone' || kind === 'port-restricted';
  const fromInside = `oifname "wan" ip saddr ${inside}`;
  const lines: string[] = ['table ip nat {'];
  if (cone) {
    lines.push(
      // public port -> inside; inside -> public; public port . remote that was contacted
      `map eim { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout ${idleS}s; }`,
      `map eimout { type ipv4_addr . inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout ${idleS}s; }`,
      `set adf { type inet_service . ipv4_addr; flags dynamic,timeout; timeout ${idleS}s; }`,
    );
  }

  lines.push('chain prerouting { type nat hook prerouting priority -100;');
  for (const { port, to } of forwards) lines.push(`iifname "wan" ip daddr ${outside} udp dport ${port} dnat to ${to}`);
  if (kind === 'full-cone') lines.push('iifname "wan" meta l4proto udp dnat ip to udp dport map @eim');
  if (kind === 'restricted-cone') {
    lines.push('iifname "wan" udp dport . ip saddr @adf dnat ip to udp dport map @eim');
  }
  lines.push('}');

  lines.push('chain postrouting { type nat hook postrouting priority 100;');
  // What is forwarded in keeps its port on the way out.
  for (const { port, to } of forwards)
    lines.push(`${fromInside} ip saddr ${to} udp sport ${port} snat to ${outside}:${port}`);
  if (cone) lines.push(`${fromInside} meta l4proto udp snat ip to ip saddr . udp sport map @eimout`);
  if (cone || kind === 'symmetric') {
    lines.push(`${fromInside} meta l4proto udp snat ip to ${outside}:${range} fully-random`);
  }
  if (kind === 'symmetric-block') {
    const end = first + BLOCK_PORTS[kind] - 1;
    lines.push(`${fromInside} meta l4proto udp snat ip to ${outside}:${first}-${end} fully-random`);
  }
  if (kind === 'symmetric-sequential' || kind === 'symmetric-sequential-block') {
    const count = kind === 'symmetric-sequential' ? SEQUENTIAL_PORTS : BLOCK_PORTS[kind];
    const next = Array.from({ length: count }, (_, at) => `${at} : ${first + ((at + passedOver) % count)}`).join(', ');
    lines.push(`${fromInside} meta l4proto udp snat ip to ${outside} : numgen inc mod ${count} map { ${next} }`);
  }
  // Linux keeps a port while it can, so a rebinding has to name others.
  if (kind === 'linux' && rebound) lines.push(`${fromInside} meta l4proto udp masquerade to :${range}`);
  lines.push(`${fromInside} masquerade`, '}');

  if (cone) {
    // Only what this ruleset gave out: a flow from before a rebinding must not teach it the old port.
    const learn = `meta l4proto udp ct direction original ct original ip saddr ${inside} ct reply ip daddr ${outside} ct reply proto-dst ${range}`;
    lines.push(
      'chain learn { type filter hook postrouting priority 150;',
      `${learn} update @eimout { ct original ip saddr . ct original proto-src : ct reply ip daddr . ct reply proto-dst }`,
      `${learn} update @eim { ct reply proto-dst : ct original ip saddr . ct original proto-src }`,
      `${learn} update @adf { ct reply proto-dst . ip daddr }`,
      '}',
    );
  }
  if (kind !== 'linux') {
    lines.push('chain input { type filter hook input priority 0; iifname "wan" ct state new drop; }');
  }
  if (kind === 'udp-blocked') {
    lines.push('chain forward { type filter hook forward priority 0; meta l4proto udp drop; }');
  }
  lines.push('}');
  return `table ip nat\ndelete table ip nat\n${lines.join('\n')}\n`;
}
