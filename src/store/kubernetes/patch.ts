/** The JSON patch (RFC 6902) that writes fields of one endpoint and nothing else. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { EndpointFields } from '../../model/step.js';

export interface PatchOperation {
  readonly op: 'test' | 'add' | 'replace';
  /** JSON pointer (RFC 6901). */
  readonly path: string;
  readonly value: unknown;
}

export type EndpointChange =
  /** No endpoint of type tunnel has this node. */
  | { readonly kind: 'missing' }
  /** All fields have these values already. */
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'patch'; readonly index: number; readonly operations: readonly PatchOperation[] };

type Map = Readonly<Record<string, unknown>>;

/**
 * The patch holds only for the endpoint as it was seen: it tests who stands at the index, and every value that it
 * replaces. Where it adds what was not there it tests the whole endpoint, because there is no test for absence.
 *
 * @param endpoints `spec.endpoints`, as the API has it
 */
export function endpointChange(endpoints: unknown, nodeName: string, set: EndpointFields): EndpointChange {
  const index = endpointIndex(endpoints, nodeName);
  const endpoint = endpointAt(endpoints, index);
  if (endpoint === null) return { kind: 'missing' };
  const at = `/spec/endpoints/${index}`;
  const { config, ...fields } = set;
  const changes = changesOf(at, endpoint, fields);
  if (isMap(endpoint.config)) changes.push(...changesOf(`${at}/config`, endpoint.config, config ?? {}));
  else if (Object.keys(config ?? {}).length > 0) {
    changes.push({ op: 'add', path: `${at}/config`, value: config, before: undefined });
  }
  if (changes.length === 0) return { kind: 'unchanged' };
  const tests: PatchOperation[] = [
    { op: 'test', path: `${at}/nodeName`, value: nodeName },
    { op: 'test', path: `${at}/type`, value: 'tunnel' },
  ];
  if (changes.some(({ op }) => op === 'add')) tests.push({ op: 'test', path: at, value: endpoint });
  else for (const { path, before } of changes) tests.push({ op: 'test', path, value: before });
  return {
    kind: 'patch',
    index,
    operations: [...tests, ...changes.map(({ op, path, value }) => ({ op, path, value }))],
  };
}

/** What a patch leans on is the same in both: it would be built alike, and do alike. */
export function sameGround(before: unknown, after: unknown, nodeName: string): boolean {
  const index = endpointIndex(before, nodeName);
  if (index !== endpointIndex(after, nodeName)) return false;
  return isDeepStrictEqual(endpointAt(before, index), endpointAt(after, index));
}

interface Change extends PatchOperation {
  readonly op: 'add' | 'replace';
  readonly before: unknown;
}

function changesOf(at: string, present: Map, wanted: Map): Change[] {
  return Object.entries(wanted).flatMap(([key, value]) => {
    const there = Object.hasOwn(present, key);
    if (value === undefined || (there && present[key] === value)) return [];
    return [
      {
        op: there ? ('replace' as const) : ('add' as const),
        path: `${at}/${pointer(key)}`,
        value,
        before: present[key],
      },
    ];
  });
}

function endpointIndex(endpoints: unknown, nodeName: string): number {
  if (!Array.isArray(endpoints)) return -1;
  return endpoints.findIndex((entry) => isMap(entry) && entry.nodeName === nodeName && entry.type === 'tunnel');
}

function endpointAt(endpoints: unknown, index: number): Map | null {
  return index < 0 ? null : ((endpoints as readonly Map[])[index] ?? null);
}

function isMap(value: unknown): value is Map {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 6901 3. */
function pointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
