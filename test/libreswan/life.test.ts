/** A pluto of our own from its start to its end, in a network namespace of this test's. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Secret } from '#src/model/secret.js';
import { openEngine } from '#src/native.js';
import type { Standing } from '#src/tunnel/libreswan/book.js';
import { Keeper } from '#src/tunnel/libreswan/keeper.js';
import { removeXfrm } from '#src/tunnel/libreswan/orphans.js';
import { refusalIn } from '#src/tunnel/libreswan/pluto-client.js';
import { type PlutoFiles, plutoFiles } from '#src/tunnel/libreswan/pluto-files.js';
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

  test("somebody else's: used by its socket, watched, and left alone", async (t) => {
    const folders = [mkdtempSync(join(tmpdir(), 'corax-life-')), mkdtempSync(join(tmpdir(), 'corax-life-'))];
    t.after(() => folders.map((folder) => rmSync(folder, { recursive: true })));
    const [theirs, ours] = folders.map((folder) => plutoFiles(folder)) as [PlutoFiles, PlutoFiles];
    let replaced = 0;
    const parts = { psk: new Secret(PSK), replaced: () => undefined };
    const owner = new Keeper({ ...parts, files: theirs, socket: null });
    const guest = new Keeper({
      ...parts,
      files: ours,
      socket: theirs.socket,
      replaced: () => {
        replaced += 1;
      },
    });
    await guest.open();
    assert.match(guest.trouble?.message ?? '', /no pluto at/);
    assert.equal(statSync(ours.directory).mode & 0o777, 0o700, 'the book has its folder');
    assert.ok(!existsSync(ours.secrets), 'the key is not written where nobody reads it');

    await owner.open();
    const checked = async (times: number) => {
      await until(() => {
        guest.check();
        return replaced === times;
      });
      assert.equal(guest.trouble, null);
    };
    await checked(1);
    assert.deepEqual(refusalIn(await guest.client.send({ op: 'showstates' })), null);
    const first = guest.identity;
    process.kill(Number(readFileSync(theirs.pid, 'utf8')), 'SIGKILL');
    await checked(2);
    assert.notEqual(guest.identity, first);

    await guest.end();
    assert.ok(owner.isRunning(), 'it is not ours to end');
    guest.close();
    await owner.end();
    owner.close();
  });

  test("what is removed of the kernel's is what hangs on our interfaces, or is a connection's of ours", async (t) => {
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
    // Of an interface none, but of a connection of ours; and another's of that number.
    add('10.5.0.0/24');
    const connection = { ifId: null, localClient: '10.5.0.0/24', remoteClient: '10.244.2.0/24' };
    await removeXfrm(engine, [{ connection, reqid: 5 } as unknown as Standing]);
    const left = [...run('ip', 'xfrm', 'policy').matchAll(/^src (10\S+)/gm)].map((match) => match[1]).sort();
    assert.deepEqual(left, ['10.3.0.0/24', '10.4.0.0/24']);
  });
}
