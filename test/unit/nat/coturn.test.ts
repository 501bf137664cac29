/**
 * The real thing: `corax netcheck` and the agent's NatFacts in a network namespace, behind an nftables NAT of the
 * kernel's in another, against coturn in a third. Needs root, iproute2, nftables, coturn and the addon.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { NatReport } from '#src/model/nat.js';
import type { NatProfile } from '#src/model/nat-profile.js';
import { inOwnNamespace } from '../../native/namespace.js';
import {
  buildNetwork,
  CLIENT,
  INSIDE,
  inside,
  load,
  netcheckReport,
  node,
  OUTSIDE,
  runNetcheck,
  STUN,
  startCoturn,
  untilAnswered,
} from './coturn-network.js';

/** Endpoint-independent mapping, learnt from the port that conntrack really gave. */
const CONE = (prerouting: string) => `table ip nat {
  map eim { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; }
  map eimout { type ipv4_addr . inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; }
  set adf { type inet_service . ipv4_addr; flags dynamic,timeout; timeout 60s; }
  chain post { type nat hook postrouting priority 100;
    oifname wan ip saddr 10.99.1.0/24 meta l4proto udp snat ip to ip saddr . udp sport map @eimout
    oifname wan ip saddr 10.99.1.0/24 meta l4proto udp snat ip to ${OUTSIDE}:20000-59999 fully-random; }
  chain learn { type filter hook postrouting priority 150;
    meta l4proto udp ct direction original ct original ip saddr 10.99.1.0/24 ct reply ip daddr ${OUTSIDE} \\
      update @eimout { ct original ip saddr . ct original proto-src : ct reply ip daddr . ct reply proto-dst } \\
      update @eim { ct reply proto-dst : ct original ip saddr . ct original proto-src } \\
      update @adf { ct reply proto-dst . ip daddr }; }
  chain pre { type nat hook prerouting priority -100; ${prerouting} }
  chain input { type filter hook input priority 0; iifname wan ct state new drop; }
}`;
const SYMMETRIC = `table ip nat {
  chain post { type nat hook postrouting priority 100;
    oifname wan ip saddr 10.99.1.0/24 meta l4proto udp snat ip to ${OUTSIDE}:20000-59999 fully-random; }
  chain input { type filter hook input priority 0; iifname wan ct state new drop; }
}`;
const PLAIN_LINUX = `table ip nat { chain post { type nat hook postrouting priority 100; oifname wan masquerade; }; }`;
const firewall = (rule: string) => `table ip nat { chain forward { type filter hook forward priority 0; ${rule}; }; }`;
/** As on the lab's edges: nothing comes in but the tunnel and answers. */
const HOST_FIREWALL = `table inet hostfw { chain input { type filter hook input priority 0; policy drop;
  ct state established,related accept; udp dport 4500 accept; }; }`;
const EI = 'endpoint-independent';
const AD = 'address-dependent';
const APD = 'address-and-port-dependent';

const CASES: Array<[string, string, Partial<NatReport>, number]> = [
  ['no NAT', '', { type: 'Undefined', mapping: EI, filtering: EI, underNat: false, udpBlocked: false }, 0],
  [
    'no NAT, behind a stateful firewall',
    firewall('iifname wan ct state new drop'),
    { type: 'Undefined', mapping: EI, filtering: APD, underNat: false },
    0,
  ],
  [
    'full cone',
    CONE('iifname wan meta l4proto udp dnat ip to udp dport map @eim;'),
    { type: 'Full cone NAT', mapping: EI, filtering: EI, underNat: true },
    0,
  ],
  [
    'restricted cone',
    CONE('iifname wan udp dport . ip saddr @adf dnat ip to udp dport map @eim;'),
    { type: 'Restricted cone NAT', mapping: EI, filtering: AD, underNat: true },
    0,
  ],
  [
    'port-restricted cone',
    CONE(''),
    { type: 'Port Restricted cone NAT', mapping: EI, filtering: APD, underNat: true },
    0,
  ],
  ['plain Linux', PLAIN_LINUX, { type: 'Port Restricted cone NAT', mapping: EI, filtering: APD, underNat: true }, 0],
  ['symmetric', SYMMETRIC, { type: 'Symmetric NAT', mapping: APD, filtering: APD, underNat: true }, 0],
  [
    'UDP blocked',
    firewall('meta l4proto udp drop'),
    { type: null, mapping: null, filtering: null, underNat: null, udpBlocked: true, publicAddress: null },
    2,
  ],
];

function suite(): void {
  let stopCoturn = async (): Promise<void> => {};

  before(async () => {
    assert.equal(process.getuid?.(), 0, 'network namespaces need root');
    await buildNetwork();
    stopCoturn = await startCoturn();
    await untilAnswered();
  });

  after(() => stopCoturn());

  for (const [what, rules, expected, expectedCode] of CASES) {
    it(what, async () => {
      await load(rules);
      const { report, code } = await netcheckReport<NatReport>();
      assert.deepEqual({ ...report, ...expected }, report);
      assert.equal(code, expectedCode);
      const seenAs = report.underNat === null ? undefined : report.underNat ? OUTSIDE : INSIDE;
      assert.equal(report.publicAddress?.ip, seenAs);
    });
  }

  describe("with a host firewall on the node that admits the tunnel's port and answers", () => {
    before(() => load(HOST_FIREWALL, CLIENT));
    after(() => load('', CLIENT));

    const cones = CASES.filter(([what]) => ['full cone', 'restricted cone', 'port-restricted cone'].includes(what));
    assert.equal(cones.length, 3);
    for (const [what, rules, expected] of cones)
      it(`${what}: netcheck and the agent see the NAT's filtering past it`, async () => {
        await load(rules);
        const { report } = await netcheckReport<NatReport>();
        assert.deepEqual({ ...report, ...expected }, report);
        const { stdout } = await inside(CLIENT, ...node('nat-facts-main.ts'), STUN);
        const facts = JSON.parse(stdout) as {
          report: NatReport;
          profile: NatProfile;
          tapsMeanwhile: number;
          tapsAfter: number;
        };
        assert.deepEqual({ ...facts.report, ...expected }, facts.report);
        assert.deepEqual([facts.profile.assignment, facts.profile.pooling], ['random', 'paired']);
        assert.equal(facts.tapsMeanwhile, 1);
        assert.equal(facts.tapsAfter, 0, 'a tap is open no longer than a discovery runs');
      });

    it('without NET_RAW it is in the way, and the text says so', async () => {
      await load(CASES.find(([what]) => what === 'full cone')?.[1] ?? '');
      const words = ['setpriv', '--bounding-set', '-net_raw', ...node('netcheck-main.ts')];
      const { stdout, code } = await runNetcheck(...words);
      assert.equal(code, 0);
      assert.match(stdout, /^NAT +Port Restricted cone NAT$/m);
      assert.match(stdout, /^This machine's own firewall may hide the NAT's filtering: run netcheck as root/m);
      const asRoot = await runNetcheck(...node('netcheck-main.ts'));
      assert.match(asRoot.stdout, /^NAT +Full cone NAT$/m);
      assert.doesNotMatch(asRoot.stdout, /own firewall/);
    });
  });
}

if (inOwnNamespace(import.meta.url))
  describe('netcheck against coturn through the kernel', { timeout: 240_000 }, suite);
