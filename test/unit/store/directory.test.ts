import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { parseIp } from '#src/model/address.js';
import { type DirectoryOptions, DirectoryStore } from '#src/store/directory.js';
import { storeConformance } from './conformance.js';
import { type GatewayFile, gatewayFile, Recorder, until } from './recorder.js';

/** Writes as a careful person does: in whole. */
async function put(folder: string, file: string, text: string): Promise<void> {
  const temporary = join(folder, `.${file}.${process.pid}`);
  await writeFile(temporary, text);
  fs.renameSync(temporary, join(folder, file));
}

for (const format of ['yaml', 'json'] as const) {
  storeConformance(`directory store, ${format}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'corax-store-'));
    const path = (name: string) => join(folder, `${name}.${format}`);
    return {
      store: () => new DirectoryStore(folder),
      put: (gateway) => {
        const text = format === 'yaml' ? stringify(gateway) : JSON.stringify(gateway, null, 2);
        return put(folder, `${gateway.metadata.name}.${format}`, text);
      },
      remove: (name) => rm(path(name)),
      read: async (name) => {
        const text = await readFile(path(name), 'utf8');
        return (format === 'yaml' ? parse(text) : JSON.parse(text)) as GatewayFile;
      },
      close: () => rm(folder, { recursive: true }),
    };
  });
}

async function openFolder(t: TestContext) {
  const parent = await mkdtemp(join(tmpdir(), 'corax-store-'));
  const folder = join(parent, 'gateways');
  fs.mkdirSync(folder);
  t.after(() => rm(parent, { recursive: true }));
  return { parent, folder, at: (file: string) => join(folder, file) };
}

async function begin(t: TestContext, folder: string, options?: DirectoryOptions) {
  const store = new DirectoryStore(folder, options);
  const seen = new Recorder();
  t.after(() => store.stop());
  await store.start(seen.onChange);
  return { store, seen };
}

const text = (name: string, site: number) => stringify(gatewayFile(name, site));
const changed = (change: (gateway: GatewayFile) => void) => {
  const gateway = gatewayFile('gw-bad', 9);
  change(gateway);
  return stringify(gateway);
};
const tunnel = (gateway: GatewayFile) => gateway.spec.endpoints[1] as Record<string, unknown>;

describe('hostile folder', () => {
  type Maker = string | Buffer | ((path: string) => unknown);
  /** File, what is in it, name of the refusal, where, why. */
  const table: [string, Maker, string, string, RegExp][] = [
    ['empty.yaml', '', 'empty', 'empty.yaml:1', /holds nothing/],
    ['only-comment.yaml', '# later\n', 'only-comment', 'only-comment.yaml:1', /holds nothing/],
    [
      'broken.yaml',
      'apiVersion: raven.openyurt.io/v1beta1\nkind: Gateway\nmetadata: {name: "gw\n',
      'broken',
      'broken.yaml:4',
      /not YAML: Missing closing "quote/,
    ],
    ['tab.yml', 'spec:\n\tendpoints: []\n', 'tab', 'tab.yml:2', /not YAML: Tabs are not allowed/],
    ['twice.yaml', `${text('gw-bad', 9)}kind: Gateway\n`, 'twice', 'twice.yaml:29', /the key "kind" is there twice/],
    ['deep.yaml', '['.repeat(500_000), 'deep', 'deep.yaml:1', /nested over 64 deep/],
    ['deep-block.yaml', '- '.repeat(8000), 'deep-block', 'deep-block.yaml:1', /nested over 64 deep/],
    [
      'bomb.yaml',
      Array.from({ length: 9 }, (_, i) => `a${i}: &a${i} [${Array(9).fill(i === 0 ? 'x' : `*a${i - 1}`)}]\n`).join(''),
      'bomb',
      'bomb.yaml',
      /Excessive alias count/,
    ],
    ['aliases.yaml', `a: &a x\nb:\n${'  - *a\n'.repeat(101)}`, 'aliases', 'aliases.yaml:103', /over 100 YAML aliases/],
    ['nowhere.yaml', 'a:\n  - *b\n', 'nowhere', 'nowhere.yaml:2', /alias "b" leads nowhere/],
    ['many.yaml', `${text('gw-bad', 9)}---\n${text('gw-bad2', 10)}`, 'many', 'many.yaml:29', /not several documents/],
    [
      'list.yaml',
      'apiVersion: v1\nkind: List\nitems: []\n',
      'list',
      'list.yaml',
      /kind "List": a file holds one Gateway/,
    ],
    [
      'pod.yaml',
      'apiVersion: v1\nkind: Pod\nmetadata: {name: nginx}\n',
      'nginx',
      'pod.yaml:1',
      /apiVersion "v1": must be raven.openyurt.io/,
    ],
    [
      'old.yaml',
      changed((g) => Object.assign(g, { apiVersion: 'raven.openyurt.io/v1alpha1' })),
      'gw-bad',
      'old.yaml:1',
      /must be raven\.openyurt\.io\/v1beta1/,
    ],
    ['text.yaml', 'hello\n', 'text', 'text.yaml:1', /"hello": must be a map/],
    ['broken.json', '{"kind": "Gateway",\n"spec": }', 'broken', 'broken.json:2', /^not JSON: Unexpected token/],
    ['half.json', '{"kind": "Gateway",\n"spec": {', 'half', 'half.json:2', /^not JSON:/],
    ['yaml.json', 'kind: Gateway\n', 'yaml', 'yaml.json:1', /^not JSON:/],
    [
      'port.json',
      `{"apiVersion": "raven.openyurt.io/v1beta1", "kind": "Gateway",\n"metadata":\n\t{"name": "gw-json"},\n"spec": {"endpoints": 5}}`,
      'gw-json',
      'port.json:4',
      /endpoints 5: must be a list/,
    ],
    ['latin1.yaml', Buffer.from('kind: Gateway # \xe9\n', 'latin1'), 'latin1', 'latin1.yaml', /not UTF-8/],
    ['zeros.yaml', Buffer.alloc(4096), 'zeros', 'zeros.yaml', /NUL bytes/],
    ['utf16.yaml', Buffer.from('\ufeffkind: Gateway\n', 'utf16le'), 'utf16', 'utf16.yaml', /NUL bytes|not UTF-8/],
    [
      'huge.yaml',
      (path) => execFileSync('truncate', ['-s', '5000000000000', path]),
      'huge',
      'huge.yaml',
      /5000000000000 bytes, over the limit of 1 MiB/,
    ],
    ['folder.yaml', (path) => fs.mkdirSync(path), 'folder', 'folder.yaml', /not a regular file but a directory/],
    ['pipe.yaml', (path) => execFileSync('mkfifo', [path]), 'pipe', 'pipe.yaml', /not a regular file but a named pipe/],
    ['loop.yaml', (path) => fs.symlinkSync('loop.yaml', path), 'loop', 'loop.yaml', /leads to itself/],
    ['dangling.yaml', (path) => fs.symlinkSync('nothing', path), 'dangling', 'dangling.yaml', /leads nowhere/],
    [
      'device.yaml',
      (path) => fs.symlinkSync('/dev/zero', path),
      'device',
      'device.yaml',
      /not a regular file but a device/,
    ],
    [
      'everything.yaml',
      changed((g) => Object.assign(g.status.nodes[0] as object, { subnets: ['0.0.0.0/0'] })),
      'gw-bad',
      'everything.yaml:25',
      /"0\.0\.0\.0\/0": is the default route/,
    ],
    [
      'port0.yaml',
      changed((g) => Object.assign(tunnel(g), { publicPort: 0 })),
      'gw-bad',
      'port0.yaml:20',
      /publicPort 0: is not a port/,
    ],
    [
      'port70000.yaml',
      changed((g) => Object.assign(tunnel(g), { publicPort: 70000 })),
      'gw-bad',
      'port70000.yaml:20',
      /publicPort 70000: is not a port/,
    ],
    [
      'key.yaml',
      changed((g) => Object.assign(tunnel(g), { config: { publicKey: 'secret' } })),
      'gw-bad',
      'key.yaml:19',
      /publicKey "secret": is not a WireGuard public key/,
    ],
    [
      'ip.yaml',
      changed((g) => Object.assign(tunnel(g), { publicIP: '224.0.0.1' })),
      'gw-bad',
      'ip.yaml:20',
      /publicIP "224\.0\.0\.1": is not a unicast/,
    ],
    [
      'name.yaml',
      changed((g) => Object.assign(g.metadata, { name: 'A\u001b[2J' })),
      'name',
      'name.yaml:4',
      /metadata\.name "A\\u001b\[2J": is not a DNS-1123/,
    ],
    ['no\nline.yaml', '', 'no\\u000aline', 'no\\u000aline.yaml:1', /holds nothing/],
  ];

  for (const [file, content, name, source, reason] of table) {
    test(`${JSON.stringify(file)} is refused, and the rest works`, async (t) => {
      const { folder, at } = await openFolder(t);
      await put(folder, 'good.yaml', text('gw-good', 1));
      if (typeof content === 'function') content(at(file));
      else await writeFile(at(file), content);
      const { store, seen } = await begin(t, folder);
      assert.ok(store.health().synced);
      assert.deepEqual(seen.names, ['gw-good']);
      assert.equal(seen.refusals.length, 1);
      const [refusal] = seen.refusals;
      assert.equal(refusal?.name, name);
      assert.match(refusal?.reason ?? '', reason);
      assert.equal(refusal?.source, source);
      // A Pod asks nothing of us; what else is refused may be a Gateway, of which there never was a good version.
      assert.equal(seen.batches.at(-1)?.unread, file !== 'pod.yaml');
      // And the store goes on.
      await put(folder, 'next.yaml', text('gw-next', 2));
      await until('the next one is there', () => seen.gateways.has('gw-next'));
    });
  }

  test('a name that is not UTF-8', async (t) => {
    const { folder } = await openFolder(t);
    fs.writeFileSync(
      Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff]), Buffer.from('.yaml')]),
      text('gw-x', 1),
    );
    const { seen } = await begin(t, folder);
    assert.match(seen.refusals[0]?.reason ?? '', /its name is not UTF-8/);
  });

  test('a file that nobody may read', {
    skip: process.getuid?.() !== 0 && 'needs root to become nobody',
  }, async (t) => {
    const { parent, folder, at } = await openFolder(t);
    fs.chmodSync(parent, 0o755);
    await put(folder, 'good.yaml', text('gw-good', 1));
    await put(folder, 'secret.yaml', text('gw-secret', 2));
    fs.chmodSync(at('secret.yaml'), 0);
    process.seteuid?.('nobody');
    const { seen } = await begin(t, folder).finally(() => process.seteuid?.(0));
    assert.deepEqual(seen.names, ['gw-good']);
    assert.match(seen.refusal('secret')?.reason ?? '', /no permission/);
  });

  test('what is no Gateway file is not looked at', async (t) => {
    const { folder, at } = await openFolder(t);
    for (const file of [
      'README.md',
      '.hidden.yaml',
      '.gw.yaml.swp',
      'gw.yaml~',
      'gw.yaml.orig',
      '.corax-lock-x',
      '.corax-tmp-x',
    ]) {
      await writeFile(at(file), 'broken: [');
    }
    const { store, seen } = await begin(t, folder);
    assert.deepEqual(seen.batches, [{ synced: true, upserted: [], refused: [], removed: [], unread: false }]);
    assert.equal(store.health().reads, 0);
  });

  test('a big file of a big site is read, and written, off the event loop', async (t) => {
    const { folder } = await openFolder(t);
    const big = gatewayFile('gw-big', 0);
    big.status.nodes = Array.from({ length: 4000 }, (_, i) => ({
      nodeName: `n${i}`,
      privateIP: '192.168.1.2',
      subnets: [`10.${i >> 8}.${i & 255}.0/24`],
    }));
    await put(folder, 'big.yaml', `# by hand\n${stringify(big)}`);
    const store = new DirectoryStore(folder);
    const seen = new Recorder();
    t.after(() => store.stop());
    let turns = 0;
    let running = true;
    const turn = () => {
      turns += 1;
      if (running) setImmediate(turn);
    };
    turn();
    await store.start(seen.onChange);
    running = false;
    assert.ok(turns > 10, `the event loop turned ${turns} times meanwhile`);
    assert.equal(seen.gateways.get('gw-big')?.nodes.length, 4000);
    await store.publish({ gateway: 'gw-big', nodeName: 'gw-big-node', set: { publicPort: 4500 } });
    await until('it is seen', () => seen.gateways.get('gw-big')?.endpoints.length === 1 && store.health().reads > 1);
    const written = await readFile(join(folder, 'big.yaml'), 'utf8');
    assert.ok(written.startsWith('# by hand\n'));
    assert.match(written, /publicPort: 4500\n/);
  });
});

describe('a file of which there never was a good version', () => {
  test('is told of, until it is repaired or gone', async (t) => {
    const { folder, at } = await openFolder(t);
    await put(folder, 'a.yaml', 'broken: [');
    const { seen } = await begin(t, folder);
    const unread = () => seen.batches.at(-1)?.unread;
    assert.equal(unread(), true);
    assert.match(seen.refusal('a')?.reason ?? '', /nothing is deleted that may be its$/);
    await put(folder, 'a.yaml', text('gw-a', 1));
    await until('it is read', () => unread() === false);
    // Now there is a good version, and it stays in force.
    await put(folder, 'a.yaml', 'broken: [');
    await until('it is refused', () => seen.refusals.length === 2);
    assert.equal(unread(), false);
    await put(folder, 'b.yaml', 'broken: [');
    await until('b is refused', () => unread() === true);
    fs.rmSync(at('b.yaml'));
    await until('b is gone, with nothing else to tell', () => unread() === false);
    assert.deepEqual(seen.batches.at(-1), { synced: true, upserted: [], refused: [], removed: [], unread: false });
  });
});

test('a draft under a hidden name is no reason to look at the whole folder', async (t) => {
  const { folder, at } = await openFolder(t);
  await put(folder, 'a.yaml', text('gw-a', 1));
  const { store, seen } = await begin(t, folder, { rescanMs: 3_600_000 });
  const { lastSync } = store.health();
  await writeFile(at('.gw-b.yaml.Xyz123'), text('gw-b', 2));
  fs.renameSync(at('.gw-b.yaml.Xyz123'), at('gw-b.yaml'));
  await until('it is there', () => seen.gateways.has('gw-b'));
  assert.equal(store.health().lastSync, lastSync, 'by that file alone');
  await writeFile(at('README.md'), 'anything else');
  await until('the whole folder was looked at', () => store.health().lastSync !== lastSync);
});

describe('two files, one gateway', () => {
  test('the first by file name in byte order counts, whatever comes and goes', async (t) => {
    const { folder, at } = await openFolder(t);
    // In UTF-16 order U+FF5E comes after U+1F600, in byte order before it.
    const [first, second] = ['\uff5e.yaml', '\u{1f600}.yaml'];
    await put(folder, second, text('gw-a', 2));
    const { store, seen } = await begin(t, folder);
    const subnet = () => seen.gateways.get('gw-a')?.subnets[0];
    assert.equal(subnet(), '10.64.2.0/24');

    await put(folder, first, text('gw-a', 1));
    await until('the first counts', () => subnet() === '10.64.1.0/24');
    await until('the other is refused', () => store.health().refused.length === 1);
    assert.match(
      seen.refusal('gw-a')?.reason ?? '',
      /has a gateway of this name already; the first by file name counts/,
    );
    assert.equal(seen.refusal('gw-a')?.source, second);

    // Broken, the first still counts.
    await put(folder, first, 'broken: [');
    await until('it is refused too', () => store.health().refused.length === 2);
    assert.equal(subnet(), '10.64.1.0/24');

    fs.rmSync(at(first));
    await until('the second counts', () => subnet() === '10.64.2.0/24');
    await until('nothing is refused', () => store.health().refused.length === 0);
    assert.ok(!seen.since(0).includes('-gw-a'));
  });

  test('a file that is renamed, and one that gets another gateway', async (t) => {
    const { folder, at } = await openFolder(t);
    await put(folder, 'a.yaml', text('gw-a', 1));
    const { seen } = await begin(t, folder);
    fs.renameSync(at('a.yaml'), at('b.yaml'));
    await put(folder, 'c.yaml', text('gw-c', 3));
    await until('c is there', () => seen.gateways.has('gw-c'));
    assert.deepEqual(seen.names, ['gw-a', 'gw-c']);
    await put(folder, 'b.yaml', text('gw-b', 1));
    await until('b is there', () => seen.gateways.has('gw-b'));
    assert.deepEqual(seen.names, ['gw-b', 'gw-c']);
  });
});

const swap = (make: (path: string, content: '') => unknown) => (folder: string) => {
  fs.renameSync(folder, `${folder}-old`);
  make(folder, '');
};

describe('unknown is not empty', () => {
  const quick = { checkMs: 20, rescanMs: 100 };

  test('a folder that is not there yet', async (t) => {
    const { parent, folder } = await openFolder(t);
    fs.rmdirSync(folder);
    const { store, seen } = await begin(t, folder, quick);
    assert.equal(store.health().synced, false);
    assert.match(store.health().lastError?.message ?? '', /cannot be read: ENOENT/);
    await assert.rejects(store.publish({ gateway: 'gw-a', nodeName: 'n', set: {} }), { code: 'CORAX_STORE' });
    assert.deepEqual(seen.batches, []);
    const filled = join(parent, 'filled');
    fs.mkdirSync(filled);
    await put(filled, 'a.yaml', text('gw-a', 1));
    fs.renameSync(filled, folder);
    await until('it is read', () => seen.gateways.has('gw-a'));
    assert.equal(store.health().lastError, null);
    await put(folder, 'b.yaml', text('gw-b', 2));
    await until('it is watched', () => seen.gateways.has('gw-b'));
  });

  for (const [how, vanish] of [
    ['moved away', (folder: string) => fs.renameSync(folder, `${folder}-old`)],
    ['deleted', (folder: string) => fs.rmSync(folder, { recursive: true })],
    ['a file now', swap(fs.writeFileSync)],
    ['empty now', swap((path) => fs.mkdirSync(path))],
  ] as const) {
    test(`a folder that is ${how} removes nothing, and is taken up again`, async (t) => {
      const { parent, folder } = await openFolder(t);
      await put(folder, 'a.yaml', text('gw-a', 1));
      await put(folder, 'b.yaml', text('gw-b', 2));
      const { store, seen } = await begin(t, folder, quick);
      const before = seen.batches.length;
      vanish(folder);
      await until('it is noticed', () => store.health().lastError !== null);
      assert.match(store.health().lastError?.message ?? '', /stays in force/);
      const failed = store.health().lastError?.at;
      await until('it was looked at again', () => store.health().lastError?.at !== failed);
      assert.deepEqual(seen.names, ['gw-a', 'gw-b']);

      const filled = join(parent, 'filled');
      fs.mkdirSync(filled);
      await put(filled, 'b.yaml', text('gw-b', 3));
      fs.rmSync(folder, { recursive: true, force: true });
      fs.renameSync(filled, folder);
      await until('the new one counts', () => !seen.gateways.has('gw-a'));
      assert.deepEqual(new Set(seen.since(before)), new Set(['+gw-b', '-gw-a']));
      assert.equal(store.health().lastError, null);
      await put(folder, 'c.yaml', text('gw-c', 4));
      await until('it is watched', () => seen.gateways.has('gw-c'));
    });
  }

  test('a folder made empty file by file is empty', async (t) => {
    const { folder, at } = await openFolder(t);
    await put(folder, 'a.yaml', text('gw-a', 1));
    const { seen } = await begin(t, folder, quick);
    fs.rmSync(at('a.yaml'));
    await until('it is gone', () => seen.gateways.size === 0);
  });
});

describe('changes that no event tells', () => {
  test('links swapped as Kubernetes swaps a mounted ConfigMap', async (t) => {
    const { folder, at } = await openFolder(t);
    for (const [version, site] of [
      ['..1', 1],
      ['..2', 2],
    ] as const) {
      fs.mkdirSync(at(version));
      await put(at(version), 'a.yaml', text('gw-a', site));
    }
    fs.symlinkSync('..1', at('..data'));
    fs.symlinkSync('..data/a.yaml', at('a.yaml'));
    const { seen } = await begin(t, folder);
    assert.deepEqual(seen.gateways.get('gw-a')?.subnets, ['10.64.1.0/24']);
    fs.symlinkSync('..2', at('..tmp'));
    fs.renameSync(at('..tmp'), at('..data'));
    await until('the second version counts', () => seen.gateways.get('gw-a')?.subnets[0] === '10.64.2.0/24');
  });

  test('what a link leads to: found by looking again, written through the link', async (t) => {
    const { parent, folder, at } = await openFolder(t);
    await put(parent, 'elsewhere.yaml', text('gw-a', 1));
    fs.symlinkSync('../elsewhere.yaml', at('a.yaml'));
    const { store, seen } = await begin(t, folder, { rescanMs: 50 });
    await put(parent, 'elsewhere.yaml', text('gw-a', 2));
    await until('it is found', () => seen.gateways.get('gw-a')?.subnets[0] === '10.64.2.0/24');
    await store.publish({ gateway: 'gw-a', nodeName: 'gw-a-node', set: { publicPort: 4500 } });
    assert.ok(fs.lstatSync(at('a.yaml')).isSymbolicLink());
    assert.match(fs.readFileSync(join(parent, 'elsewhere.yaml'), 'utf8'), /publicPort: 4500/);
    assert.deepEqual(fs.readdirSync(parent).sort(), ['elsewhere.yaml', 'gateways']);
  });
});

describe('publishing into files', () => {
  const patch = (set: object) => ({ gateway: 'gw-a', nodeName: 'gw-a-node', set });

  test('keeps comments, order, quoting, line ends, mode; leaves nothing behind', async (t) => {
    const { folder, at } = await openFolder(t);
    const before = `# the site by the lake\r\n${text('gw-a', 1)
      .replace('underNAT: true', 'underNAT: true   # a cheap router')
      .replace('note: ', '"note": ')
      .replaceAll('\n', '\r\n')}# the end`;
    await writeFile(at('a.yaml'), before);
    fs.chmodSync(at('a.yaml'), 0o640);
    const { store } = await begin(t, folder);
    await store.publish(patch({ publicPort: 4500 }));
    const after = await readFile(at('a.yaml'), 'utf8');
    assert.equal(after.replace('      publicPort: 4500\r\n', ''), before);
    assert.equal(fs.statSync(at('a.yaml')).mode & 0o777, 0o640);
    assert.deepEqual(fs.readdirSync(folder), ['a.yaml']);
  });

  test('JSON stays JSON, indented as it was', async (t) => {
    const { folder, at } = await openFolder(t);
    const gateway = gatewayFile('gw-a', 1);
    await writeFile(at('a.json'), `${JSON.stringify(gateway, null, '\t')}\n`);
    const { store } = await begin(t, folder);
    await store.publish(patch({ natType: 'Symmetric NAT' }));
    tunnel(gateway).natType = 'Symmetric NAT';
    assert.equal(await readFile(at('a.json'), 'utf8'), `${JSON.stringify(gateway, null, '\t')}\n`);
  });

  test('what would have the gateway refused is not written', async (t) => {
    const { folder, at } = await openFolder(t);
    await put(folder, 'a.yaml', text('gw-a', 1));
    const { store } = await begin(t, folder);
    const before = await readFile(at('a.yaml'), 'utf8');
    await assert.rejects(store.publish(patch({ publicIP: parseIp('127.0.0.1') })), {
      code: 'CORAX_STORE',
      message: /would then be refused: spec\.endpoints\[1\]\.publicIP/,
    });
    assert.equal(await readFile(at('a.yaml'), 'utf8'), before);
  });

  test('a broken file is not touched', async (t) => {
    const { folder, at } = await openFolder(t);
    await put(folder, 'a.yaml', text('gw-a', 1));
    const { store } = await begin(t, folder);
    await put(folder, 'a.yaml', 'broken: [');
    await assert.rejects(store.publish(patch({ publicPort: 4500 })), {
      code: 'CORAX_STORE',
      message: /a\.yaml.*not YAML/,
    });
    assert.equal(await readFile(at('a.yaml'), 'utf8'), 'broken: [');
    assert.deepEqual(fs.readdirSync(folder), ['a.yaml']);
  });

  test('a file that now holds another gateway is a conflict', async (t) => {
    const { folder } = await openFolder(t);
    await put(folder, 'a.yaml', text('gw-a', 1));
    const { store } = await begin(t, folder, { debounceMs: 60_000 });
    const other = gatewayFile('gw-b', 1);
    for (const endpoint of other.spec.endpoints) endpoint.nodeName = 'gw-a-node';
    await put(folder, 'a.yaml', stringify(other));
    await assert.rejects(store.publish(patch({ publicPort: 4500 })), { code: 'CORAX_CONFLICT' });
  });

  test('a socket in the place of the file is refused without waiting for it', async (t) => {
    const { folder, at } = await openFolder(t);
    await put(folder, 'a.yaml', text('gw-a', 1));
    const { store } = await begin(t, folder);
    fs.rmSync(at('a.yaml'));
    const server = createServer().listen(at('a.yaml'));
    await once(server, 'listening');
    t.after(() => server.close());
    await assert.rejects(store.publish(patch({ publicPort: 4500 })), { code: /CORAX_(STORE|CONFLICT)/ });
  });
});

describe('ten thousand files', () => {
  test('are read in slices; one change is one read', async (t) => {
    const { folder, at } = await openFolder(t);
    const count = 10_000;
    for (let site = 0; site < count; site += 1) fs.writeFileSync(at(`gw-${site}.yaml`), text(`gw-${site}`, site));
    const store = new DirectoryStore(folder);
    const seen = new Recorder();
    t.after(() => store.stop());
    // How many files were opened between two turns of the event loop.
    let most = 0;
    let reads = 0;
    let running = true;
    const turn = () => {
      const now = store.health().reads;
      most = Math.max(most, now - reads);
      reads = now;
      if (running) setImmediate(turn);
    };
    turn();
    await store.start(seen.onChange);
    running = false;
    assert.equal(seen.gateways.size, count);
    assert.equal(seen.batches.length, 1);
    assert.equal(store.health().reads, count);
    assert.ok(most <= 64, `${most} files in one turn of the event loop`);

    await put(folder, 'gw-77.yaml', text('gw-77', 20_000));
    await until('it is seen', () => seen.batches.length > 1);
    assert.deepEqual(seen.since(1), ['+gw-77']);
    assert.equal(store.health().reads, count + 1);

    fs.rmSync(at('gw-78.yaml'));
    await until('it is gone', () => seen.batches.length > 2);
    assert.deepEqual(seen.since(2), ['-gw-78']);
    assert.equal(store.health().reads, count + 1);

    assert.equal(
      await store.publish({ gateway: 'gw-5', nodeName: 'gw-5-node', set: { natType: 'Undefined' } }),
      'written',
    );
    await until('it is seen', () => seen.batches.length > 3);
    assert.deepEqual(seen.since(3), ['+gw-5']);
    assert.ok(store.health().reads <= count + 3, 'once for the event, once more at the most for our own hint');
  });

  test('looking again opens only what changed', async (t) => {
    const { folder, at } = await openFolder(t);
    for (let site = 0; site < 200; site += 1) {
      fs.writeFileSync(at(`gw-${site}.yaml`), text(`gw-${site}`, site));
      fs.utimesSync(at(`gw-${site}.yaml`), 1e9, 1e9);
    }
    const { store, seen } = await begin(t, folder, { rescanMs: 20 });
    let last = store.health().lastSync;
    for (let rescans = 0; rescans < 3; rescans += 1) {
      await until('it has looked again', () => store.health().lastSync !== last);
      last = store.health().lastSync;
    }
    assert.equal(store.health().reads, 200);
    assert.equal(seen.batches.length, 1);
  });
});
