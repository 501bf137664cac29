import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { after, describe, it } from 'node:test';
import { CoraxError } from '#src/errors.js';
import { NAT_BEHAVIOURS, type NatReport, natTypeOf } from '#src/model/nat.js';
import { DEADLINES, type DiscoverOptions, discover, localAddressesOf } from '#src/nat/discover.js';
import { type OpenUdp, openUdp } from '#src/nat/udp.js';
import { behindNat } from './nat-box.js';
import { type Faults, ip, startServer, type TestServer } from './stun-server.js';

/** Shorter than in the field, and long for a loopback. */
const deadlines = { firstMs: 4000, graceMs: 400, rtoMs: 250, minRtoMs: 60 };
const ME = ip('10.0.0.2');
const EIM_APDF = () => behindNat('endpoint-independent', 'address-and-port-dependent');

describe('discovery', { concurrency: 3, timeout: 120_000 }, () => {
  const servers: TestServer[] = [];
  after(() => Promise.all(servers.map((server) => server.close())));
  const serve = async (...args: Parameters<typeof startServer>): Promise<TestServer> => {
    const server = await startServer(...args);
    servers.push(server);
    return server;
  };
  const find = (open: OpenUdp, texts: string[], more: Partial<DiscoverOptions> = {}): Promise<NatReport> =>
    discover({ servers: texts, localAddresses: [ME], deadlines, open, ...more });
  const findWith = async (faults: Partial<Faults>, open = EIM_APDF(), more: Partial<DiscoverOptions> = {}) => {
    const server = await serve(faults);
    return { server, report: await find(open, [server.text], more) };
  };

  for (const mapping of NAT_BEHAVIOURS) {
    for (const filtering of NAT_BEHAVIOURS) {
      it(`mapping ${mapping}, filtering ${filtering}`, async () => {
        const { report } = await findWith({}, behindNat(mapping, filtering));
        const { servers: outcomes, measuredAtMs, publicAddress, ...found } = report;
        assert.deepEqual(found, {
          type: natTypeOf(mapping, filtering),
          mapping,
          filtering,
          underNat: true,
          udpBlocked: false,
          method: 'behaviour-tests',
        });
        assert.equal(publicAddress?.ip, '127.0.0.3');
        assert.equal(outcomes[0]?.status, 'answered');
        assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
        assert.ok(Math.abs(Date.now() - measuredAtMs) < 60_000);
      });
    }
  }

  it('no NAT, over real sockets', async () => {
    const { report } = await findWith({}, openUdp, { localAddresses: localAddressesOf(networkInterfaces()) });
    assert.equal(report.type, 'Undefined');
    assert.equal(report.underNat, false);
    assert.equal(report.mapping, 'endpoint-independent');
    assert.equal(report.filtering, 'endpoint-independent');
    assert.equal(report.publicAddress?.ip, '127.0.0.1');
  });

  it('without local addresses it does not say whether there is a NAT', async () => {
    const server = await serve();
    const report = await discover({ servers: [server.text], deadlines, open: EIM_APDF() });
    assert.equal(report.underNat, null);
    assert.equal(report.type, 'Port Restricted cone NAT');
  });

  it('probes from the address it is told', async () => {
    const { report } = await findWith({}, openUdp, { bindAddress: ip('127.0.0.7'), localAddresses: [ip('127.0.0.7')] });
    assert.equal(report.publicAddress?.ip, '127.0.0.7');
    assert.equal(report.underNat, false);
  });

  it('retransmits until it is heard', async () => {
    const { report, server } = await findWith({ dropFirst: 3 });
    assert.equal(report.type, 'Port Restricted cone NAT');
    const ids = server.seen.slice(0, 4).map(({ transactionId }) => Buffer.from(transactionId).toString('hex'));
    assert.equal(new Set(ids).size, 1, 'a retransmission is the same request');
    // Which of the four was answered is not known (RFC 6298 3).
    assert.equal(report.servers[0]?.rttMs, null);
  });

  const faults: Array<[string, Partial<Faults>, Partial<NatReport>]> = [
    ['answers late', { delayMs: 150 }, { type: 'Port Restricted cone NAT', filtering: 'address-and-port-dependent' }],
    ['answers three times', { copies: 3 }, { type: 'Port Restricted cone NAT', mapping: 'endpoint-independent' }],
    ['has only MAPPED-ADDRESS', { plainMapped: true }, { type: 'Port Restricted cone NAT' }],
    [
      'has no OTHER-ADDRESS',
      { noOtherAddress: true },
      { type: 'Undefined', mapping: null, filtering: null, method: null, underNat: true, udpBlocked: false },
    ],
    [
      'has an OTHER-ADDRESS that leads inside',
      { otherAddress: { ip: ip('169.254.169.254'), port: 80 } },
      { type: 'Undefined', mapping: null, filtering: null },
    ],
    [
      'has a dead second address',
      { alternateDead: true },
      { type: 'Undefined', mapping: null, filtering: null, underNat: true },
    ],
    [
      'ignores CHANGE-REQUEST',
      { ignoreChange: true },
      { type: 'Port Restricted cone NAT', mapping: 'endpoint-independent', filtering: null },
    ],
    [
      'refuses CHANGE-REQUEST',
      { refuseChange: 420 },
      { type: 'Port Restricted cone NAT', mapping: 'endpoint-independent', filtering: null },
    ],
    [
      'drops CHANGE-REQUEST',
      { dropChange: true },
      { type: 'Port Restricted cone NAT', filtering: 'address-and-port-dependent' },
    ],
    [
      'lies about the transaction first',
      { lieFirst: (answer) => ({ ...answer, transactionId: new Uint8Array(12) }) },
      { type: 'Port Restricted cone NAT' },
    ],
    [
      'answers without an address first',
      { lieFirst: (answer) => ({ ...answer, xorMappedAddress: undefined }) },
      { type: 'Port Restricted cone NAT' },
    ],
    ['refuses everything', { refuse: 401 }, { type: null, udpBlocked: false, publicAddress: null, underNat: null }],
  ];
  for (const [what, fault, expected] of faults) {
    it(`a server that ${what}`, async () => {
      const { report } = await findWith(fault);
      assert.deepEqual({ ...report, ...expected }, report);
    });
  }

  const noise: Array<[string, Partial<Faults>, RegExp]> = [
    ['is silent', { dropFirst: Number.POSITIVE_INFINITY }, /^asked \d+ times$/],
    ['answers garbage', { garbage: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') }, /^asked \d+ times$/],
    ['answers cut messages', { garbage: Uint8Array.from([1, 1, 0, 0, 0x21, 0x12, 0xa4]) }, /^asked \d+ times$/],
    ['answers empty datagrams', { garbage: new Uint8Array(0) }, /^asked \d+ times$/],
    ['answers another transaction', { wrongTransaction: true }, /^asked \d+ times$/],
    ['answers from elsewhere', { thirdParty: true }, /^an answer came from 127\.0\.0\.1:\d+ instead$/],
    ['gives an address of the other family', { mapped: { ip: ip('2001:db8::1'), port: 1 } }, /impossible address/],
  ];
  for (const [what, fault, detail] of noise) {
    it(`a server that ${what}: UDP counts as blocked, in bounded time`, async () => {
      const { report } = await findWith(fault, openUdp, { deadlines: { ...deadlines, firstMs: 600 } });
      const { servers: outcomes, measuredAtMs: _, ...rest } = report;
      assert.deepEqual(rest, {
        type: null,
        mapping: null,
        filtering: null,
        underNat: null,
        publicAddress: null,
        udpBlocked: true,
        method: null,
      });
      assert.equal(outcomes[0]?.status, 'no-answer');
      assert.match(outcomes[0]?.detail ?? '', detail);
    });
  }

  it('gives up after about five seconds when nothing else is said', () => {
    assert.ok(DEADLINES.firstMs <= 5000 && DEADLINES.dnsMs < DEADLINES.firstMs && DEADLINES.allMs <= 3000);
  });

  it('two servers without OTHER-ADDRESS that see the same: endpoint-independent', async () => {
    const one = await serve({ noOtherAddress: true });
    const two = await serve({ noOtherAddress: true }, [ip('127.0.0.2'), ip('127.0.0.1')]);
    const report = await find(EIM_APDF(), [one.text, two.text]);
    assert.equal(report.mapping, 'endpoint-independent');
    assert.equal(report.filtering, null);
    assert.equal(report.type, 'Port Restricted cone NAT');
    assert.equal(report.method, 'two-servers');
  });

  it('two servers without OTHER-ADDRESS that differ: symmetric, and it does not claim to know how', async () => {
    const one = await serve({ noOtherAddress: true });
    const two = await serve({ noOtherAddress: true }, [ip('127.0.0.2'), ip('127.0.0.1')]);
    const report = await find(behindNat('address-dependent', 'address-dependent'), [one.text, two.text]);
    assert.equal(report.mapping, null);
    assert.equal(report.type, 'Symmetric NAT');
    assert.equal(report.method, 'two-servers');
  });

  it('the first server with OTHER-ADDRESS gives the behaviour, whoever is first or silent', async () => {
    const plain = await serve({ noOtherAddress: true });
    const silent = await serve({ dropFirst: Number.POSITIVE_INFINITY });
    const full = await serve({ delayMs: 60 });
    const report = await find(EIM_APDF(), [silent.text, plain.text, 'nowhere.invalid:3478', full.text], {
      resolve: async ({ host, port }) => (host === 'nowhere.invalid' ? null : { ip: ip(host), port }),
    });
    assert.equal(report.method, 'behaviour-tests');
    assert.equal(report.type, 'Port Restricted cone NAT');
    const statuses = report.servers.map(({ status }) => status);
    assert.deepEqual(statuses, ['no-answer', 'answered', 'unresolved', 'answered']);
  });

  it('tries the next server when the second address of one is dead, also one that answers later', async () => {
    const dead = await serve({ alternateDead: true });
    for (const delayMs of [0, 120]) {
      const full = await serve({ delayMs });
      const report = await find(EIM_APDF(), [dead.text, full.text]);
      assert.equal(report.mapping, 'endpoint-independent');
      assert.equal(report.filtering, 'address-and-port-dependent');
      assert.equal(report.method, 'behaviour-tests');
    }
  });

  it('a server inside the own network does not hide the NAT', async () => {
    const inside = await serve({ mapped: { ip: ME, port: 5000 } });
    const outside = await serve({ delayMs: 60 });
    const report = await find(EIM_APDF(), [inside.text, outside.text]);
    assert.equal(report.underNat, true);
    assert.equal(report.publicAddress?.ip, '127.0.0.3');
    assert.equal(report.mapping, 'endpoint-independent');
  });

  it('does not call UDP blocked when nobody could be asked', async () => {
    const noNames = await find(openUdp, ['nowhere.invalid'], { resolve: async () => null });
    assert.equal(noNames.udpBlocked, false);
    assert.equal(noNames.type, null);
    const noRoute: OpenUdp = async () => ({
      localPort: 40_000,
      send: async () => {
        throw Object.assign(new Error('send ENETUNREACH'), { code: 'ENETUNREACH' });
      },
      close: () => {},
    });
    const report = await find(noRoute, ['192.0.2.1'], { deadlines: { firstMs: 300 } });
    assert.equal(report.udpBlocked, false);
    assert.match(report.servers[0]?.detail ?? '', /cannot send to 192\.0\.2\.1:3478: send ENETUNREACH/);
  });

  it('calls UDP blocked when a local firewall refuses the packets', async () => {
    const refusing: OpenUdp = async () => ({
      localPort: 40_000,
      send: async () => {
        throw Object.assign(new Error('send EPERM'), { code: 'EPERM' });
      },
      close: () => {},
    });
    const report = await find(refusing, ['192.0.2.1'], { deadlines: { firstMs: 300 } });
    assert.equal(report.udpBlocked, true);
  });

  it('ends at once on abort, with the reason, and frees its sockets', async () => {
    const silent = await serve({ dropFirst: Number.POSITIVE_INFINITY });
    const open = new Set<object>();
    const counting: OpenUdp = async (address, onDatagram) => {
      const port = await openUdp(address, onDatagram);
      const counted = {
        localPort: port.localPort,
        send: port.send,
        close: () => {
          open.delete(counted);
          port.close();
        },
      };
      open.add(counted);
      return counted;
    };
    const abort = new AbortController();
    const reason = new Error('enough');
    const running = find(counting, [silent.text], { signal: abort.signal });
    const rejected = assert.rejects(running, (error) => error === reason);
    abort.abort(reason);
    await rejected;
    assert.equal(open.size, 0);
    await assert.rejects(find(counting, [silent.text], { signal: abort.signal }), (error) => error === reason);
    // In the middle of the filtering tests, too.
    const full = await serve({ dropChange: true });
    const later = new AbortController();
    const half = find(counting, [full.text], { signal: later.signal });
    const halfRejected = assert.rejects(half, (error) => error === reason);
    while (!full.seen.some(({ changeRequest }) => changeRequest)) await new Promise((done) => setTimeout(done, 5));
    later.abort(reason);
    await halfRejected;
    assert.equal(open.size, 0);
  });

  it('refuses what is no server, and addresses that are not here', async () => {
    const isConfig = (error: unknown) => error instanceof CoraxError && error.code === 'CORAX_CONFIG';
    await assert.rejects(find(openUdp, []), isConfig);
    await assert.rejects(find(openUdp, ['stun.example.com:0']), isConfig);
    const isSocket = (error: unknown) => error instanceof CoraxError && error.code === 'CORAX_SOCKET';
    await assert.rejects(find(openUdp, ['192.0.2.1'], { bindAddress: ip('192.0.2.77') }), isSocket);
  });
});
