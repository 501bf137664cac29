/** A pluto of our own from its start to its end, in a network namespace of this test's. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Secret } from '#src/model/secret.js';
import { openEngine } from '#src/native.js';
import { Keeper } from '#src/tunnel/libreswan/keeper.js';
import { removeXfrm } from '#src/tunnel/libreswan/orphans.js';
import { plutoFiles } from '#src/tunnel/libreswan/pluto-files.js';
import { inOwnNamespace, command as run } from '../native/namespace.js';
import { until } from '../native/until.js';

const PSK = 'a key that nobody sees';

if (inOwnNamespace(import.meta.url)) {
  run('ip', 'link', 'set', 'lo', 'up');

  test('started, killed and started again, left to the next agent, ended', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'corax-life-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const files = plutoFiles(folder);
    let replaced = 0;
    const open = (psk: string) =>
      new Keeper({
        files,
        psk: new Secret(psk),
        socket: null,
        replaced: () => {
          replaced += 1;
        },
      });
    const first = open(PSK);
    await first.open();
    const born = first.identity;
    const pid = () => Number(readFileSync(files.pid, 'utf8'));
    assert.ok(born !== null && first.trouble === null);
    assert.equal(statSync(files.secrets).mode & 0o777, 0o600);
    const seen = ['cmdline', 'environ'].map((what) => readFileSync(`/proc/${pid()}/${what}`, 'utf8'));
    assert.ok(
      seen.every((text) => !text.includes(PSK)),
      'no key where others may look',
    );
    const session = (of: number) => readFileSync(`/proc/${of}/stat`, 'utf8').split(') ')[1]?.split(' ')[3];
    assert.notEqual(session(pid()), session(process.pid), 'it has a session of its own');

    process.kill(pid(), 'SIGKILL');
    await until(() => replaced === 1);
    assert.ok(first.identity !== null && first.identity !== born, 'another one, by itself');
    const second = first.identity;
    first.close();

    const next = open('another key');
    await next.open();
    assert.equal(next.identity, second, 'the next agent takes it up');
    assert.match(readFileSync(files.secrets, 'utf8'), /another key/);
    await next.end();
    assert.equal(next.isRunning(), false);
    next.close();
    assert.equal(replaced, 1);
  });

  test("what is removed of the kernel's is what hangs on our interfaces", async (t) => {
    const engine = openEngine(() => undefined);
    t.after(() => engine.close());
    const add = (subnet: string, ...more: string[]) => {
      const selector = ['src', subnet, 'dst', '10.244.2.0/24', 'dir', 'out', ...more];
      const template = ['tmpl', 'src', '192.0.2.1', 'dst', '192.0.2.2', 'proto', 'esp', 'reqid', '5', 'mode', 'tunnel'];
      run('ip', 'xfrm', 'policy', 'add', ...selector, ...template);
    };
    add('10.1.0.0/24', 'if_id', '4500');
    add('10.2.0.0/24', 'if_id', '4501');
    add('10.3.0.0/24', 'if_id', '4502');
    add('10.4.0.0/24');
    await removeXfrm(engine);
    const left = [...run('ip', 'xfrm', 'policy').matchAll(/^src (10\S+)/gm)].map((match) => match[1]).sort();
    assert.deepEqual(left, ['10.3.0.0/24', '10.4.0.0/24']);
  });
}
