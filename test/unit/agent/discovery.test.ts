/** The tap is open for as long as a discovery runs, and no longer, however it ends. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { discoverBehindFirewall, type TapLink } from '#src/agent/discovery.js';
import { CoraxError } from '#src/errors.js';
import { openUdp } from '#src/nat/udp.js';
import { ip, startServer } from '../nat/stun-server.js';

interface FakeTap extends TapLink {
  readonly calls: boolean[];
  readonly failures: unknown[];
  readonly listeners: Set<unknown>;
}

function fakeTap(fails: { on?: Error; off?: Error } = {}): FakeTap {
  const calls: boolean[] = [];
  const failures: unknown[] = [];
  const listeners = new Set<unknown>();
  const stunTap = async (on: boolean) => {
    calls.push(on);
    const error = on ? fails.on : fails.off;
    if (error) throw error;
  };
  const onRaw: TapLink['onRaw'] = (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  return { engine: { stunTap }, onRaw, failed: (error) => failures.push(error), calls, failures, listeners };
}

describe('discovery past the firewall', async () => {
  const server = await startServer();
  after(() => server.close());
  const options = { servers: [server.text], localAddresses: [ip('127.0.0.1')] };

  it('opens the tap, listens on every port, and closes it', async () => {
    const tap = fakeTap();
    let most = 0;
    const report = await discoverBehindFirewall(tap, {
      ...options,
      open: (address, onDatagram) =>
        openUdp(address, (bytes, from) => {
          most = Math.max(most, tap.listeners.size);
          onDatagram(bytes, from);
        }),
    });
    assert.equal(report.underNat, false);
    assert.deepEqual(tap.calls, [true, false]);
    assert.ok(most >= 2, 'the mapping tests and the filtering tests');
    assert.equal(tap.listeners.size, 0);
    assert.deepEqual(tap.failures, []);
  });

  it('closes it when the discovery throws', async () => {
    const tap = fakeTap();
    await assert.rejects(discoverBehindFirewall(tap, { servers: [] }), { code: 'CORAX_CONFIG' });
    await assert.rejects(
      discoverBehindFirewall(tap, {
        ...options,
        open: async () => {
          throw new CoraxError('CORAX_SOCKET', 'no port');
        },
      }),
      { code: 'CORAX_SOCKET' },
    );
    assert.deepEqual(tap.calls, [true, false, true, false]);
    assert.equal(tap.listeners.size, 0);
  });

  it('closes it on abort, and does not open it for one that was aborted before', async () => {
    const tap = fakeTap();
    const abort = new AbortController();
    const run = discoverBehindFirewall(tap, {
      ...options,
      signal: abort.signal,
      // No answer ever: only the abort ends it before its deadline.
      open: async () => ({ localPort: 40_000, send: async () => abort.abort(new Error('stop')), close: () => {} }),
    });
    await assert.rejects(run, /stop/);
    assert.deepEqual(tap.calls, [true, false]);
    await assert.rejects(discoverBehindFirewall(tap, { ...options, signal: abort.signal }), /stop/);
    assert.deepEqual(tap.calls, [true, false]);
    assert.equal(tap.listeners.size, 0);
  });

  it('goes on without a tap that cannot be opened, and says so', async () => {
    const refused = new Error('Operation not permitted');
    const tap = fakeTap({ on: refused });
    const report = await discoverBehindFirewall(tap, options);
    assert.equal(report.underNat, false);
    assert.deepEqual(tap.failures, [refused]);
    assert.deepEqual(tap.calls, [true]);
  });

  it('says so when the tap cannot be closed, unless the engine was', async () => {
    const full = new CoraxError('CORAX_QUEUE_FULL', 'too much to do');
    const tap = fakeTap({ off: full });
    assert.equal((await discoverBehindFirewall(tap, options)).underNat, false);
    assert.deepEqual(tap.failures, [full]);
    const closed = fakeTap({ off: new CoraxError('CORAX_CLOSED', 'closed') });
    assert.equal((await discoverBehindFirewall(closed, options)).underNat, false);
    assert.deepEqual(closed.failures, []);
  });
});
