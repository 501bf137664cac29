/** Who we are to the Kubernetes API, and how to reach it: of a pod's service account, or of a kubeconfig file. */
import { readFileSync } from 'node:fs';
import { type Cluster, HttpMethod, KubeConfig, RequestContext } from '@kubernetes/client-node';
import type { Dispatcher } from 'undici';
import { CoraxError, messageOf } from '../../errors.js';
import { printable } from '../../model/quote.js';
import { type KubeSource, SERVICE_ACCOUNT_FOLDER, whatIsMissingInCluster } from './source.js';

interface Loaded {
  readonly config: KubeConfig;
  readonly server: string;
  /** `tls-server-name`; undefined: the certificate must have the server's own. */
  readonly servername: string | undefined;
  /** Names or addresses that are connected to: the server, and a proxy before it. */
  readonly hosts: readonly string[];
  /** Undefined: undici's own. */
  dispatcher: Dispatcher | undefined;
}

export interface Credentials {
  readonly server: string;
  /** For undici: its own agents take the URL's name before the one that they were given. */
  readonly servername: string | undefined;
  readonly headers: Record<string, string>;
  readonly dispatcher: Dispatcher | undefined;
}

/** The client library's own requests make a new TLS connection each; here all requests share a few. */
export class Access {
  readonly #source: KubeSource;
  #loaded: Loaded | null = null;

  constructor(source: KubeSource) {
    this.#source = source;
  }

  /** Names or addresses that are connected to. @throws CoraxError CORAX_STORE */
  get hosts(): readonly string[] {
    this.#loaded ??= load(this.#source);
    return this.#loaded.hosts;
  }

  /** For the next request; a token in a file is read again once a minute, as kubelets renew it. */
  async credentials(): Promise<Credentials> {
    this.#loaded ??= load(this.#source);
    const loaded = this.#loaded;
    const context = new RequestContext(loaded.server, HttpMethod.GET);
    await loaded.config.applySecurityAuthentication(context);
    loaded.dispatcher ??= context.getDispatcher() as Dispatcher | undefined;
    const { server, servername, dispatcher } = loaded;
    return { server, servername, headers: context.getHeaders(), dispatcher };
  }

  /** The next request reads certificates, token and kubeconfig anew and connects anew. */
  reload(): void {
    const { dispatcher } = this.#loaded ?? {};
    this.#loaded = null;
    // Requests that are under way on it go on.
    dispatcher?.close().catch(() => {});
  }

  async close(): Promise<void> {
    const { dispatcher } = this.#loaded ?? {};
    this.#loaded = null;
    await dispatcher?.destroy();
  }
}

function load(source: KubeSource): Loaded {
  const config = new KubeConfig();
  try {
    if (source.kind === 'kubeconfig') config.loadFromFile(source.file);
    else loadInCluster(config, source.root ?? '');
    const cluster = config.getCurrentCluster();
    if (cluster === null) throw new Error('it names no cluster in its current context');
    const server = cluster.server.replace(/\/+$/, '');
    checkTrust(cluster);
    const urls = [server, cluster.proxyUrl].flatMap((url) => url || []);
    const hosts = urls.map((url) => new URL(url).hostname.replace(/^\[|\]$/g, ''));
    return { config, server, servername: cluster.tlsServerName || undefined, hosts, dispatcher: undefined };
  } catch (error) {
    const what = source.kind === 'kubeconfig' ? `the kubeconfig ${source.file}` : "this pod's service account";
    // A YAML error quotes the file, which holds secrets: its first line only.
    const why = printable(messageOf(error).split('\n')[0] ?? '');
    throw new CoraxError('CORAX_STORE', `${what} cannot be used: ${why}`);
  }
}

/** Whoever can pose as the API gets this node's token, and says where its tunnels lead. */
function checkTrust({ server, skipTLSVerify }: Cluster): void {
  if (!server.startsWith('https://')) throw new Error(`its server ${server} is not reached by https`);
  if (!skipTLSVerify) return;
  const instead =
    'give the CA in certificate-authority-data, and tls-server-name where the certificate has another name';
  throw new Error(`insecure-skip-tls-verify would let anyone on the way pose as the API: ${instead}`);
}

function loadInCluster(config: KubeConfig, root: string): void {
  const absent = whatIsMissingInCluster(root);
  if (absent !== null) throw new Error(absent);
  config.loadFromCluster(root);
  // The library reads both later, in every request; here it is said in whole what is wrong.
  for (const name of ['token', 'ca.crt']) readFileSync(`${root}${SERVICE_ACCOUNT_FOLDER}/${name}`);
}
