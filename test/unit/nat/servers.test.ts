import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CoraxError } from '#src/errors.js';
import { parseStunServer, resolveServer } from '#src/nat/servers.js';

describe('STUN servers', { timeout: 30_000 }, () => {
  const good: Array<[string, string, number]> = [
    ['192.0.2.1', '192.0.2.1', 3478],
    ['192.0.2.1:3479', '192.0.2.1', 3479],
    ['stun.example.com', 'stun.example.com', 3478],
    ['stun-1.example.com.:19302', 'stun-1.example.com.', 19302],
    ['stun_a.default.svc:1', 'stun_a.default.svc', 1],
    ['localhost:65535', 'localhost', 65535],
  ];
  for (const [text, host, port] of good) {
    it(`takes ${text}`, () => assert.deepEqual(parseStunServer(text), { text, host, port }));
  }

  const bad = [
    '',
    ':3478',
    'host:',
    'host:0',
    'host:65536',
    'host:-1',
    'host:1e3',
    'host:3478:3479',
    '300.1.1.1',
    '1.2.3:3478',
    '[2001:db8::1]:3478',
    '2001:db8::1',
    'stun:stun.example.com',
    'a b',
    '-x',
    'a..b',
    'a\u0000b',
    'x'.repeat(300),
    `${'a.'.repeat(130)}a`,
  ];
  for (const text of bad) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      const isConfig = (error: unknown) => error instanceof CoraxError && error.code === 'CORAX_CONFIG';
      assert.throws(() => parseStunServer(text), isConfig);
    });
  }

  it('checks a hostile name in no time', () => {
    const start = performance.now();
    for (const text of [`${'a'.repeat(60_000)}!`, `${'a-'.repeat(120)}!`, `${'a.'.repeat(126)}!`]) {
      assert.throws(() => parseStunServer(text));
    }
    assert.ok(performance.now() - start < 5000);
  });

  const never = new AbortController().signal;

  it('needs no DNS for an address', async () => {
    const address = await resolveServer(parseStunServer('192.0.2.1:5'), 1, never);
    assert.deepEqual(address, { ip: '192.0.2.1', port: 5 });
  });

  it('finds what the hosts file has', async () => {
    assert.deepEqual(await resolveServer(parseStunServer('localhost:5'), 20_000, never), { ip: '127.0.0.1', port: 5 });
  });

  it('gives up in time and on abort', async () => {
    // ".invalid" never resolves (RFC 6761 6.4); whether DNS answers that or nothing at all, the limit holds.
    const name = parseStunServer('stun.invalid');
    assert.equal(await resolveServer(name, 300, never), null);
    const abort = new AbortController();
    const resolving = resolveServer(name, 600_000, abort.signal);
    abort.abort();
    assert.equal(await resolving, null);
    assert.equal(await resolveServer(name, 600_000, abort.signal), null);
  });
});
