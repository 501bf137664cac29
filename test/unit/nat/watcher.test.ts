import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseIp } from '#src/model/address.js';
import type { NatReport } from '#src/model/nat.js';
import { NatWatcher, type NatWatcherOptions, sameFindings } from '#src/nat/watcher.js';

const report = (more: Partial<NatReport> = {}): NatReport => ({
  type: 'Full cone NAT',
  mapping: 'endpoint-independent',
  filtering: 'endpoint-independent',
  underNat: true,
  publicAddress: { ip: parseIp('203.0.113.1') as never, port: 1000 },
  udpBlocked: false,
  method: 'behaviour-tests',
  servers: [],
  measuredAtMs: 1,
  ...more,
});
const FULL = report();
const PORT = report({ type: 'Port Restricted cone NAT', filtering: 'address-and-port-dependent' });
const BLOCKED = report({
  type: null,
  mapping: null,
  filtering: null,
  underNat: null,
  publicAddress: null,
  udpBlocked: true,
  method: null,
});

/** A run that the test ends when it likes. */
interface Run {
  readonly signal: AbortSignal;
  /** Resolves when the watcher has taken it. */
  readonly end: (result: NatReport | Error) => Promise<void>;
}

function watch(more: Partial<NatWatcherOptions> = {}) {
  const runs: Run[] = [];
  const reports: NatReport[] = [];
  const errors: unknown[] = [];
  let running = 0;
  let overlapped = false;
  const watcher = new NatWatcher({
    intervalMs: 60_000,
    debounceMs: 5,
    confirmMs: 5,
    onReport: (each) => reports.push(each),
    onError: (error) => errors.push(error),
    discover: (signal) => {
      running += 1;
      overlapped ||= running > 1;
      return new Promise<NatReport>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
        const end = async (result: NatReport | Error) => {
          if (result instanceof Error) reject(result);
          else resolve(result);
          await new Promise((done) => setImmediate(done));
        };
        runs.push({ signal, end });
      }).finally(() => {
        running -= 1;
      });
    },
    ...more,
  });
  const untilRuns = async (count: number): Promise<Run> => {
    while (runs.length < count) await new Promise((done) => setTimeout(done, 1));
    return runs[count - 1] as Run;
  };
  const settle = () => new Promise((done) => setTimeout(done, 30));
  return { watcher, runs, reports, errors, untilRuns, settle, overlapped: () => overlapped };
}

describe('NatWatcher', { timeout: 30_000 }, () => {
  it('runs at once and again after the interval, and passes on only what differs', async () => {
    const { watcher, reports, untilRuns } = watch({ intervalMs: 5 });
    watcher.start();
    watcher.start();
    await (await untilRuns(1)).end(FULL);
    await (await untilRuns(2)).end({
      ...FULL,
      measuredAtMs: 2,
      publicAddress: { ip: parseIp('203.0.113.1') as never, port: 2 },
    });
    const strict = report({ filtering: 'address-dependent' });
    await (await untilRuns(3)).end(strict);
    await (await untilRuns(4)).end(FULL);
    await untilRuns(5);
    assert.deepEqual(reports, [FULL, strict, FULL]);
    assert.equal(watcher.last, FULL);
    await watcher.stop();
  });

  it('many kicks make one run; none before it is quiet', async () => {
    const { watcher, runs, untilRuns, settle } = watch({ debounceMs: 20 });
    watcher.start();
    await (await untilRuns(1)).end(FULL);
    await settle();
    for (let kick = 0; kick < 50; kick += 1) watcher.kick();
    assert.equal(runs.length, 1);
    await (await untilRuns(2)).end(FULL);
    await settle();
    assert.equal(runs.length, 2);
    await watcher.stop();
  });

  it('a kick during a run makes another one after it, and drops what the first measured', async () => {
    const { watcher, reports, untilRuns, overlapped } = watch();
    watcher.start();
    const first = await untilRuns(1);
    watcher.kick();
    await first.end(FULL);
    await (await untilRuns(2)).end(PORT);
    while (reports.length === 0) await new Promise((done) => setTimeout(done, 1));
    assert.deepEqual(reports, [PORT]);
    assert.equal(overlapped(), false);
    await watcher.stop();
  });

  it('a network that never rests still gets a report', async () => {
    const { watcher, reports, untilRuns } = watch();
    watcher.start();
    for (let count = 1; count <= 4; count += 1) {
      const run = await untilRuns(count);
      watcher.kick();
      await run.end(FULL);
    }
    await untilRuns(5);
    assert.deepEqual(reports, [FULL]);
    await watcher.stop();
  });

  it('believes in less than it knew only when a second run says so too', async () => {
    const { watcher, reports, untilRuns } = watch();
    watcher.start();
    await (await untilRuns(1)).end(FULL);
    watcher.kick();
    await (await untilRuns(2)).end(BLOCKED);
    await (await untilRuns(3)).end(FULL);
    watcher.kick();
    await (await untilRuns(4)).end(BLOCKED);
    await (await untilRuns(5)).end(BLOCKED);
    watcher.kick();
    await (await untilRuns(6)).end(PORT);
    watcher.kick();
    await untilRuns(7);
    assert.deepEqual(reports, [FULL, BLOCKED, PORT]);
    await watcher.stop();
  });

  const SYMMETRIC = report({ type: 'Symmetric NAT', mapping: null, filtering: null });
  const sequences: [string, NatReport[], NatReport[]][] = [
    ['one odd run is not believed', [PORT, SYMMETRIC, PORT, SYMMETRIC, PORT], [PORT]],
    ['two that agree are', [PORT, SYMMETRIC, SYMMETRIC, PORT, PORT], [PORT, SYMMETRIC, PORT]],
    ['two odd ones that differ are not', [PORT, SYMMETRIC, FULL, PORT], [PORT]],
    ['one that never comes to rest is', [PORT, SYMMETRIC, FULL, SYMMETRIC, FULL], [PORT, FULL]],
    ['after nothing, anything is', [BLOCKED, SYMMETRIC], [BLOCKED, SYMMETRIC]],
  ];
  for (const [name, found, told] of sequences) {
    it(`another type: ${name}`, async () => {
      const { watcher, reports, untilRuns } = watch({ intervalMs: 5 });
      watcher.start();
      for (const [index, each] of found.entries()) await (await untilRuns(index + 1)).end(each);
      await untilRuns(found.length + 1);
      assert.deepEqual(reports, told);
      await watcher.stop();
    });
  }

  it('another type is looked at again soon', async () => {
    const { watcher, untilRuns, runs, settle } = watch();
    watcher.start();
    await (await untilRuns(1)).end(PORT);
    watcher.kick();
    await (await untilRuns(2)).end(SYMMETRIC);
    await (await untilRuns(3)).end(PORT);
    await settle();
    assert.equal(runs.length, 3, 'and then as seldom as ever');
    await watcher.stop();
  });

  it('goes on after an error', async () => {
    const { watcher, errors, reports, untilRuns } = watch({ intervalMs: 5 });
    const problem = new Error('no socket');
    watcher.start();
    await (await untilRuns(1)).end(problem);
    await (await untilRuns(2)).end(FULL);
    await untilRuns(3);
    assert.deepEqual(errors, [problem]);
    assert.deepEqual(reports, [FULL]);
    await watcher.stop();
  });

  it('stops: the run is aborted, nothing is reported, nothing runs; and may start again', async () => {
    const { watcher, runs, reports, errors, untilRuns, settle } = watch({ intervalMs: 5 });
    watcher.kick();
    await settle();
    assert.equal(runs.length, 0, 'a kick does not start what was not started');
    watcher.start();
    const run = await untilRuns(1);
    const stopped = watcher.stop();
    assert.equal(run.signal.aborted, true);
    await stopped;
    watcher.kick();
    await settle();
    assert.equal(runs.length, 1);
    assert.deepEqual([reports, errors], [[], []]);
    watcher.start();
    await (await untilRuns(2)).end(FULL);
    await untilRuns(3);
    assert.deepEqual(reports, [FULL]);
    const again = watcher.stop();
    watcher.start();
    await again;
    await untilRuns(4);
    await watcher.stop();
  });

  it('spreads its runs', async () => {
    const delays = [0, 0.5, 1].map(async (random) => {
      const { watcher, untilRuns } = watch({ intervalMs: 200, jitter: 0.5, random: () => random });
      watcher.start();
      await (await untilRuns(1)).end(FULL);
      await untilRuns(2);
      await watcher.stop();
      return random;
    });
    const order: number[] = [];
    await Promise.all(delays.map((delay) => delay.then((random) => order.push(random))));
    assert.deepEqual(order, [0, 0.5, 1]);
  });
});

describe('sameFindings', () => {
  const other: Array<[string, Partial<NatReport>, boolean]> = [
    ['the time', { measuredAtMs: 99 }, true],
    ['the port of the probe', { publicAddress: { ip: parseIp('203.0.113.1') as never, port: 7 } }, true],
    ['the public address', { publicAddress: { ip: parseIp('203.0.113.2') as never, port: 1000 } }, false],
    ['the filtering', { filtering: null }, false],
    ['the mapping', { mapping: null }, false],
    ['the type', { type: 'Undefined' }, false],
    ['NAT or not', { underNat: false }, false],
    ['UDP blocked', { udpBlocked: true }, false],
  ];
  for (const [what, more, same] of other) {
    it(`${what} ${same ? 'does not count' : 'counts'}`, () => assert.equal(sameFindings(FULL, report(more)), same));
  }
});
