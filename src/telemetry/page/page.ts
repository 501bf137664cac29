/**
 * The status page: one HTML document without anything from elsewhere, and its live events. It shows names, addresses
 * and errors, no secret, and changes nothing.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { type ErrorSink, type Handler, type Reply, text } from '../http.js';
import { PAGE, SCRIPT_HASH, STYLE_HASH } from './document.generated.js';
import { FEED_LIMITS, Feed, type FeedLimits, type PageSource } from './feed.js';

export interface StatusPage {
  /** @param loopback where it is served only this machine should come */
  answer(path: string, headers: IncomingHttpHeaders, loopback: boolean): ReturnType<Handler>;
  /** Ends what is open. */
  close(): void;
}

const HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    `script-src '${SCRIPT_HASH}'`,
    `style-src '${STYLE_HASH}'`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

const STREAM_HEADERS = {
  'cross-origin-resource-policy': 'same-origin',
  // Of a proxy in between (nginx): nothing may wait for more
  'x-accel-buffering': 'no',
};

export function createPage(source: PageSource, onError: ErrorSink, limits: FeedLimits = FEED_LIMITS): StatusPage {
  const feed = new Feed(source, onError, limits);
  return {
    answer(path, headers, loopback) {
      if (path !== '/' && path !== '/events') return null;
      const refusal = refuse(headers, loopback);
      if (refusal !== null) return refusal;
      if (path === '/') return { status: 200, type: 'text/html; charset=utf-8', body: PAGE, headers: HEADERS };
      if (feed.isFull) return { ...text(503, `${limits.readers} look already`), headers: { 'retry-after': '10' } };
      return { type: 'text/event-stream', headers: STREAM_HEADERS, take: (response) => feed.add(response) };
    },
    close: () => feed.close(),
  };
}

/**
 * A page of somebody else's in this machine's browser must not read this: neither by a name of its own that it points
 * to 127.0.0.1 (DNS rebinding: its Host is that name), nor by holding the few places that there are.
 */
function refuse(headers: IncomingHttpHeaders, loopback: boolean): Reply | null {
  if (loopback && !isLoopbackName(headers.host ?? '')) {
    return text(403, 'ask for this page by localhost or a loopback address');
  }
  const site = headers['sec-fetch-site'];
  const isNavigation = headers['sec-fetch-mode'] === 'navigate';
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !isNavigation) {
    return text(403, 'not for pages of others');
  }
  return null;
}

function isLoopbackName(host: string): boolean {
  return /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(?::\d{1,5})?$/i.test(host);
}
