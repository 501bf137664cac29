import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { Secret } from '#src/model/secret.js';
import { createLogger, peerLogger } from '#src/telemetry/log.js';

function capture(level = 'trace') {
  const lines: string[] = [];
  const logger = createLogger({ level, node: 'edge-a', destination: { write: (line: string) => lines.push(line) } });
  return { logger, lines, last: () => JSON.parse(lines.at(-1) ?? 'null') as Record<string, unknown> };
}

test('a line has level, ISO time, node and message; a peer is found by its gateway', () => {
  const { logger, last } = capture();
  peerLogger(logger, 'gw-b').warn({ rttMs: 3 }, 'hello');
  const { time, ...line } = last();
  assert.deepEqual(line, { level: 'warn', node: 'edge-a', gateway: 'gw-b', rttMs: 3, msg: 'hello' });
  assert.match(String(time), /^\d{4}-\d\d-\d\dT.*Z$/);
});

test('secrets are cut out by name, at every depth that is watched, also in a child and in a list', () => {
  const { logger, lines } = capture();
  for (const key of ['psk', 'presharedKey', 'privateKey', 'token']) {
    logger.info({ [key]: 'hush' });
    logger.info({ peer: { [key]: 'hush' } });
    logger.info({ peers: [{ keys: { [key]: 'hush' } }] });
    logger.info({ a: { b: { c: { [key]: 'hush' } } } });
    logger.child({ [key]: 'hush' }).info('child');
    logger.child({ options: { [key]: 'hush' } }).info('child');
  }
  logger.info({ config: { key: new Secret('hush') } });
  logger.info(`a key in a text: ${new Secret('hush')}`);
  assert.equal(lines.length, 26);
  for (const line of lines) {
    assert.ok(!line.includes('hush'), line);
    assert.ok(line.includes('[secret]'), line);
  }
});

test('the level is kept', () => {
  const { logger, lines } = capture('error');
  logger.warn('no');
  logger.error('yes');
  assert.equal(lines.length, 1);
});

function runScript(under: (script: string) => [string, string[]]): string {
  const source = `
    import { createLogger } from ${JSON.stringify(new URL('../../../src/telemetry/log.ts', import.meta.url).href)};
    const logger = createLogger({ level: 'info', node: 'edge-a' });
    logger.info({ gateway: 'gw-b' }, 'the last word');
    process.kill(process.pid, 'SIGKILL');`;
  const script = `data:text/javascript,${encodeURIComponent(source)}`;
  const [command, args] = under(script);
  const { stdout } = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });
  return stdout;
}

test('JSON where standard output is no terminal, and the last line is out before the process dies', () => {
  const out = runScript((script) => [
    process.execPath,
    ['-C', 'corax-source', '--import', 'tsx', '--import', script, '-e', '0'],
  ]);
  assert.equal(JSON.parse(out).msg, 'the last word');
});

test('lines for the eye on a terminal', () => {
  const out = runScript((script) => {
    const command = [process.execPath, '-C', 'corax-source', '--import', 'tsx', '--import', script, '-e', '0'];
    return ['script', ['-qec', command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' '), '/dev/null']];
  });
  assert.match(out, /\d\d:\d\d:\d\d\.\d{3}\] INFO: the last word/);
  assert.match(out, /gateway: "gw-b"/);
});
