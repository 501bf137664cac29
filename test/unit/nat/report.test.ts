import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { exitCodeOf, netcheckCommand } from '#src/cli/netcheck.js';
import { parseIp } from '#src/model/address.js';
import type { NatReport, StunServerOutcome } from '#src/model/nat.js';
import { profileOf } from '#src/nat/profile.js';
import { formatReport } from '#src/nat/report.js';
import { startServer, type TestServer } from './stun-server.js';

const address = (text: string, port: number) => ({ ip: parseIp(text) as never, port });
const answered: StunServerOutcome = {
  server: 'stun.example.com',
  address: address('198.51.100.1', 3478),
  status: 'answered',
  mapped: address('203.0.113.10', 40000),
  otherAddress: address('198.51.100.2', 3479),
  rttMs: 12.345,
  detail: null,
};
const PORT: NatReport = {
  type: 'Port Restricted cone NAT',
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  underNat: true,
  publicAddress: address('203.0.113.10', 40000),
  udpBlocked: false,
  method: 'behaviour-tests',
  servers: [answered],
  measuredAtMs: 1,
};
const nothing = { mapping: null, filtering: null, underNat: null, publicAddress: null, method: null } as const;
const silent: StunServerOutcome = { ...answered, status: 'no-answer', mapped: null, otherAddress: null, rttMs: null };

describe('report for a person', () => {
  it('says all there is, in columns', () => {
    assert.equal(
      formatReport(PORT),
      [
        'NAT        Port Restricted cone NAT',
        'Mapping    endpoint-independent',
        'Filtering  address-and-port-dependent',
        'Seen as    203.0.113.10:40000 (this probe; a tunnel has its own port)',
        'Found by   behaviour tests (RFC 5780)',
        'STUN       stun.example.com (198.51.100.1:3478): answered in 12.3 ms',
        '',
        'Direct with every edge but those under a Symmetric NAT; with those, by the relay.',
        '',
      ].join('\n'),
    );
  });

  it('says how the NAT gives out ports, where that was looked at', () => {
    const mappings = Array.from({ length: 16 }, (_, index) => ({
      localPort: 600 + index,
      mapped: address('203.0.113.10', 20_000 + index),
    }));
    const lines = formatReport(PORT, null, profileOf(mappings)).split('\n');
    assert.deepEqual(lines.slice(3, 5), [
      'Ports      sequential, step 1',
      'Addresses  paired: every mapping has the same public address',
    ]);
    const few = formatReport(PORT, null, profileOf([]));
    assert.match(few, /^Ports +unknown: 0 mappings tell too little$/m);
    assert.match(few, /^Addresses +unknown$/m);
  });

  it('says what a firewall of this machine may hide, where something may be hidden', () => {
    const doubt = "This machine's own firewall may hide the NAT's filtering: no addon.\n";
    assert.equal(formatReport(PORT, 'no addon'), formatReport(PORT) + doubt);
    for (const filtering of ['endpoint-independent', null] as const) {
      const report: NatReport = { ...PORT, filtering };
      assert.equal(formatReport(report, 'no addon'), formatReport(report));
    }
  });

  const cases: Array<[string, Partial<NatReport>, 0 | 2, RegExp[]]> = [
    ['full cone', { type: 'Full cone NAT', filtering: 'endpoint-independent' }, 0, [/Direct with an edge under any/]],
    ['no NAT', { type: 'Undefined', underNat: false, filtering: 'endpoint-independent' }, 0, [/^NAT +none$/m, /relay/]],
    ['no NAT, firewall', { type: 'Undefined', underNat: false }, 0, [/admit UDP 4500/]],
    ['filtering unknown', { filtering: null }, 0, [/^Filtering +unknown, counts as address-and-port-dependent$/m]],
    [
      'symmetric by two servers',
      { type: 'Symmetric NAT', mapping: null, filtering: null, method: 'two-servers' },
      0,
      [/^Mapping +address-dependent or address-and-port-dependent/m, /Symmetric/, /two servers/],
    ],
    [
      'unknown',
      { type: 'Undefined', mapping: null, filtering: null, method: null },
      2,
      [/of unknown type/, /Treated as Port Restricted/],
    ],
    [
      'blocked',
      { ...nothing, type: null, udpBlocked: true, servers: [{ ...silent, detail: 'asked 4 times' }] },
      2,
      [/UDP is blocked/, /no answer: asked 4 times/, /open outgoing UDP/],
    ],
    [
      'nobody asked',
      { ...nothing, type: null, servers: [] },
      2,
      [/no STUN server could be asked/, /check the servers/],
    ],
  ];
  for (const [what, more, code, patterns] of cases) {
    it(what, () => {
      const report = { ...PORT, ...more };
      const text = formatReport(report);
      for (const pattern of patterns) assert.match(text, pattern);
      assert.ok(text.endsWith('\n'));
      assert.equal(exitCodeOf(report), code);
    });
  }
});

describe('corax netcheck', { timeout: 30_000 }, () => {
  const servers: TestServer[] = [];
  after(() => {
    process.exitCode = 0;
    return Promise.all(servers.map((server) => server.close()));
  });
  const netcheck = async (...args: string[]) => {
    const out: string[] = [];
    const command = netcheckCommand()
      .exitOverride()
      .configureOutput({ writeOut: (text) => out.push(text), writeErr: (text) => out.push(text) });
    await command.parseAsync(args, { from: 'user' });
    const { exitCode } = process;
    process.exitCode = 0;
    return { out: out.join(''), exitCode };
  };

  it('prints text, and JSON that is the report', async () => {
    const one = await startServer({ noOtherAddress: true });
    const two = await startServer();
    servers.push(one, two);
    const text = await netcheck('--stun', two.text);
    assert.match(text.out, /^NAT +none$/m);
    assert.equal(text.exitCode, 0);
    const json = await netcheck('--stun', one.text, '--stun', two.text, '--json', '--bind', '127.0.0.1');
    const report = JSON.parse(json.out) as NatReport & { profile: unknown };
    assert.equal(report.profile, null, 'no NAT, no profile');
    assert.equal(report.underNat, false);
    assert.equal(report.publicAddress?.ip, '127.0.0.1');
    assert.deepEqual(
      report.servers.map(({ server }) => server),
      [one.text, two.text],
    );
    assert.equal(json.exitCode, 0);
  });

  it('says on wrong flags what is right', async () => {
    await assert.rejects(netcheck(), /--stun/);
    await assert.rejects(netcheck('--stun', 'x:0'), /port must be a number/);
    await assert.rejects(netcheck('--stun', 'x', '--bind', 'eth0'), /IPv4 address of this node/);
  });
});
