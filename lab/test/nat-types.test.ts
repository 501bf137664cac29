/**
 * `corax netcheck` and the agent tell every kind of NAT that a node may be under (RFC 5780, against coturn), past
 * the node's own firewall, which admits the tunnel's port and answers only.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Filtering, Mapping, NatType } from '#src/model/nat.js';
import type { NatProfile } from '#src/model/nat-profile.js';
import { Lab } from '../lab.js';
import type { NatKind } from '../net/nat.js';
import { netcheck } from '../netcheck.js';
import { type LabNode, MAIN } from '../node.js';

interface Expected {
  readonly type: NatType | null;
  readonly mapping: Mapping | null;
  readonly filtering: Filtering | null;
}

const [INDEPENDENT, ADDRESS, PORT] = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
] as const;

const PORT_RESTRICTED: Expected = { type: 'Port Restricted cone NAT', mapping: INDEPENDENT, filtering: PORT };
const RANDOM: Partial<NatProfile> = { assignment: 'random', step: null };
const SYMMETRIC: Expected = { type: 'Symmetric NAT', mapping: PORT, filtering: PORT };

/** How each gives out ports. */
const PROFILES: Readonly<Record<string, Partial<NatProfile>>> = {
  'full-cone': RANDOM,
  restricted: RANDOM,
  'port-restricted': RANDOM,
  symmetric: RANDOM,
  block: { ...RANDOM, block: true },
  sequential: { assignment: 'sequential', step: 1, between: 0 },
  'sequential-block': { assignment: 'sequential', step: 1 },
  linux: { assignment: 'port-preserving', step: null, ports: null, block: false },
  'double-cones': RANDOM,
  'double-symmetric': RANDOM,
};

const CASES: ReadonlyArray<readonly [string, NatKind | readonly NatKind[], Expected]> = [
  ['full-cone', 'full-cone', { type: 'Full cone NAT', mapping: INDEPENDENT, filtering: INDEPENDENT }],
  ['restricted', 'restricted-cone', { type: 'Restricted cone NAT', mapping: INDEPENDENT, filtering: ADDRESS }],
  ['port-restricted', 'port-restricted', PORT_RESTRICTED],
  ['symmetric', 'symmetric', SYMMETRIC],
  ['sequential', 'symmetric-sequential', SYMMETRIC],
  ['block', 'symmetric-block', SYMMETRIC],
  ['sequential-block', 'symmetric-sequential-block', SYMMETRIC],
  ['linux', 'linux', PORT_RESTRICTED],
  // A chain of NATs maps like its worst and filters like its strictest.
  ['double-cones', ['full-cone', 'port-restricted'], PORT_RESTRICTED],
  ['double-symmetric', ['full-cone', 'symmetric'], SYMMETRIC],
];

/** netcheck tells every kind; with CORAX_LAB_BRIEF the agent, which takes its time, one of each way in which it can differ. */
const BRIEF = ['port-restricted', 'linux', 'sequential-block', 'double-symmetric'];
const TOLD_BY_AGENTS = process.env.CORAX_LAB_BRIEF === '1' ? BRIEF : CASES.map(([name]) => name);

let lab: Lab;

before(async () => {
  lab = await Lab.create({
    sites: [
      ...CASES.map(([name, nat]) => ({ name, nat })),
      { name: 'blocked', nat: 'udp-blocked' },
      { name: 'none', nat: 'none' },
    ],
    relays: [],
  });
});

after(async () => {
  await lab?.destroy();
});

/** Runs a node's agent until its status says so; one at a time, because ten are too many for an emulated machine. */
async function agentFinds(node: LabNode, expected: Expected, ports: Partial<NatProfile> | null = null): Promise<void> {
  await node.startAgent();
  try {
    const found = async () => {
      const { type, mapping, filtering, profile } = (await node.status()).nat;
      assert.deepEqual({ type, mapping, filtering }, expected);
      assert.equal(profile?.assignment ?? null, ports?.assignment ?? null);
      return true;
    };
    await lab.waitFor(found, { what: `${node.name}'s agent tells its NAT`, timeoutMs: 90_000, everyMs: 500 });
  } finally {
    await node.kill9();
  }
}

for (const [name, , expected] of CASES) {
  test(`${name}: ${expected.type}`, async () => {
    const report = await netcheck(lab, lab.site(name));
    const { type, mapping, filtering, underNat, udpBlocked, publicAddress, profile } = report;
    assert.deepEqual({ type, mapping, filtering }, expected);
    assert.equal(underNat, true);
    assert.equal(udpBlocked, false);
    assert.equal(publicAddress?.ip, lab.site(name).plan.publicAddress);
    assert.deepEqual({ ...profile, pooling: 'paired', ...PROFILES[name] }, profile);
  });

  if (!TOLD_BY_AGENTS.includes(name)) continue;
  test(`${name}: the agent's status says ${expected.type}`, () => agentFinds(lab.site(name), expected, PROFILES[name]));
}

test('the firewall is in the way of who cannot look past it', async () => {
  const node = lab.site('full-cone');
  const stun = `${lab.stun?.addresses[0]}:3478`;
  const withoutNetRaw = ['setpriv', '--bounding-set', '-net_raw'];
  const { stdout } = await node.exec([...withoutNetRaw, process.execPath, MAIN, 'netcheck', '--stun', stun]);
  assert.match(stdout, /^NAT +Port Restricted cone NAT$/m);
  assert.match(stdout, /own firewall may hide the NAT's filtering/);
});

test('no NAT is told from a full cone', async () => {
  const report = await netcheck(lab, lab.site('none'));
  assert.equal(report.underNat, false);
  assert.equal(report.mapping, INDEPENDENT);
  assert.equal(report.publicAddress?.ip, lab.site('none').plan.publicAddress);
  await agentFinds(lab.site('none'), { type: 'Undefined', mapping: INDEPENDENT, filtering: INDEPENDENT });
});

test('UDP blocked is told from silence of the servers', async () => {
  const report = await netcheck(lab, lab.site('blocked'));
  assert.equal(report.udpBlocked, true);
  assert.equal(report.type, null);
  const node = lab.site('blocked');
  await node.startAgent();
  try {
    // The status is as empty before the first discovery as after this one: the log tells.
    const found = () => /"udpBlocked":true/.test(readFileSync(node.logFile, 'utf8'));
    await lab.waitFor(found, { what: 'the agent tells that UDP is blocked', timeoutMs: 90_000 });
    assert.equal((await node.status()).nat.type, null);
  } finally {
    await node.kill9();
  }
});
