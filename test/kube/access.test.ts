/** What a kubeconfig says of the way to the API: another name in its certificate, a proxy, and what is refused. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Access } from '#src/store/kubernetes/access.js';
import { KubeApi } from '#src/store/kubernetes/api.js';
import { type ApiServer, startApi } from './api-server.js';

let server: ApiServer;
before(async () => {
  server = await startApi();
});
after(() => server?.stop());

let files = 0;

/** A kubeconfig with other settings of its cluster. */
function kubeconfig(cluster: Readonly<Record<string, unknown>>): Access {
  const config = JSON.parse(server.kubeconfig());
  Object.assign(config.clusters[0].cluster, { 'tls-server-name': undefined }, cluster);
  files += 1;
  const file = join(server.folder, `access-${files}.json`);
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return new Access({ kind: 'kubeconfig', file });
}

async function version(access: Access): Promise<unknown> {
  const api = new KubeApi(access, 'test');
  try {
    return ((await api.json('GET', '/version')) as { major?: unknown }).major;
  } finally {
    await api.close();
  }
}

/** The API at an address that its certificate does not name. */
async function elsewhere(): Promise<{ readonly url: string; readonly close: () => void }> {
  const forward = createTcpServer((near) => {
    const far = connect(server.port, '127.0.0.1');
    near.pipe(far).pipe(near);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
  }).listen(0, '127.0.0.9');
  await once(forward, 'listening');
  return { url: `https://127.0.0.9:${(forward.address() as AddressInfo).port}`, close: () => forward.close() };
}

test('tls-server-name: the name that the certificate must have, wherever the server is', async (t) => {
  const { url, close } = await elsewhere();
  t.after(close);
  await assert.rejects(version(kubeconfig({ server: url })), /127\.0\.0\.9 is not in the cert/);
  const name = { 'tls-server-name': 'kubernetes.default.svc' };
  assert.equal(await version(kubeconfig({ server: url, ...name })), '1');
  // By a name too: that is not asked for by its own.
  const byName = `https://localhost:${server.port}`;
  await assert.rejects(version(kubeconfig({ server: byName })), /localhost\. is not in the cert/);
  assert.equal(await version(kubeconfig({ server: byName, ...name })), '1');
  const wrong = kubeconfig({ server: byName, 'tls-server-name': 'other.example' });
  await assert.rejects(version(wrong), /other\.example\. is not in the cert/);
});

test('proxy-url: an HTTP proxy on the way, which is an address to protect as the server is', async (t) => {
  const asked: string[] = [];
  const proxy = createServer().on('connect', (request, near) => {
    asked.push(request.url ?? '');
    const far = connect(server.port, '127.0.0.1', () => near.write('HTTP/1.1 200 Connection established\r\n\r\n'));
    near.pipe(far).pipe(near);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => proxy.close());
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const access = kubeconfig({ server: 'https://kubernetes.default.svc:8443', 'proxy-url': url });
  assert.deepEqual(access.hosts, ['kubernetes.default.svc', '127.0.0.1']);
  assert.equal(await version(access), '1');
  const other = { server: 'https://api.example', 'proxy-url': url, 'tls-server-name': 'kubernetes.default.svc' };
  assert.equal(await version(kubeconfig(other)), '1');
  assert.deepEqual(asked, ['kubernetes.default.svc:8443', 'api.example:443']);
});

test('what would let others pose as the API is refused, with what to write instead', async () => {
  const cases: readonly [settings: Record<string, unknown>, words: RegExp][] = [
    [
      { 'insecure-skip-tls-verify': true },
      /access-\d+\.json cannot be used: insecure-skip-tls-verify .* give the CA in/,
    ],
    [{ server: 'http://127.0.0.1:8001' }, /its server http:\/\/127\.0\.0\.1:8001 is not reached by https/],
    [{ 'proxy-url': 'nonsense' }, /cannot be used: Invalid URL/],
  ];
  for (const [settings, message] of cases) {
    await assert.rejects(version(kubeconfig(settings)), { code: 'CORAX_STORE', message });
  }
});
