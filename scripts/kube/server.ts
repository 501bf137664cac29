/** etcd and kube-apiserver on free ports of this machine, in a temporary folder, for as long as this process lives. */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createWriteStream, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request as httpsRequest } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request as etcdRequest } from 'undici';
import { CoraxError, messageOf } from '#src/errors.js';
import { exited, spawnBound } from '../../lab/process.js';
import { type KubeAssets, kubeAssets } from './assets.js';

export interface ApiServerOptions {
  readonly progress?: (line: string) => void;
  /** Further flags of kube-apiserver. */
  readonly flags?: readonly string[];
}

export interface ApiAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the API answers; each test knows what it asked for
  readonly body: any;
}

export interface ApiRequest {
  readonly body?: unknown;
  /** Defaults to an administrator's. */
  readonly token?: string;
  /** Defaults to application/json. */
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const READY_TIMEOUT_MS = 300_000;
/** Somebody else may take a port between finding and using it. */
const TRIES = 4;

export const SERVICE_ACCOUNT_ISSUER = 'https://kubernetes.default.svc';

export class ApiServer {
  readonly folder: string;
  readonly #assets: KubeAssets;
  readonly #flags: readonly string[];
  readonly #keeper: ChildProcess;
  readonly #adminToken = randomBytes(24).toString('hex');
  #etcd: ChildProcess | null = null;
  #api: ChildProcess | null = null;
  #port = 0;
  #etcdPort = 0;
  #agent: Agent | null = null;

  private constructor(assets: KubeAssets, options: ApiServerOptions) {
    this.#assets = assets;
    this.#flags = options.flags ?? [];
    this.folder = mkdtempSync(join(tmpdir(), 'corax-kube-'));
    this.#keeper = keepTidy(this.folder);
    const keys = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    writeFileSync(join(this.folder, 'sa.key'), keys.privateKey, { mode: 0o600 });
    writeFileSync(join(this.folder, 'sa.pub'), keys.publicKey);
    writeFileSync(join(this.folder, 'tokens.csv'), `${this.#adminToken},admin,admin,"system:masters"\n`, {
      mode: 0o600,
    });
  }

  /** Resolves when /readyz says so. */
  static async start(options: ApiServerOptions = {}): Promise<ApiServer> {
    const server = new ApiServer(await kubeAssets(options.progress ?? (() => {})), options);
    try {
      await server.#startEtcd();
      await server.#startApi();
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  get etcdUrl(): string {
    return `http://127.0.0.1:${this.#etcdPort}`;
  }

  /** PEM, to trust the server by: it signs its own certificate, for 127.0.0.1 and "localhost" among others. */
  get ca(): string {
    return readFileSync(join(this.folder, 'certs/apiserver.crt'), 'utf8');
  }

  get adminToken(): string {
    return this.#adminToken;
  }

  /** Of the key that service accounts' tokens are signed with. */
  get signingKey(): string {
    return readFileSync(join(this.folder, 'sa.key'), 'utf8');
  }

  /** As a file of kubectl's, in JSON. @param url where it is seen from elsewhere, at whatever name or address */
  kubeconfig(token = this.#adminToken, url = this.url): string {
    const ca = Buffer.from(this.ca).toString('base64');
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      clusters: [
        {
          name: 'test',
          cluster: { server: url, 'certificate-authority-data': ca, 'tls-server-name': 'kubernetes.default.svc' },
        },
      ],
      users: [{ name: 'test', user: { token } }],
    });
  }

  /** One request, as it is answered; throws only where there is no answer. */
  request(method: string, path: string, { body, token, type, headers }: ApiRequest = {}): Promise<ApiAnswer> {
    this.#agent ??= new Agent({ keepAlive: true, ca: this.ca });
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const request = httpsRequest(`${this.url}${path}`, {
        method,
        agent: this.#agent as Agent,
        headers: {
          authorization: `Bearer ${token ?? this.#adminToken}`,
          accept: 'application/json',
          ...(text === undefined ? {} : { 'content-type': type ?? 'application/json' }),
          ...headers,
        },
      });
      request.on('error', reject);
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString('utf8');
          const json = response.headers['content-type']?.includes('json') ?? false;
          resolve({ status: response.statusCode ?? 0, body: json ? JSON.parse(answer) : answer });
        });
      });
      request.end(text);
    });
  }

  /** As {@link request}; throws with the API's words unless it is answered well. */
  async must(method: string, path: string, more: ApiRequest = {}): Promise<ApiAnswer['body']> {
    const { status, body } = await this.request(method, path, more);
    if (status < 200 || status > 299) {
      throw new CoraxError('CORAX_LAB', `${method} ${path}: ${status} ${body?.message ?? JSON.stringify(body)}`);
    }
    return body;
  }

  /** A request of etcd's JSON gateway ("kv/put", "kv/compaction"); keys and values in base64. */
  async etcdCall(method: string, body: object): Promise<ApiAnswer['body']> {
    const response = await etcdRequest(`${this.etcdUrl}/v3/${method}`, { method: 'POST', body: JSON.stringify(body) });
    const text = await response.body.text();
    if (response.statusCode !== 200)
      throw new CoraxError('CORAX_LAB', `etcd ${method}: ${response.statusCode} ${text}`);
    return JSON.parse(text);
  }

  /** SIGSTOP: connections stay and nothing is answered. */
  freeze(): void {
    this.#api?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#api?.kill('SIGCONT');
  }

  /** SIGKILL of the API server; etcd stays. */
  async kill(): Promise<void> {
    await killed(this.#api);
    this.#api = null;
  }

  /** On the same port, over the same data. */
  async restart(): Promise<void> {
    await this.kill();
    await this.#startApi();
  }

  /** Ends both and removes what they wrote. */
  async stop(): Promise<void> {
    this.#agent?.destroy();
    await Promise.all([killed(this.#api), killed(this.#etcd)]);
    this.#keeper.stdin?.end();
    await exited(this.#keeper);
  }

  async #startEtcd(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const [client, peer] = [await freePort(), await freePort()];
      const peerUrl = `http://127.0.0.1:${peer}`;
      const clientUrl = `http://127.0.0.1:${client}`;
      const flags = {
        name: 'test',
        'data-dir': join(this.folder, 'etcd'),
        'listen-client-urls': clientUrl,
        'advertise-client-urls': clientUrl,
        'listen-peer-urls': peerUrl,
        'initial-advertise-peer-urls': peerUrl,
        'initial-cluster': `test=${peerUrl}`,
        // Nobody needs this data after a crash of the machine.
        'unsafe-no-fsync': 'true',
        'max-txn-ops': '4096',
        'max-request-bytes': String(64 << 20),
        'log-level': 'error',
        // Bookmarks then tell of what others write, within seconds instead of minutes.
        'watch-progress-notify-interval': '1s',
      };
      const etcd = this.#spawn('etcd', this.#assets.etcd, flags);
      this.#etcd = etcd;
      this.#etcdPort = client;
      if (await this.#answers(etcd, () => fetch(`${clientUrl}/health`).then((response) => response.ok))) return;
      if (attempt === TRIES) throw this.#failure('etcd');
    }
  }

  async #startApi(): Promise<void> {
    const again = this.#port !== 0;
    for (let attempt = 1; ; attempt += 1) {
      if (!again) this.#port = await freePort();
      const flags = {
        'etcd-servers': this.etcdUrl,
        'bind-address': '127.0.0.1',
        'secure-port': String(this.#port),
        'cert-dir': join(this.folder, 'certs'),
        'token-auth-file': join(this.folder, 'tokens.csv'),
        'authorization-mode': 'RBAC',
        'service-account-issuer': SERVICE_ACCOUNT_ISSUER,
        'service-account-signing-key-file': join(this.folder, 'sa.key'),
        'service-account-key-file': join(this.folder, 'sa.pub'),
        'service-cluster-ip-range': '10.96.0.0/16',
        // It would want to write the server's address into a Service.
        'endpoint-reconciler-type': 'none',
      };
      const api = this.#spawn('kube-apiserver', this.#assets.apiServer, flags, this.#flags);
      this.#api = api;
      const ready = () =>
        existsSync(join(this.folder, 'certs/apiserver.crt')) &&
        this.request('GET', '/readyz').then(({ status }) => status === 200);
      if (await this.#answers(api, ready)) return;
      if (attempt === TRIES) throw this.#failure('kube-apiserver');
    }
  }

  #spawn(name: string, program: string, flags: Record<string, string>, more: readonly string[] = []): ChildProcess {
    const log = createWriteStream(join(this.folder, `${name}.log`), { flags: 'a' });
    const words = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    const child = spawnBound([program, ...words, ...more], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    child.on('error', () => {});
    return child;
  }

  /** False where the process ended first. */
  async #answers(child: ChildProcess, ask: () => Promise<boolean> | boolean): Promise<boolean> {
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      try {
        if (await ask()) return true;
      } catch {
        // Not listening yet; or its certificate was read while it was being written.
        this.#agent?.destroy();
        this.#agent = null;
      }
      if (Date.now() > deadline) throw this.#failure('kube-apiserver or etcd, in five minutes');
      await sleep(50);
    }
    return false;
  }

  #failure(what: string): CoraxError {
    const tails = ['etcd', 'kube-apiserver'].map((name) => {
      try {
        return readFileSync(join(this.folder, `${name}.log`), 'utf8')
          .split('\n')
          .slice(-15)
          .join('\n');
      } catch (error) {
        return messageOf(error);
      }
    });
    return new CoraxError('CORAX_LAB', `${what} did not start:\n${tails.join('\n')}`);
  }
}

/** Removes the folder when this process is gone, however it went: nobody else can after a kill -9. */
function keepTidy(folder: string): ChildProcess {
  const script = 'cat >/dev/null; rm -rf "$1" || { sleep 1; rm -rf "$1"; }';
  return spawn('sh', ['-c', script, 'sh', folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
}

async function killed(child: ChildProcess | null): Promise<void> {
  if (child === null || child.pid === undefined) return;
  child.kill('SIGKILL');
  await exited(child);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new CoraxError('CORAX_LAB', 'no free port');
  return address.port;
}
