/** One file of the directory store: text to Gateway, with the line of what is wrong. Pure. */
import { Composer, type CST, type Document, isMap, isScalar, isSeq, Lexer, LineCounter, Parser, visit } from 'yaml';
import { GATEWAY_API_VERSION, GATEWAY_KIND, type Gateway, parseGateway } from '../model/gateway.js';
import { printable, quote } from '../model/quote.js';

export type DocumentFormat = 'yaml' | 'json';

export type ReadDocument =
  | { readonly ok: true; readonly gateway: Gateway }
  | {
      readonly ok: false;
      readonly name: string;
      readonly reason: string;
      readonly line: number | null;
      /** Plainly no Gateway but another kind of object, which asks nothing of us. */
      readonly foreign?: boolean;
      /** The reading failed, and not the document: another try may succeed. */
      readonly passing?: boolean;
    };

/** The text is no document, or the document no single Gateway. */
export class DocumentError extends Error {
  readonly line: number | null;

  constructor(reason: string, line: number | null) {
    super(reason);
    this.line = line;
  }
}

export interface LoadedYaml {
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
  readonly value: unknown;
}

/**
 * A Gateway nests eight deep. Far deeper ones are stopped before composing, which recurses: V8 aborts the
 * whole process where a regular expression is compiled on a stack that is nearly used up.
 */
const MAX_DEPTH = 64;
const MAX_ALIASES = 100;

/** @param fallbackName names the gateway where the document does not */
export function readDocument(text: string, format: DocumentFormat, fallbackName: string): ReadDocument {
  try {
    const yaml = format === 'yaml' ? loadYaml(text) : null;
    const value = yaml === null ? loadJson(text) : yaml.value;
    refuseOtherKinds(value);
    const parsed = parseGateway(value, fallbackName);
    if (parsed.ok) return parsed;
    const line = lineOf(yaml ?? tryYaml(text), parsed.path);
    return { ok: false, name: parsed.name, reason: parsed.reason, line, foreign: isForeign(value) };
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    return { ok: false, name: fallbackName, reason: error.message, line: error.line };
  }
}

function refuseOtherKinds(value: unknown): void {
  const { apiVersion, kind } = (value ?? {}) as { apiVersion?: unknown; kind?: unknown };
  if (value === null || value === undefined) throw new DocumentError('the file holds nothing', 1);
  if (typeof kind === 'string' && kind.endsWith('List')) {
    throw new DocumentError(`kind ${quote(kind)}: a file holds one Gateway, not a list of them`, null);
  }
  if (typeof value === 'object' && (!kind || !apiVersion)) {
    throw new DocumentError('apiVersion and kind are missing: is this a Gateway?', 1);
  }
}

/** Both must say so: one of them alone may be a slip of the pen in a Gateway. */
function isForeign(value: unknown): boolean {
  const { apiVersion, kind } = (value ?? {}) as { apiVersion?: unknown; kind?: unknown };
  const [group] = GATEWAY_API_VERSION.split('/');
  const otherGroup = typeof apiVersion === 'string' && !apiVersion.startsWith(`${group}/`);
  return otherGroup && typeof kind === 'string' && kind !== GATEWAY_KIND;
}

export function loadJson(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\ufeff/, ''));
  } catch (error) {
    const message = (error as Error).message;
    const position = /position (\d+)/.exec(message)?.[1];
    const before = position === undefined ? text.trimEnd() : text.slice(0, Number(position));
    throw new DocumentError(`not JSON: ${printable(message)}`, before.split('\n').length);
  }
}

/** @throws DocumentError */
export function loadYaml(text: string): LoadedYaml {
  const lines = new LineCounter();
  const lineAt = (offset: number) => Math.max(1, lines.linePos(offset).line);
  const documents = Array.from(
    // Own checks instead of `uniqueKeys` and `prettyErrors`: theirs are quadratic.
    new Composer({ keepSourceTokens: false, uniqueKeys: false, lineCounter: lines }).compose(
      parseTokens(text, lines, lineAt),
      true,
      text.length,
    ),
  );
  const [first, second] = documents;
  if (second !== undefined) {
    throw new DocumentError('a file holds one Gateway, not several documents', lineAt(second.range?.[0] ?? 0));
  }
  const document = first as Document.Parsed;
  const [error] = document.errors;
  if (error !== undefined) throw new DocumentError(`not YAML: ${printable(error.message)}`, lineAt(error.pos[0]));
  refuseOddNodes(document, lineAt);
  try {
    return { document, lines, value: document.toJS({ maxAliasCount: MAX_ALIASES }) };
  } catch (cause) {
    throw new DocumentError(`not YAML: ${printable((cause as Error).message)}`, null);
  }
}

/** The tokens of the text; refuses deep nesting. */
function parseTokens(text: string, lines: LineCounter, lineAt: (offset: number) => number): CST.Token[] {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  const tokens: CST.Token[] = [];
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme));
    if (parser.stack.length > MAX_DEPTH) {
      throw new DocumentError(`nested over ${MAX_DEPTH} deep`, lineAt(parser.offset));
    }
  }
  tokens.push(...parser.end());
  return tokens;
}

/** Keys that are there twice or no text, and aliases that lead nowhere or are too many. */
function refuseOddNodes(document: Document.Parsed, lineAt: (offset: number) => number): void {
  const lineOfNode = (node: unknown) => lineAt((node as { range?: [number, number, number] | null }).range?.[0] ?? 0);
  let aliases = 0;
  visit(document, {
    Alias: (_, alias) => {
      aliases += 1;
      if (aliases > MAX_ALIASES) throw new DocumentError(`over ${MAX_ALIASES} YAML aliases`, lineOfNode(alias));
      if (alias.resolve(document) === undefined) {
        throw new DocumentError(`the YAML alias ${quote(alias.source)} leads nowhere`, lineOfNode(alias));
      }
    },
    Map: (_, map) => {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) throw new DocumentError('a key must be plain text', lineOfNode(key));
        const name = String(key.value);
        if (seen.has(name)) throw new DocumentError(`the key ${quote(name)} is there twice`, lineOfNode(key));
        seen.add(name);
      }
    },
  });
}

/** The line of the last part of the path that the document has. */
function lineOf(yaml: LoadedYaml | null, path: readonly PropertyKey[]): number | null {
  if (yaml === null) return null;
  let node: unknown = yaml.document.contents;
  let offset = 0;
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
      if (pair === undefined) break;
      offset = (pair.key as { range?: [number, number, number] }).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof key === 'number') {
      node = node.items[key];
      offset = (node as { range?: [number, number, number] } | undefined)?.range?.[0] ?? offset;
    } else break;
  }
  return Math.max(1, yaml.lines.linePos(offset).line);
}

/** JSON is YAML too, which knows where everything is. */
function tryYaml(text: string): LoadedYaml | null {
  try {
    return loadYaml(text);
  } catch {
    return null;
  }
}
