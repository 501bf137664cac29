/** A NAT report for a person. */
import { formatHostPort } from '../model/address.js';
import type { NatReport, StunServerOutcome } from '../model/nat.js';
import type { NatProfile } from '../model/nat-profile.js';
import { poolingWords, portWords } from '../model/profile-words.js';

/**
 * Several lines, the last one ended too: what was found, and what it means for going direct. `untapped`: why this
 * node's own firewall may have kept answers away (it is said where that would matter); null where it cannot have.
 */
export function formatReport(
  report: NatReport,
  untapped: string | null = null,
  profile: NatProfile | null = null,
): string {
  const rows: Array<[string, string]> = [
    ['NAT', natWords(report)],
    ['Mapping', report.mapping ?? (report.type === 'Symmetric NAT' ? VARIES : 'unknown')],
    ['Filtering', filteringWords(report)],
    ...profileRows(profile),
    ['Seen as', seenWords(report)],
    ['Found by', methodWords(report)],
    ...report.servers.map((server, index): [string, string] => [index === 0 ? 'STUN' : '', serverWords(server)]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  const lines = rows.map(([name, words]) => `${name.padEnd(width)}${words}`.trimEnd());
  const doubt = untapped !== null && mayBeHidden(report) ? [`${DOUBT}: ${untapped}.`] : [];
  return `${[...lines, '', meaningOf(report), ...doubt].join('\n')}\n`;
}

function profileRows(profile: NatProfile | null): Array<[string, string]> {
  if (profile === null) return [];
  return [
    ['Ports', portWords(profile)],
    ['Addresses', poolingWords(profile)],
  ];
}

const VARIES = 'address-dependent or address-and-port-dependent (these servers cannot tell which)';

const DOUBT = "This machine's own firewall may hide the NAT's filtering";

/** Answers that did come in were hidden by nobody. */
function mayBeHidden({ filtering }: NatReport): boolean {
  return filtering !== null && filtering !== 'endpoint-independent';
}

function natWords({ type, underNat, udpBlocked, mapping }: NatReport): string {
  if (udpBlocked) return 'unknown: UDP is blocked';
  if (type === null) return 'unknown: no STUN server could be asked';
  if (underNat === false) return 'none';
  return mapping === null && type === 'Undefined' ? 'there is one, of unknown type' : type;
}

function filteringWords({ filtering, type, mapping }: NatReport): string {
  if (filtering !== null) return filtering;
  const counts = type !== null && mapping === 'endpoint-independent';
  return counts ? 'unknown, counts as address-and-port-dependent' : 'unknown';
}

function seenWords({ publicAddress }: NatReport): string {
  return publicAddress === null
    ? 'unknown'
    : `${formatHostPort(publicAddress)} (this probe; a tunnel has its own port)`;
}

function methodWords({ method }: NatReport): string {
  if (method === 'behaviour-tests') return 'behaviour tests (RFC 5780)';
  return method === 'two-servers' ? 'comparing what two servers saw' : 'nothing to compare';
}

function serverWords({ server, address, status, rttMs, otherAddress, detail }: StunServerOutcome): string {
  const at = address === null || formatHostPort(address) === server ? '' : ` (${formatHostPort(address)})`;
  const time = rttMs === null ? '' : ` in ${rttMs.toFixed(1)} ms`;
  const said = { answered: `answered${time}`, refused: 'refused', 'no-answer': 'no answer', unresolved: 'unresolved' };
  const ability = status === 'answered' && otherAddress === null ? ', has no second address' : '';
  return `${server}${at}: ${said[status]}${ability}${detail === null ? '' : `: ${detail}`}`;
}

function meaningOf({ type, underNat, udpBlocked, filtering, mapping }: NatReport): string {
  if (udpBlocked)
    return 'No tunnel can leave this node over UDP: open outgoing UDP in the firewall, or check the servers.';
  if (type === null) return 'Nothing is known: check the servers, DNS and the default route.';
  if (underNat === false) {
    const firewall = filtering !== null && filtering !== 'endpoint-independent';
    const advice = firewall ? ' A firewall on the way drops strangers: admit UDP 4500 there.' : '';
    return `This node is not under NAT: it can be a relay, and every edge can reach it.${advice}`;
  }
  if (mapping === null && type === 'Undefined') {
    return 'Treated as Port Restricted cone NAT. A second server, or one with two addresses, would tell more.';
  }
  return MEANING[type];
}

const MEANING: Record<NonNullable<NatReport['type']>, string> = {
  'Full cone NAT': 'Direct with an edge under any kind of NAT.',
  'Restricted cone NAT': 'Direct with an edge under any kind of NAT.',
  'Port Restricted cone NAT': 'Direct with every edge but those under a Symmetric NAT; with those, by the relay.',
  'Symmetric NAT': 'Direct with edges under a Full cone or Restricted cone NAT or none; with others, by the relay.',
  Undefined: 'Treated as Port Restricted cone NAT.',
};
