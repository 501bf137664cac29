/** Where the router has its UPnP description: SSDP (UPnP Device Architecture 1.1, 1.3). Nobody else is believed. */
import { createSocket } from 'node:dgram';
import type { Ip } from '../../model/address.js';

const GROUP = '239.255.255.250';
const PORT = 1900;
/** The oldest: a router answers for the versions below its own, too. */
const TARGET = 'urn:schemas-upnp-org:device:InternetGatewayDevice:1';
/** Milliseconds after which it is asked once more; the last is the end. */
const WAITS_MS = [1000, 1000, 1500];
const MAX_BYTES = 2048;

/** Resolves to the address of the router's description; null where it does not answer. Never rejects. */
export type Discover = (router: Ip, signal: AbortSignal) => Promise<URL | null>;

/**
 * The router itself is asked, whose answer a host's firewall lets in, and everybody, because old routers hear
 * nothing else; only what the router's address says counts.
 */
export const discoverIgd: Discover = (router, signal) =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve(null);
    const socket = createSocket('udp4');
    let timer: NodeJS.Timeout | undefined;
    let done = false;
    const finish = (location: URL | null) => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.close();
      resolve(location);
    };
    const onAbort = () => finish(null);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', () => finish(null));
    socket.on('message', (bytes, from) => {
      const location = from.address === router ? parseSearchAnswer(bytes, router) : null;
      if (location !== null) finish(location);
    });
    const transmit = (index: number) => {
      const wait = WAITS_MS[index];
      if (wait === undefined) return finish(null);
      for (const to of [router, GROUP]) socket.send(searchRequest(to), PORT, to, () => undefined);
      timer = setTimeout(() => transmit(index + 1), wait);
    };
    socket.bind(0, () => transmit(0));
  });

/** UDA 1.1, 1.3.2; to one device it has no MX. */
export function searchRequest(to: string): string {
  const wait = to === GROUP ? ['MX: 1'] : [];
  const lines = ['M-SEARCH * HTTP/1.1', `HOST: ${to}:${PORT}`, 'MAN: "ssdp:discover"', ...wait, `ST: ${TARGET}`];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** LOCATION of an answer to the search, where it is on the router itself; else null. */
export function parseSearchAnswer(bytes: Uint8Array, router: Ip): URL | null {
  if (bytes.length > MAX_BYTES) return null;
  const [status, ...lines] = Buffer.from(bytes).toString('latin1').split('\r\n');
  if (!/^HTTP\/1\.[01] 200(?: |$)/.test(status ?? '')) return null;
  const field = (name: string) => {
    const found = lines.flatMap((line) => {
      const match = /^([A-Za-z0-9.-]+):[ \t]*(.*?)[ \t]*$/.exec(line);
      return match?.[1]?.toLowerCase() === name ? [match[2] ?? ''] : [];
    });
    return found.length === 1 ? (found[0] as string) : null;
  };
  if (!/^urn:schemas-upnp-org:device:InternetGatewayDevice:\d+$/.test(field('st') ?? '')) return null;
  return routerUrl(field('location') ?? '', router);
}

/** An http address on the router, by its number: a name could lead anywhere. */
export function routerUrl(text: string, router: Ip, base?: URL): URL | null {
  if (text === '' || text.length > 1024 || !URL.canParse(text, base?.href)) return null;
  const url = new URL(text, base?.href);
  return url.protocol === 'http:' && url.hostname === router && url.username === '' ? url : null;
}
