/**
 * Writes fields of one endpoint into a Gateway's text. The file is a person's, often under git: where the
 * fields can be written in place every other byte stays; else the document is printed anew by the YAML
 * library, which keeps comments and order. Either way the result is read again and compared. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import { isMap, isScalar, isSeq, type Pair, type Scalar, stringify, type YAMLMap } from 'yaml';
import { parseGateway } from '../model/gateway.js';
import type { EndpointFields } from '../model/step.js';
import { type DocumentFormat, type LoadedYaml, loadJson, loadYaml } from './document.js';
import type { EndpointPatch } from './store.js';

export type EditResult =
  /** Null: all fields have these values already. */
  | { readonly found: true; readonly text: string | null }
  /** The document is not this gateway, or has no tunnel endpoint of this node. */
  | { readonly found: false };

type Value = string | number;
type Endpoint = Record<string, unknown>;

/** @throws DocumentError the text cannot be read; Error the fields cannot be written without changing others */
export function editDocument(text: string, format: DocumentFormat, edit: EndpointPatch): EditResult {
  const yaml = format === 'yaml' ? loadYaml(text) : null;
  const value = yaml === null ? loadJson(text) : yaml.value;
  const index = endpointIndex(value, edit);
  if (index < 0) return { found: false };
  const changes = changedFields(endpointAt(value, index), edit.set);
  if (changes === null) return { found: true, text: null };
  const expected = plain(value);
  applyFields(endpointAt(expected, index), changes);
  const after = parseGateway(expected);
  if (!after.ok && parseGateway(value).ok) throw new Error(`the Gateway would then be refused: ${after.reason}`);
  if (yaml === null) return { found: true, text: printJson(expected, text) };
  const ways = [
    () => editInPlace(text, yaml, index, changes),
    () => printAnew(text, yaml, index, changes.fields, endpointAt(expected, index).config),
  ];
  for (const print of ways) {
    const edited = attempt(print);
    if (
      edited !== null &&
      isDeepStrictEqual(
        attempt(() => plain(loadYaml(edited).value)),
        expected,
      )
    ) {
      return { found: true, text: edited };
    }
  }
  throw new Error('the endpoint is written with YAML anchors, aliases or tags: write it out in plain YAML');
}

/** As JSON, so that nothing is shared by way of aliases. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function endpointIndex(value: unknown, { gateway, nodeName }: EndpointPatch): number {
  const object = value as { metadata?: { name?: unknown } | null; spec?: { endpoints?: unknown } | null } | null;
  if (object?.metadata?.name !== gateway) return -1;
  const endpoints = object.spec?.endpoints;
  if (!Array.isArray(endpoints)) return -1;
  return endpoints.findIndex((entry: Endpoint | null) => entry?.nodeName === nodeName && entry.type === 'tunnel');
}

function endpointAt(value: unknown, index: number): Endpoint {
  return (value as { spec: { endpoints: Endpoint[] } }).spec.endpoints[index] as Endpoint;
}

interface Changes {
  readonly fields: ReadonlyMap<string, Value>;
  readonly config: ReadonlyMap<string, Value>;
}

/** What differs from what is there, or null. */
function changedFields(endpoint: Endpoint, { config, ...fields }: EndpointFields): Changes | null {
  const differing = (set: object, current: unknown) =>
    new Map(
      Object.entries(set).filter(
        ([key, value]) => value !== undefined && (current as Endpoint | null | undefined)?.[key] !== value,
      ) as [string, Value][],
    );
  const changes = { fields: differing(fields, endpoint), config: differing(config ?? {}, endpoint.config) };
  return changes.fields.size + changes.config.size > 0 ? changes : null;
}

function applyFields(endpoint: Endpoint, { fields, config }: Changes): void {
  for (const [key, value] of fields) endpoint[key] = value;
  if (config.size > 0) endpoint.config = { ...(endpoint.config as Endpoint | null), ...Object.fromEntries(config) };
}

function attempt<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}

function printJson(value: unknown, text: string): string {
  const indent = /\n([ \t]+)\S/.exec(text)?.[1] ?? '';
  const mark = text.startsWith('\ufeff') ? '\ufeff' : '';
  return `${mark}${JSON.stringify(value, null, indent)}${text.endsWith('\n') ? '\n' : ''}`;
}

function printAnew(
  text: string,
  { document }: LoadedYaml,
  index: number,
  fields: Changes['fields'],
  config: unknown,
): string {
  const path = ['spec', 'endpoints', index];
  for (const [key, value] of fields) document.setIn([...path, key], value);
  if (isMap(document.getIn([...path, 'config']))) {
    for (const [key, value] of Object.entries(config ?? {})) document.setIn([...path, 'config', key], value);
  } else if (config) document.setIn([...path, 'config'], document.createNode(config));
  const indentSeq = !/^( *)[^\s#-][^\n]*:[ \t]*\r?\n\1- /m.test(text);
  const flowCollectionPadding = !/[{[][^\s{}[\]]/.test(text);
  return document.toString({ lineWidth: 0, indentSeq, flowCollectionPadding });
}

interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

function editInPlace(text: string, { document }: LoadedYaml, index: number, { fields, config }: Changes): string {
  const endpoints = document.getIn(['spec', 'endpoints'], true);
  const endpoint = isSeq(endpoints) ? endpoints.items[index] : null;
  if (!isMap(endpoint)) throw new Error('not a map in place');
  const splices: Splice[] = [];
  for (const [key, value] of fields) splices.push(setValue(text, endpoint, key, value));
  if (config.size > 0) splices.push(...setConfig(text, endpoint, config));
  let edited = '';
  let at = 0;
  // What is replaced on a line comes before new lines behind it.
  const later = (splice: Splice) => Number(splice.text.includes('\n'));
  for (const { start, end, text: insert } of splices.sort((a, b) => a.start - b.start || later(a) - later(b))) {
    edited += text.slice(at, start) + insert;
    at = end;
  }
  return edited + text.slice(at);
}

function setConfig(text: string, endpoint: YAMLMap, config: ReadonlyMap<string, Value>): Splice[] {
  const pair = pairOf(endpoint, 'config');
  if (isMap(pair?.value)) {
    const map = pair.value;
    if (map.items.length > 0) return Array.from(config, ([key, value]) => setValue(text, map, key, value));
    const start = rangeOf(map)[0];
    return [{ start, end: rangeOf(map)[1], text: flowMap(config) }];
  }
  const lines = Array.from(config, (entry) => `  ${line(entry)}`);
  if (isScalar(pair?.value) && pair.value.source === '' && !endpoint.flow) {
    return [linesBehind(text, pair, pair.key, lines)];
  }
  if (pair !== undefined) throw new Error('config is no map in place');
  if (endpoint.flow) return [insertFlow(endpoint, `config: ${flowMap(config)}`)];
  return [insertLines(text, endpoint, ['config:', ...lines])];
}

function setValue(text: string, map: YAMLMap, key: string, value: Value): Splice {
  const pair = pairOf(map, key);
  if (pair === undefined) {
    if (map.flow) return insertFlow(map, `${encode(key, null, true)}: ${encode(value, null, true)}`);
    return insertLines(text, map, [line([key, value])]);
  }
  if (!isScalar(pair.value) || pair.value.anchor || pair.value.tag) throw new Error('not a plain value');
  const encoded = encode(value, pair.value, map.flow === true);
  if (pair.value.source === '' && pair.value.type === 'PLAIN') {
    // "key:" with nothing behind it but perhaps a comment
    const at = text.indexOf(':', rangeOf(pair.key)[1]) + 1;
    return { start: at, end: at, text: ` ${encoded}` };
  }
  const [start, end] = rangeOf(pair.value);
  return { start, end, text: encoded };
}

function insertFlow(map: YAMLMap, insert: string): Splice {
  const last = map.items.at(-1);
  if (last === undefined) throw new Error('an empty map has no endpoint');
  const at = rangeOf(isScalar(last.value) && !last.value.source ? last.key : (last.value ?? last.key))[1];
  return { start: at, end: at, text: `, ${insert}` };
}

/** New lines behind the last line of the map that is a plain pair. */
function insertLines(text: string, map: YAMLMap, lines: readonly string[]): Splice {
  const last = map.items.findLast(({ value }) => {
    return isScalar(value) && value.source !== '' && /^(?:PLAIN|QUOTE_)/.test(value.type ?? '');
  });
  if (last === undefined) throw new Error('no line to stand behind');
  return linesBehind(text, last, last.value, lines);
}

/** New lines at the pair's indentation, behind the line on which the node ends. */
function linesBehind(text: string, pair: Pair, node: unknown, lines: readonly string[]): Splice {
  const keyAt = rangeOf(pair.key)[0];
  const indent = ' '.repeat(keyAt - (text.lastIndexOf('\n', keyAt - 1) + 1));
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const lineEnd = text.indexOf('\n', rangeOf(node)[1]);
  let at = lineEnd < 0 ? text.length : lineEnd;
  if (text[at - 1] === '\r') at -= 1;
  return { start: at, end: at, text: lines.map((each) => eol + indent + each).join('') };
}

function pairOf(map: YAMLMap, key: string): Pair | undefined {
  return map.items.find((pair) => isScalar(pair.key) && pair.key.value === key);
}

function rangeOf(node: unknown): [number, number, number] {
  const range = (node as { range?: [number, number, number] | null } | null)?.range;
  if (!range) throw new Error('no place in the text');
  return range;
}

function line([key, value]: readonly [string, Value]): string {
  return `${encode(key, null, false)}: ${encode(value, null, false)}`;
}

function flowMap(config: ReadonlyMap<string, Value>): string {
  const pairs = Array.from(config, ([key, value]) => `${encode(key, null, true)}: ${encode(value, null, true)}`);
  return `{ ${pairs.join(', ')} }`;
}

/** A scalar on one line, quoted as the one it replaces. */
function encode(value: Value, replaced: Scalar | null, flow: boolean): string {
  if (typeof value === 'number') return String(value);
  const simple = /^[\w./=+-][\w ./=+-]*$/.test(value);
  if (replaced?.type === 'QUOTE_SINGLE' && simple) return `'${value}'`;
  if (replaced?.type === 'QUOTE_DOUBLE' || (flow && !simple)) return JSON.stringify(value);
  return stringify(value, { lineWidth: 0, blockQuote: false }).trimEnd();
}
