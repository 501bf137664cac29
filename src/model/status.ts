/**
 * What the agent says of itself: `corax status --json`, `corax explain --json`. Stable, because tests and
 * people's scripts read it: keys are added, never renamed or removed. Unknown is null; loss is a fraction
 * of 1; times are Unix seconds with a fraction; `rttMs` is in milliseconds; endpoints are "address:port"
 * ("[address]:port" for IPv6).
 */
import * as z from 'zod';
import { NAT_BEHAVIOURS, NAT_TYPES } from './nat.js';
import { POOLINGS, PORT_ASSIGNMENTS } from './nat-profile.js';
import { MAPPING_PROTOCOLS } from './port-mapping.js';

const hostPort = z.string().describe('address:port, [address]:port for IPv6');
const unixTime = z.number().nonnegative().describe('Unix time in seconds');
const bytes = z.number().nonnegative();

const behaviour = z.enum(NAT_BEHAVIOURS).describe('RFC 4787, 4.1 and 5');

const natProfile = z.object({
  samples: z.int().nonnegative().describe('mappings that this was told from'),
  assignment: z.enum(PORT_ASSIGNMENTS).nullable().describe('RFC 4787 4.2: the port that a new mapping gets'),
  step: z.int().nullable().describe('of sequential ports, from one mapping to the next'),
  between: z.int().nonnegative().nullable().describe("of sequential ports: others' mappings between two of ours"),
  ports: z
    .object({ first: z.int(), last: z.int() })
    .nullable()
    .describe('where the ports lie, as far as they show it; both ends included'),
  block: z.boolean().nullable().describe("they are a part of a public address's: a carrier's NAT"),
  pooling: z.enum(POOLINGS).nullable().describe('RFC 4787 4.1: whether all mappings have one public address'),
  addresses: z.array(z.string()).describe('public addresses seen'),
  lifetime: z
    .object({ livedS: z.number().nullable(), goneS: z.number().nullable() })
    .nullable()
    .describe('RFC 4787 4.3, in seconds: idle mappings lived so long, and were gone after so long; null: not measured'),
});

const PATH_STATES = ['relayed', 'punching', 'direct'] as const;

const plane = z.object({
  endpoint: hostPort.nullable(),
  alive: z.boolean().nullable().describe('whether it answers, by the rules that choose the path; null: not known yet'),
  lastHandshake: unixTime.nullable(),
  rttMs: z.number().nonnegative().nullable().describe('smoothed round-trip time in milliseconds'),
  loss: z.number().min(0).max(1).nullable().describe('fraction of the latest probes that were lost'),
  rxBytes: bytes.nullable(),
  txBytes: bytes.nullable(),
});

const peer = z.object({
  gateway: z.string(),
  node: z.string().nullable().describe("the remote gateway's active node"),
  subnets: z.array(z.string()),
  path: z.enum(['relay', 'direct']).nullable().describe('the plane that carries traffic now; null where none does'),
  state: z.enum(PATH_STATES),
  since: unixTime.nullable().describe('when the peer entered this state'),
  mayBeDirect: z
    .boolean()
    .nullable()
    .describe("whether the pair's NATs and --direct allow a direct path; null where there is no such question"),
  reason: z.string().describe('why the path is what it is, in one sentence'),
  planes: z.object({ relay: plane.nullable(), direct: plane.nullable() }).describe('null where there is none'),
});

const portMapping = z.object({
  protocol: z.enum(MAPPING_PROTOCOLS).nullable().describe('how it was granted; null where it was not'),
  external: hostPort.nullable().describe("where the router maps the tunnel's port to"),
  inForce: z.boolean().describe('it is the published hole, so that whoever sends there gets in'),
  expiresAt: unixTime.nullable(),
  reason: z.string().describe('what stands, or why there is none, in one sentence'),
});

const problem = z.object({
  code: z.string().describe('one of the CORAX_* codes'),
  gateway: z.string().nullable().describe('the gateway concerned; CORAX_GATEWAY names one that was refused'),
  message: z.string(),
  since: unixTime.nullable(),
});

export const statusSchema = z
  .object({
    node: z.string(),
    gateway: z.string().nullable().describe('the gateway that this node belongs to'),
    role: z
      .enum(['edge', 'relay', 'member'])
      .nullable()
      .describe("edge and relay hold their gateway's tunnel, a member goes by the node that does; null: none of it"),
    driver: z.enum(['wireguard', 'libreswan']),
    version: z.string(),
    startedAt: unixTime,
    nat: z.object({
      type: z.enum(NAT_TYPES).nullable().describe("in raven's words"),
      mapping: behaviour.nullable(),
      filtering: behaviour.nullable(),
      hole: hostPort.nullable().describe("the tunnel port's server-reflexive address (RFC 8445)"),
      profile: natProfile
        .nullable()
        .default(null)
        .describe('how the NAT gives out ports; null: no NAT, or not known yet'),
      portMapping: portMapping.nullable().optional().describe('null where the router is not asked for one'),
    }),
    store: z.object({
      kind: z.enum(['directory', 'kubernetes']),
      synced: z.boolean().describe('read in whole at least once'),
      lastError: z.string().nullable(),
    }),
    engine: z
      .object({
        wireguardMessages: z.int(),
        wireguardPeers: z.int(),
        routeMessages: z.int(),
        nftTransactions: z.int(),
        probesSent: z.int(),
      })
      .describe('what was sent to the kernel since the start'),
    peers: z.array(peer),
    errors: z.array(problem),
    remarks: z.array(z.string()).optional().describe('what should be known of this node, though nothing is wrong'),
  })
  .meta({ title: 'corax status' });

export const peersSchema = z.object({ peers: z.array(peer) });

const pathChange = z.object({
  at: unixTime,
  gateway: z.string(),
  from: z.enum(PATH_STATES),
  to: z.enum(PATH_STATES),
  reason: z.string().describe('one sentence'),
});

const explainedFact = z.object({
  label: z.string(),
  value: z.string(),
  rule: z.string().nullable().describe('what it is judged by'),
  verdict: z
    .enum(['good', 'bad', 'open'])
    .nullable()
    .describe('for the path: good, bad, or still awaited; null where nothing hangs on it'),
});

const explainedSection = z.object({
  title: z.string(),
  verdict: z.string().nullable().describe('a word or two: what the facts below come to'),
  facts: z.array(explainedFact),
});

/** The facts and rules behind one path, in the order in which they decided it. */
export const explanationSchema = z.object({
  gateway: z.string(),
  node: z.string().nullable().describe("the remote gateway's active node"),
  path: peer.shape.path,
  state: peer.shape.state,
  since: peer.shape.since,
  facts: z.array(z.tuple([z.string(), z.string()])).describe('label and value: those of all sections in one list'),
  sections: z.array(explainedSection),
  reason: z.string(),
  wouldChange: z.array(z.string()).describe('what would change the path'),
  changes: z.array(pathChange).describe('the latest changes of this path, newest first'),
});

export type Status = z.infer<typeof statusSchema>;
export type PeerStatus = z.infer<typeof peer>;
export type PlaneStatus = z.infer<typeof plane>;
export type StatusError = z.infer<typeof problem>;
export type PathChange = z.infer<typeof pathChange>;
export type ExplainedFact = z.infer<typeof explainedFact>;
export type ExplainedSection = z.infer<typeof explainedSection>;
export type Explanation = z.infer<typeof explanationSchema>;

/** JSON Schema (2020-12) of `corax status --json`; further keys are allowed. */
export function statusJsonSchema(): object {
  return z.toJSONSchema(statusSchema, { io: 'input' });
}
