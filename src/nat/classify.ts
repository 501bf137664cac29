/** From what servers saw to NAT behaviour. Pure. */
import { type HostPort, type Ip, sameHostPort } from '../model/address.js';
import type { Filtering, Mapping } from '../model/nat.js';

/**
 * RFC 5780 4.3: the mapped addresses that one socket got from the primary address (I), the alternate
 * address with the primary port (II), and the alternate address and port (III, asked only where I and II differ). Null = no answer.
 */
export function mappingFromTests(i: HostPort, ii: HostPort, iii: HostPort | null): Mapping | null {
  if (sameHostPort(i, ii)) return 'endpoint-independent';
  if (iii === null) return null;
  return sameHostPort(ii, iii) ? 'address-dependent' : 'address-and-port-dependent';
}

/** How a CHANGE-REQUEST was answered; 'unclear' = the test could not be made. */
export type ChangeResult = 'answered' | 'silent' | 'unclear';

/** RFC 5780 4.4: tests II (another address and port answers) and III (another port of the asked address answers). */
export function filteringFromTests(addressAndPort: ChangeResult, port: ChangeResult): Filtering | null {
  if (addressAndPort === 'answered') return 'endpoint-independent';
  if (addressAndPort === 'unclear' || port === 'unclear') return null;
  return port === 'answered' ? 'address-dependent' : 'address-and-port-dependent';
}

export interface View {
  readonly server: HostPort;
  readonly mapped: HostPort;
}

export interface Comparison {
  readonly mapping: Mapping | null;
  /** Known not to be endpoint-independent, though not in which way. */
  readonly varies: boolean;
}

/**
 * The mapping as far as several servers without OTHER-ADDRESS tell it, asked from one socket. Two views
 * that differ between servers on two addresses may be address- or address-and-port-dependent; only two
 * ports of one address tell that.
 */
export function mappingFromViews(views: readonly View[]): Comparison {
  const pairs = views.flatMap((a, index) => views.slice(index + 1).map((b) => [a, b] as const));
  const differ = pairs.filter(([a, b]) => !sameHostPort(a.mapped, b.mapped));
  if (differ.some(([a, b]) => a.server.ip === b.server.ip)) {
    return { mapping: 'address-and-port-dependent', varies: true };
  }
  if (differ.length > 0) return { mapping: null, varies: true };
  const sameFromTwoAddresses = pairs.some(([a, b]) => a.server.ip !== b.server.ip);
  return { mapping: sameFromTwoAddresses ? 'endpoint-independent' : null, varies: false };
}

/**
 * The views from outside: a server inside the own network sees a local address, which says nothing about
 * the NAT that the others saw.
 */
export function outsideViews<T extends View>(views: readonly T[], local: ReadonlySet<Ip> | null): readonly T[] {
  const outside = views.filter((view) => local === null || !local.has(view.mapped.ip));
  return outside.length > 0 ? outside : views;
}
