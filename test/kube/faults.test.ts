/** The API goes away, freezes, forgets, refuses and comes back: the store keeps what it knew, and catches up. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import type { KubeSource } from '#src/store/kubernetes/source.js';
import { type KubernetesOptions, KubernetesStore } from '#src/store/kubernetes/store.js';
import { gatewayFile, Recorder } from '../unit/store/recorder.js';
import {
  type ApiServer,
  clearGateways,
  compact,
  GATEWAYS,
  grant,
  makeServiceAccount,
  makeShortToken,
  makeToken,
  mountServiceAccount,
  putGateway,
  replaceToken,
  seedGateways,
  startGatewayApi,
  unseedGateway,
  until,
} from './api-server.js';
import { type Answer, FaultProxy } from './fault-proxy.js';

let server: ApiServer;
before(async () => {
  server = await startGatewayApi();
});
after(() => server?.stop());

const QUICK: KubernetesOptions = { firstRetryMs: 50, lastRetryMs: 400 };
const account = { namespace: 'corax', name: 'agent' };
const reading = { apiGroups: ['raven.openyurt.io'], resources: ['gateways'], verbs: ['get', 'list', 'watch', 'patch'] };

let files = 0;
function kubeconfig(url: string): KubeSource {
  files += 1;
  const file = join(server.folder, `kubeconfig-${files}.json`);
  writeFileSync(file, server.kubeconfig(server.adminToken, url), { mode: 0o600 });
  return { kind: 'kubeconfig', file };
}

/** Three gateways in the API and a store that follows them through a proxy. */
async function setUp(t: TestContext, options: KubernetesOptions = {}) {
  for (const [site, name] of ['gw-a', 'gw-b', 'gw-c'].entries()) await putGateway(server, gatewayFile(name, site + 1));
  const proxy = await FaultProxy.open(server);
  const store = new KubernetesStore(kubeconfig(proxy.url), { ...QUICK, ...options });
  const seen = new Recorder();
  t.after(async () => {
    await store.stop();
    await proxy.close();
    await clearGateways(server);
  });
  await store.start(seen.onChange);
  await until('the store watches', () => proxy.asked.some(({ kind, status }) => kind === 'watch' && status === 200));
  assert.deepEqual(seen.names, ['gw-a', 'gw-b', 'gw-c']);
  return { proxy, store, seen };
}

const subnet = (seen: Recorder, name: string) => seen.gateways.get(name)?.subnets[0];

/** Written into etcd while the API is away: gw-a moved, gw-b went, gw-d came. */
async function changeBehindItsBack(): Promise<void> {
  await seedGateways(server, [gatewayFile('gw-a', 11), gatewayFile('gw-d', 4)]);
  await unseedGateway(server, 'gw-b');
}

async function untilCaughtUp(store: KubernetesStore, seen: Recorder, from: number): Promise<void> {
  await until('all changes are picked up', () => {
    return seen.names.join() === 'gw-a,gw-c,gw-d' && subnet(seen, 'gw-a') === '10.64.11.0/24';
  });
  await until('no error stands', () => store.health().lastError === null);
  assert.deepEqual(seen.since(from).sort(), ['+gw-a', '+gw-d', '-gw-b'], 'each change once, and nothing else');
}

test('killed and restarted, its history compacted: what was known stays in force, what changed is picked up', async (t) => {
  const { store, seen, proxy } = await setUp(t);
  const batches = seen.batches.length;
  await server.kill();
  await until('the store has noticed', () => store.health().lastError !== null);
  const { lastError, synced } = store.health();
  assert.match(
    lastError?.message ?? '',
    /^the Kubernetes API does not answer: .*; what was read before stays in force$/,
  );
  assert.ok(synced);
  const patch = { gateway: 'gw-a', nodeName: 'gw-a-node', set: { publicPort: 4500 } };
  await assert.rejects(store.publish(patch), { code: 'CORAX_STORE' });
  await changeBehindItsBack();
  await compact(server);
  assert.equal(seen.batches.length, batches, 'nothing was reported while the API was away');
  const lists = proxy.count('list');
  await server.restart();
  await untilCaughtUp(store, seen, batches);
  assert.ok(proxy.count('list') > lists, 'the version was too old, the whole was read again');
  assert.equal(await store.publish(patch), 'written');
});

test('frozen and continued: noticed, and picked up where it was left', async (t) => {
  const { store, seen, proxy } = await setUp(t, { answerMs: 1000, silenceMs: 1000 });
  const batches = seen.batches.length;
  const lists = proxy.count('list');
  server.freeze();
  t.after(() => server.thaw());
  await until('the store has noticed', () => store.health().lastError !== null);
  await changeBehindItsBack();
  assert.equal(seen.batches.length, batches);
  server.thaw();
  await untilCaughtUp(store, seen, batches);
  assert.equal(proxy.count('list'), lists, 'a watch was enough');
});

test('a half-open connection is noticed by its silence', async (t) => {
  const { store, seen, proxy } = await setUp(t, { silenceMs: 1500 });
  const watches = proxy.count('watch');
  proxy.goSilent();
  await putGateway(server, gatewayFile('gw-a', 11));
  await until('the change is seen', () => subnet(seen, 'gw-a') === '10.64.11.0/24');
  assert.ok(proxy.count('watch') > watches);
  await until('no error stands', () => store.health().lastError === null);
});

test('connections cut: a watch is opened again from where the last one ended, and nothing is read twice', async (t) => {
  const { store, seen, proxy } = await setUp(t);
  const lists = proxy.count('list');
  const { reads } = store.health();
  const batches = seen.batches.length;
  for (let times = 1; times <= 5; times += 1) {
    const watches = proxy.count('watch');
    proxy.cut();
    await putGateway(server, gatewayFile('gw-a', 20 + times));
    await until('the change is seen', () => subnet(seen, 'gw-a') === `10.64.${20 + times}.0/24`);
    assert.ok(proxy.count('watch') > watches);
  }
  assert.equal(proxy.count('list'), lists);
  assert.equal(store.health().reads, reads + 5);
  assert.deepEqual(seen.since(batches), Array(5).fill('+gw-a'));
});

test('a list whose continuation has expired is begun anew', async (t) => {
  const many = Array.from({ length: 250 }, (_, site) => gatewayFile(`gw-many-${site}`, 300 + site));
  await seedGateways(server, many);
  const proxy = await FaultProxy.open(server);
  let left = 2;
  proxy.rule = ({ kind }) =>
    kind === 'page' && left-- > 0 ? status(410, 'Expired', 'The provided continue parameter is too old') : null;
  const store = new KubernetesStore(kubeconfig(proxy.url), QUICK);
  const seen = new Recorder();
  t.after(async () => {
    await store.stop();
    await proxy.close();
    await clearGateways(server);
  });
  await store.start(seen.onChange);
  assert.ok(store.health().synced);
  assert.equal(seen.gateways.size, 250);
  assert.equal(proxy.count('list'), 3);
  assert.deepEqual(
    seen.batches.map(({ upserted }) => upserted.length),
    [250],
    'one batch, when all was read',
  );
});

test('429: nobody asks again before the API said so', async (t) => {
  const { store, seen, proxy } = await setUp(t);
  let refusedAt = 0;
  proxy.rule = ({ at }) => {
    if (refusedAt !== 0) return null;
    refusedAt = at;
    return {
      ...status(429, 'TooManyRequests', 'too many requests, please try again later'),
      headers: { 'retry-after': '2' },
    };
  };
  proxy.cut();
  await until('it was refused', () => refusedAt > 0);
  const asked = proxy.asked.length;
  const published = store.publish({ gateway: 'gw-a', nodeName: 'gw-a-node', set: { publicPort: 4500 } });
  await putGateway(server, gatewayFile('gw-b', 12));
  await until('the change is seen', () => subnet(seen, 'gw-b') === '10.64.12.0/24');
  assert.equal(await published, 'written');
  for (const { at, kind } of proxy.asked.slice(asked))
    assert.ok(at - refusedAt >= 1990, `${kind} after ${at - refusedAt} ms`);
  assert.equal(proxy.count('list'), 1, 'a busy API is not asked for the whole');
});

test('bookmarks: a watch goes on from what they said, though no Gateway changed', async (t) => {
  const { proxy } = await setUp(t, { watchSeconds: 3 });
  await server.must('POST', '/api/v1/namespaces', { body: { metadata: { name: `elsewhere-${Date.now()}` } } });
  const { metadata } = await server.must('GET', '/api/v1/namespaces');
  const since = () =>
    Number(proxy.asked.findLast(({ kind }) => kind === 'watch')?.url.searchParams.get('resourceVersion'));
  assert.ok(since() < Number(metadata.resourceVersion));
  await until('a watch begins later', () => since() >= Number(metadata.resourceVersion));
  assert.equal(proxy.count('list'), 1);
});

test('nonsense in place of an answer changes nothing', async (t) => {
  const { store, seen, proxy } = await setUp(t);
  const batches = seen.batches.length;
  const json = { 'content-type': 'application/json' };
  const nonsense: Array<[string, Answer, RegExp]> = [
    [
      'a captive portal',
      { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>Sign in</html>' },
      /JSON|list|every watch is ended at once/,
    ],
    ['an empty answer', { status: 200 }, /JSON|every watch is ended at once/],
    ['null', { status: 200, headers: json, body: 'null\n' }, /list|metadata|read/],
    [
      'a list of nothing known',
      { status: 200, headers: json, body: '{"items":[{"spec":{}}],"metadata":{"resourceVersion":"1"}}' },
      /metadata/,
    ],
    [
      'an error event',
      { status: 200, headers: json, body: '{"type":"ERROR","object":{"message":"etcd is gone"}}\n' },
      /etcd is gone|list/,
    ],
    [
      'another event',
      { status: 200, headers: json, body: '{"type":"HELLO","object":{"metadata":{"name":"x"}}}\n' },
      /HELLO|list/,
    ],
    ['500', status(500, 'InternalError', 'an error on the server'), /answers 500: an error on the server/],
    ['503 of a balancer', { status: 503, body: 'upstream connect error' }, /answers 503: upstream connect error/],
    [
      '404: the CRD is gone',
      status(404, 'NotFound', 'the server could not find the requested resource'),
      /install its CRD/,
    ],
  ];
  for (const [name, answer, words] of nonsense) {
    let given = 0;
    proxy.rule = ({ method }) => {
      if (method !== 'GET') return null;
      given += 1;
      return answer;
    };
    proxy.cut();
    await until(`${name} is told`, () => given >= 3 && words.test(store.health().lastError?.message ?? ''));
    assert.ok(store.health().synced);
    assert.ok(!store.health().lastError?.message.includes(server.adminToken));
  }
  assert.equal(seen.batches.length, batches, 'nothing was reported');
  proxy.rule = () => null;
  await putGateway(server, gatewayFile('gw-a', 11));
  await until('the change is seen', () => subnet(seen, 'gw-a') === '10.64.11.0/24');
  await until('no error stands', () => store.health().lastError === null);
});

test('a token that runs out: renewed in its file it is taken at once; expired, its absence is told and survived', async (t) => {
  await makeServiceAccount(server, account);
  await grant(server, account, [reading]);
  await putGateway(server, gatewayFile('gw-a', 1));
  const root = mountServiceAccount(server, 'pod', await makeShortToken(server, account, 5));
  const proxy = await FaultProxy.open(server);
  const before = { ...process.env };
  const { hostname, port } = new URL(proxy.url);
  Object.assign(process.env, { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port });
  const store = new KubernetesStore({ kind: 'in-cluster', root }, { ...QUICK, watchSeconds: 1 });
  const seen = new Recorder();
  t.after(async () => {
    process.env = before;
    await store.stop();
    await proxy.close();
    await clearGateways(server);
  });
  await store.start(seen.onChange);
  await until('the store is synced', () => store.health().synced);

  await until('the token has run out', () => store.health().lastError !== null);
  assert.match(
    store.health().lastError?.message ?? '',
    /answers 401: Unauthorized .*what was read before stays in force/,
  );
  assert.deepEqual(seen.names, ['gw-a']);
  replaceToken(root, await makeShortToken(server, account, 5));
  await until('the new token is taken', () => store.health().lastError === null);

  // The next one is there before this one runs out: no moment without a valid one, so no error either.
  replaceToken(root, await makeToken(server, account));
  const refused = proxy.asked.length;
  const errors: string[] = [];
  await until('the old token is refused once more', () => {
    const { lastError } = store.health();
    if (lastError !== null) errors.push(lastError.message);
    return proxy.asked.slice(refused).some(({ status }) => status === 401);
  });
  await putGateway(server, gatewayFile('gw-a', 11));
  await until('the change is seen', () => subnet(seen, 'gw-a') === '10.64.11.0/24');
  assert.deepEqual([errors, store.health().lastError], [[], null]);
});

test('a right taken away is told in the words of the API, and given back it works again', async (t) => {
  const other = { namespace: 'corax', name: 'other' };
  await makeServiceAccount(server, other);
  await grant(server, other, [reading]);
  await putGateway(server, gatewayFile('gw-a', 1));
  const token = await makeToken(server, other);
  const file = join(server.folder, 'other.json');
  writeFileSync(file, server.kubeconfig(token), { mode: 0o600 });
  const store = new KubernetesStore({ kind: 'kubeconfig', file }, { ...QUICK, watchSeconds: 1 });
  const seen = new Recorder();
  t.after(async () => {
    await store.stop();
    await clearGateways(server);
  });
  await until('the right is there', async () => (await server.request('GET', GATEWAYS, { token })).status === 200);
  await store.start(seen.onChange);
  await until('the store is synced', () => store.health().synced);
  await grant(server, other, [{ ...reading, verbs: ['get'] }]);
  await until('the store is refused', () => store.health().lastError !== null);
  const { message } = store.health().lastError ?? { message: '' };
  assert.match(
    message,
    /answers 403: gateways.raven.openyurt.io is forbidden: User "system:serviceaccount:corax:other" cannot/,
  );
  const refused = store.publish({ gateway: 'gw-a', nodeName: 'gw-a-node', set: { publicPort: 4500 } });
  await assert.rejects(refused, (error: { code: string; message: string }) => {
    assert.equal(error.code, 'CORAX_STORE');
    assert.match(error.message, /cannot patch resource "gateways"/);
    assert.ok(!error.message.includes(token));
    return true;
  });
  assert.deepEqual(seen.names, ['gw-a']);
  await grant(server, other, [reading]);
  await until('no error stands', () => store.health().lastError === null);
});

function status(code: number, reason: string, message: string): Answer {
  const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
  return { status: code, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}
