/**
 * NAT profiles of the real thing: `corax netcheck` against coturn, through NATs of the kernel's that give out ports in
 * every way; and mappings that the kernel forgets after a few seconds. Needs root, iproute2, nftables, coturn, the addon.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { HostPort } from '#src/model/address.js';
import type { NatProfile } from '#src/model/nat-profile.js';
import { inOwnNamespace } from '../../native/namespace.js';
import {
  buildNetwork,
  CLIENT,
  inside,
  load,
  NAT,
  netcheckReport,
  node,
  OUTSIDE,
  runNetcheck,
  STUN,
  startCoturn,
  untilAnswered,
} from './coturn-network.js';

const SECOND_OUTSIDE = '203.0.113.11';

const snat = (to: string) => `table ip nat {
  chain post { type nat hook postrouting priority 100; oifname wan ip saddr 10.99.1.0/24 meta l4proto udp snat ip to ${to}; }
  chain input { type filter hook input priority 0; iifname wan ct state new drop; }
}`;
const counter = (first: number, size: number, step = 1) => {
  const ports = Array.from({ length: size }, (_, at) => `${at} : ${first + at * step}`).join(', ');
  return snat(`${OUTSIDE} : numgen inc mod ${size} map { ${ports} }`);
};
const POOL = snat(`numgen inc mod 2 map { 0 : ${OUTSIDE}, 1 : ${SECOND_OUTSIDE} }`);
/** As on the lab's edges: nothing comes in but the tunnel and answers. */
const HOST_FIREWALL = `table inet hostfw { chain input { type filter hook input priority 0; policy drop;
  ct state established,related accept; udp dport 4500 accept; }; }`;
const MASQUERADE = 'table ip nat { chain post { type nat hook postrouting priority 100; oifname wan masquerade; }; }';

const CASES: Array<[string, string, Partial<NatProfile>]> = [
  ['ports kept', MASQUERADE, { assignment: 'port-preserving', pooling: 'paired', ports: null, block: false }],
  ['sequential', counter(20_000, 400), { assignment: 'sequential', step: 1, between: 0, pooling: 'paired' }],
  ['sequential by two', counter(40_000, 400, 2), { assignment: 'sequential', step: 2, between: 0 }],
  [
    'random over all ports',
    snat(`${OUTSIDE}:1024-65535 fully-random`),
    { assignment: 'random', step: null, block: false, pooling: 'paired' },
  ],
  ['a random block', snat(`${OUTSIDE}:10240-10751 fully-random`), { assignment: 'random', block: true }],
  ['an arbitrary pool', POOL, { assignment: 'port-preserving', pooling: 'arbitrary' }],
];

function suite(): void {
  let stopCoturn = async (): Promise<void> => {};

  before(async () => {
    assert.equal(process.getuid?.(), 0, 'network namespaces need root');
    await buildNetwork();
    await inside(NAT, 'ip', 'address', 'add', `${SECOND_OUTSIDE}/24`, 'dev', 'wan');
    stopCoturn = await startCoturn();
    await untilAnswered();
  });

  after(() => stopCoturn());

  const profile = async (): Promise<NatProfile> => {
    const { report } = await netcheckReport<{ profile: NatProfile }>();
    return report.profile;
  };

  const forget = (namespace: string, what: 'udp_timeout' | 'udp_timeout_stream', seconds: number) =>
    inside(namespace, 'sysctl', '-qw', `net.netfilter.nf_conntrack_${what}=${seconds}`);

  for (const [what, rules, expected] of CASES) {
    it(what, async () => {
      await load(rules);
      const found = await profile();
      assert.deepEqual({ ...found, ...expected }, found);
      assert.ok(found.samples >= 12, `${found.samples} samples`);
      assert.deepEqual(found.addresses.toSorted(), what.includes('pool') ? [OUTSIDE, SECOND_OUTSIDE] : [OUTSIDE]);
    });
  }

  it('random ports show about where they lie', async () => {
    await load(snat(`${OUTSIDE}:10240-10751 fully-random`));
    const { ports } = await profile();
    assert.ok(ports !== null);
    assert.ok(ports.first > 10_240 - 256 && ports.first < 10_240 + 256, `${ports.first}`);
    assert.ok(ports.last > 10_751 - 256 && ports.last < 10_751 + 256, `${ports.last}`);
  });

  it('a block that wraps is told when it has, with both its ends', async () => {
    // What earlier runs used is free again by the time that the block has wrapped.
    await forget(NAT, 'udp_timeout', 1);
    await load(counter(10_240, 50));
    let found = await profile();
    // 16 of the 20 to 24 ports that each run takes are the profile's; the others may be those at the end.
    for (let run = 1; run < 8 && found.block !== true; run += 1) found = await profile();
    await forget(NAT, 'udp_timeout', 30);
    const { assignment, step, ports, block } = found;
    assert.deepEqual({ assignment, step, block }, { assignment: 'sequential', step: 1, block: true });
    // A retransmission takes none, but a port that is still held is passed over, at the ends of the block too.
    assert.ok(ports !== null && ports.first >= 10_240 && ports.first < 10_244, `${ports?.first}`);
    assert.ok(ports.last <= 10_289 && ports.last > 10_285, `${ports.last}`);
  });

  it("the agent's latest mapping is where a sequence stands: who asks meanwhile hears the same", async () => {
    await load(counter(50_000, 400));
    const { stdout } = await inside(CLIENT, ...node('nat-facts-main.ts'), STUN);
    const { latest } = JSON.parse(stdout) as { latest: readonly HostPort[] };
    const [first, same, next] = latest as [HostPort, HostPort, HostPort];
    assert.deepEqual([first.ip, next.ip], [OUTSIDE, OUTSIDE]);
    assert.deepEqual(same, first);
    // Two mappings of its own, and those of the test of idle ones, which has begun.
    assert.ok(next.port >= first.port + 2 && next.port <= first.port + 8, `${first.port}, ${next.port}`);
  });

  it('no NAT, no profile; and it is in the text', async () => {
    await load('');
    assert.equal(await profile(), null);
    await load(counter(30_000, 400));
    const { stdout } = await runNetcheck(...node('netcheck-main.ts'));
    assert.match(stdout, /^Ports +sequential, step 1$/m);
    assert.match(stdout, /^Addresses +paired: /m);
  });

  describe('time-outs, where the NAT forgets after 8 s and this node after 2 s', () => {
    const idle = async (seconds: number, assignment: string) => {
      const { stdout } = await inside(CLIENT, ...node('idle-main.ts'), STUN, `${seconds}`, assignment);
      return stdout;
    };

    before(async () => {
      await load(HOST_FIREWALL, CLIENT);
      await Promise.all([forget(NAT, 'udp_timeout_stream', 8), forget(CLIENT, 'udp_timeout_stream', 2)]);
    });

    it('coturn answers to the port of the idle mapping: a kept port that lived, and one that is gone', async () => {
      await load(MASQUERADE);
      const [lived, gone] = await Promise.all([idle(4, 'port-preserving'), idle(12, 'port-preserving')]);
      assert.deepEqual([lived, gone], ['lived', 'gone']);
    });

    it('the same under a symmetric NAT', async () => {
      await load(snat(`${OUTSIDE}:20000-59999 fully-random`));
      const [lived, gone] = await Promise.all([idle(4, 'random'), idle(12, 'random')]);
      assert.deepEqual([lived, gone], ['lived', 'gone']);
    });
  });
}

if (inOwnNamespace(import.meta.url)) describe('NAT profiles through the kernel', { timeout: 240_000 }, suite);
