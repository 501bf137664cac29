/** The pluto client: wrong arguments throw at once and nothing is sent; replies, time-outs, close; how it lives and dies. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { loadAddon, openPluto, type Pluto, plutoLayouts } from '#src/native.js';
import { until } from './until.js';

const addon = fileURLToPath(new URL('../../build/Release/corax.node', import.meta.url));
const folder = mkdtempSync('/tmp/corax-');
const path = join(folder, 'pluto.ctl');

/** What came, and what is done with whoever sent it. */
let serve: (message: Buffer, socket: Socket) => void;
const messages: Buffer[] = [];
const sockets = new Set<Socket>();
let server: Server;

before(async () => {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.once('data', (message) => {
      messages.push(message);
      serve(message, socket);
    });
  });
  server.listen(path);
  await once(server, 'listening');
});
afterEach(() => {
  messages.length = 0;
});
after(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
  rmSync(folder, { recursive: true });
});

/** Native threads of this process that are pluto clients'. */
function threads(): number {
  return readdirSync('/proc/self/task').filter((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/comm`, 'utf8') === 'corax-pluto\n';
    } catch {
      return false;
    }
  }).length;
}

const end = (changes: object = {}): object => ({
  ...{ id: '@a', host: '192.0.2.1', ikePort: null, client: '10.1.0.0/24' },
  ...changes,
});
const connection = (changes: object = {}): object => ({
  ...{
    local: end(),
    remote: end({ host: '192.0.2.2', client: '10.2.0.0/24' }),
    ifId: null,
    reqid: 1,
    ike: null,
    esp: null,
  },
  ...{ dpdDelayS: 5, dpdAction: 'restart', retransmitTimeoutS: 10, retransmitIntervalMs: 500 },
  ...changes,
});
const on = (rest: object): object => ({ op: 'connection', name: 'n', ...rest });
const adding = (changes: object): object => on({ add: connection(changes) });

describe('arguments', () => {
  const pluto = openPluto(path);
  const send = pluto.send.bind(pluto) as unknown as (...args: unknown[]) => unknown;
  after(() => pluto.close());

  /** A part of what the error must say, and the command. */
  const refused: Array<[RegExp, unknown]> = [
    [/command must be an object/, undefined],
    [/command\.op must be a string/, {}],
    [/command\.op must be 'connection', 'listen'/, { op: 'unlisten' }],
    [/command\.op must be/, { op: 'listen\0' }],
    [/command\.name must be 1 to 512 printable/, { op: 'connection', initiate: true }],
    [/command\.name must be 1 to 512 printable/, on({ name: '', unroute: true })],
    [/command\.name must be 1 to 512 printable/, on({ name: 'a b', terminate: true })],
    [/command\.name must be 1 to 512 printable/, on({ name: 'a\0', terminate: true })],
    [/command\.name must be 1 to 512 printable/, on({ name: 'a\n', terminate: true })],
    [/command\.name must be 1 to 512 printable/, on({ name: '"', delete: true })],
    [/command\.name must be 1 to 512 printable/, on({ name: 'é', delete: true })],
    [/command\.name must be 1 to 512 printable/, on({ name: 'n'.repeat(513), delete: true })],
    [/command\.name must be/, on({ name: 'n'.repeat(1 << 20), delete: true })],
    [/command\.name must be 1 to 512 printable/, on({ name: 7, delete: true })],
    [/command: nothing is to be done/, on({})],
    [/command: nothing is to be done/, on({ delete: false })],
    [/command\.delete must be a boolean/, on({ delete: 1 })],
    [/command\.initiate must be a boolean/, on({ initiate: null })],
    [/command: route and unroute exclude/, on({ route: true, unroute: true })],
    [/command: initiate and terminate exclude/, on({ initiate: true, terminate: true })],
    [/command\.add must be an object/, on({ add: true })],
    [/command\.add\.local must be an object/, adding({ local: undefined })],
    [/command\.add\.local\.id must be 1 to 512/, adding({ local: end({ id: '' }) })],
    [/command\.add\.remote\.id must be 1 to 512/, adding({ remote: end({ id: 'a\nb' }) })],
    [/command\.add\.local\.host must be an IPv4 or IPv6/, adding({ local: end({ host: 'localhost' }) })],
    [/command\.add\.local\.host must be an IPv4 or IPv6/, adding({ local: end({ host: undefined }) })],
    [/command\.add\.local\.ikePort must be a whole number from 1/, adding({ local: end({ ikePort: 0 }) })],
    [/command\.add\.local\.ikePort must be a whole number/, adding({ local: end({ ikePort: 65_536 }) })],
    [/command\.add\.remote\.client must be a CIDR/, adding({ remote: end({ client: '10.0.0.1/8' }) })],
    [/command\.add\.remote\.client must be a CIDR/, adding({ remote: end({ client: null }) })],
    [/command: one end at least/, adding({ local: end({ host: null }), remote: end({ host: null }) })],
    [/command: both hosts must be of one family/, adding({ local: end({ host: '::1' }) })],
    [/command: both clients must be of one family/, adding({ local: end({ client: '::/0' }) })],
    [/dpdDelayS must be a whole number from 1/, adding({ dpdDelayS: 0 })],
    [/dpdDelayS must be a whole number/, adding({ dpdDelayS: 3601 })],
    [/dpdAction must be 'clear' or 'restart'/, adding({ dpdAction: 'hold' })],
    [/dpdAction must be 'clear' or 'restart'/, adding({ dpdAction: undefined })],
    [/retransmitTimeoutS must be a whole number/, adding({ retransmitTimeoutS: 0.5 })],
    [/retransmitIntervalMs must be a whole number/, adding({ retransmitIntervalMs: 60_001 })],
    [/ifId must be a whole number from 1/, adding({ ifId: 0 })],
    [/ifId must be a whole number/, adding({ ifId: 2 ** 31 })],
    [/reqid must be a whole number from 1 to 16383/, adding({ reqid: 0 })],
    [/reqid must be a whole number from 1 to 16383/, adding({ reqid: 16_384 })],
    [/ike must be 1 to 512/, adding({ ike: '' })],
    [/esp must be 1 to 512/, adding({ esp: undefined })],
  ];
  for (const [words, command] of refused) {
    test(`${JSON.stringify(command)?.slice(0, 90)}: ${words.source}`, () => {
      assert.throws(() => send('4.10', command), { name: 'TypeError', message: words });
    });
  }

  test('a layout that was never tried', () => {
    for (const layout of ['', '4.7', '5.0', '5.3', '4.10.1', undefined, 4.1]) {
      assert.throws(() => send(layout, { op: 'listen' }), { name: 'TypeError', message: /layout must be/ });
    }
  });

  test('a path that is none, a time-out that is none, a receiver that is none', () => {
    const { Pluto: Loose } = loadAddon() as unknown as { Pluto: new (...args: unknown[]) => Pluto };
    for (const bad of [undefined, '', 'pluto.ctl', '/a\0b', `/${'x'.repeat(107)}`]) {
      assert.throws(() => new Loose(bad), { name: 'TypeError', message: /socketPath must be/ });
    }
    for (const timeoutMs of [0, -1, 600_001, 1.5, '1', null]) {
      assert.throws(() => new Loose(path, { timeoutMs }), { name: 'TypeError', message: /timeoutMs must be/ });
    }
    assert.throws(() => new Loose(path, 5), { name: 'TypeError', message: /options must be an object/ });
    assert.throws(() => pluto.version.call({} as Pluto), TypeError);
  });

  test('a getter that throws is its own error', () => {
    const trap = {
      get op() {
        throw new RangeError('mine');
      },
    };
    assert.throws(() => send('4.10', trap), { name: 'RangeError', message: 'mine' });
  });

  test('nothing of all that was sent', () => assert.equal(messages.length + sockets.size, 0));
});

describe('replies', () => {
  const answering = (text: string | Buffer) => (_: Buffer, socket: Socket) => socket.end(text);

  test('each layout has its magic, status and version have the basic one', async () => {
    serve = answering('000 pluto_version=4.10, pluto_vendorid=OE-Libreswan-4.10\n');
    const pluto = openPluto(path);
    for (const layout of plutoLayouts()) await pluto.send(layout, { op: 'listen' });
    assert.deepEqual(await pluto.version(), { version: '4.10', vendor: 'OE-Libreswan-4.10' });
    pluto.close();
    assert.deepEqual(
      messages.map((message) => [message.readUInt32LE(0), message.length > 64]),
      [...plutoLayouts().map((layout) => [layout === '5.2' ? 3654091882 : 1869114161, true]), [2003331865, false]],
    );
  });

  test('lines come as numbers and words', async () => {
    serve = answering('002 "n": added\n181 "n" #1: initiating\n000  \n036 "n": failed\n');
    const pluto = openPluto(path);
    assert.deepEqual(await pluto.send('4.10', { op: 'status' }), {
      lines: [
        { code: 2, text: '"n": added' },
        { code: 181, text: '"n" #1: initiating' },
        { code: 0, text: ' ' },
        { code: 36, text: '"n": failed' },
      ],
    });
    pluto.close();
  });

  const bad: Array<[string, RegExp, (message: Buffer, socket: Socket) => void]> = [
    ['cut off', /line 1 is cut off/, answering('002 "n": add')],
    ['binary', /is too long|does not begin|cut off/, answering(Buffer.alloc(100_000, 0xff))],
    ['another protocol', /HTTP\/1\.1 400/, answering('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['huge', /longer than 33554432 bytes/, (_, socket) => flood(socket, '000 x\n'.repeat(10_000))],
    ['of too many lines', /more than 262144 lines/, answering('000 \n'.repeat(300_000))],
    ['none', /without a word: it has probably aborted/, answering('')],
    ['never', /did not answer within 200 ms/, () => {}],
    ['never-ending', /did not end its answer within 200 ms/, (_, socket) => socket.write('000 x\n')],
  ];
  function flood(socket: Socket, text: string): void {
    const more = (): void => {
      while (socket.writable && socket.write(text));
    };
    socket.on('drain', more);
    more();
  }
  for (const [title, words, how] of bad) {
    test(`an answer that is ${title} rejects, and the next one is as ever`, async () => {
      const pluto = openPluto(path, { timeoutMs: title.startsWith('never') ? 200 : 60_000 });
      serve = how;
      await assert.rejects(pluto.send('4.10', { op: 'status' }), { code: 'CORAX_PLUTO', message: words });
      serve = answering('000 fine\n');
      assert.deepEqual(await pluto.send('4.10', { op: 'status' }), { lines: [{ code: 0, text: 'fine' }] });
      pluto.close();
      await until(() => sockets.size === 0);
    });
  }

  test('the event loop turns while pluto is silent, and commands wait for each other', async () => {
    const held: Socket[] = [];
    serve = (_, socket) => held.push(socket);
    const pluto = openPluto(path);
    const order: number[] = [];
    const all = [0, 1, 2].map((index) => pluto.send('5.2', { op: 'showstates' }).then(() => order.push(index)));
    for (let index = 0; index < 3; index += 1) {
      await until(() => held.length === index + 1);
      assert.equal(sockets.size, 1);
      held[index]?.end();
      await all[index];
    }
    assert.deepEqual(order, [0, 1, 2]);
    pluto.close();
  });
});

describe('life', () => {
  test('close ends a read, rejects what is pending, ends the thread, and may be called again', async () => {
    serve = () => {};
    const pluto = openPluto(path);
    const pending = [pluto.version(), pluto.send('5.2', { op: 'listen' }), pluto.send('4.8', { op: 'shutdown' })];
    await until(() => messages.length === 1);
    assert.equal(threads(), 1);
    pluto.close();
    pluto.close();
    assert.equal(threads(), 0);
    for (const promise of pending) await assert.rejects(promise, { code: 'CORAX_CLOSED' });
    await assert.rejects(pluto.version(), { code: 'CORAX_CLOSED' });
    assert.equal(messages.length, 1);
  });

  const script = (body: string): ReturnType<typeof spawnSync> =>
    spawnSync(
      process.execPath,
      ['--expose-gc', '--eval', `const { Pluto } = require(${JSON.stringify(addon)});\n${body}`],
      {
        encoding: 'utf8',
        timeout: 60_000,
      },
    );

  test('a process that waits for nothing of pluto ends; one that waits gets its answer first', () => {
    for (const body of [
      'new Pluto("/nowhere");',
      'globalThis.kept = new Pluto("/nowhere"); process.exitCode = 0;',
      'new Pluto("/nowhere").version().then(() => process.exit(1), (e) => process.exit(e.code === "CORAX_PLUTO" ? 0 : 2));',
      'new Pluto("/nowhere").version(); process.exit(0);',
      'for (let i = 0; i < 200; i++) new Pluto("/nowhere"); gc(); setImmediate(() => gc());',
    ]) {
      const { status, stderr } = script(body);
      assert.equal(status, 0, `${body}\n${stderr}`);
    }
  });

  test('a worker that is terminated in mid-read leaves no thread', async () => {
    serve = () => {};
    const body = `const { Pluto } = require(${JSON.stringify(addon)}); new Pluto(${JSON.stringify(path)}).version();`;
    const worker = new Worker(body, { eval: true });
    await until(() => messages.length === 1);
    assert.equal(threads(), 1);
    await worker.terminate();
    assert.equal(threads(), 0);
  });
});
