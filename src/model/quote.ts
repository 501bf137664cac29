/** What others wrote, made fit for a log line or a terminal. */

/** C0 and C1 controls, format characters (bidirectional overrides, zero width), separators, surrogates, unassigned. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu;
const MAX_LENGTH = 64;

/** Text on one line, at most `most` characters of it, everything unprintable escaped. */
export function printable(text: string, most = 200): string {
  const bounded = text.length > most ? `${text.slice(0, most)}…` : text;
  return bounded.replace(UNSAFE, (character) =>
    Array.from({ length: character.length }, (_, index) => {
      return `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`;
    }).join(''),
  );
}

/** A value in JSON's words, at most about 64 characters of it, everything unprintable escaped. */
export function quote(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'a map';
  if (typeof value !== 'string') return String(value).slice(0, MAX_LENGTH);
  const text = value.length > MAX_LENGTH ? `${value.slice(0, MAX_LENGTH)}…` : value;
  return printable(JSON.stringify(text), Number.POSITIVE_INFINITY);
}

/** "spec.endpoints[0].config.publicKey" */
export function formatPath(path: readonly PropertyKey[]): string {
  const parts = path.map((key, index) => {
    if (typeof key === 'number') return `[${key}]`;
    const name = String(key);
    if (!/^[\w-]+$/.test(name)) return `[${quote(name)}]`;
    return index === 0 ? name : `.${name}`;
  });
  return parts.join('') || 'the document';
}
