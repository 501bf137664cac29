/** The two forms of an exposition: Prometheus' text format 0.0.4 and OpenMetrics 1.0. */

export type Format = 'text' | 'openmetrics';

export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** Ends an OpenMetrics exposition, and nothing else (OpenMetrics 1.0, "ABNF"). */
export const OPENMETRICS_END = '# EOF\n';

export type MetricType = 'counter' | 'gauge';

/** What stands above a family's samples; `help` has no quotes and no line ends. */
export function familyHead(name: string, type: MetricType, help: string, format: Format): string {
  // OpenMetrics: the family of a counter is called without what its sample ends in
  const family = format === 'openmetrics' && type === 'counter' ? name.replace(/_total$/, '') : name;
  return `# HELP ${family} ${help}\n# TYPE ${family} ${type}\n`;
}

/**
 * prom-client's text in the form that was asked for, without its end. prom-client could write OpenMetrics itself, but
 * takes the counters' own names for it, and a later scrape of the other form gets wrong ones.
 */
export function nodeText(text: string, format: Format): string {
  const body = `${text.trimEnd()}\n`;
  if (format === 'text') return body;
  const counters = new Set<string>();
  for (const [, name] of body.matchAll(/^# TYPE (\S+)_total counter$/gm)) counters.add(`${name}_total`);
  return body
    .replace(/\n\n+/g, '\n')
    .replace(/^# (HELP|TYPE) (\S+)/gm, (line, word: string, name: string) =>
      counters.has(name) ? `# ${word} ${name.replace(/_total$/, '')}` : line,
    );
}

export function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`));
}

export function formatValue(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

/** RFC 9110 12.5.1, as far as the two go: OpenMetrics where it is named and liked no less than text. */
export function chooseFormat(accept: string | undefined): Format {
  const liked = { openmetrics: 0, text: 0 };
  for (const { value, parameters, weight } of weighted(accept)) {
    const version = parameters.get('version');
    if (value === 'application/openmetrics-text' && (version === undefined || /^1\.\d+\.\d+$/.test(version)))
      liked.openmetrics = Math.max(liked.openmetrics, weight);
    if (value === 'text/plain' && (version === undefined || version === '0.0.4'))
      liked.text = Math.max(liked.text, weight);
  }
  return liked.openmetrics > 0 && liked.openmetrics >= liked.text ? 'openmetrics' : 'text';
}

/** RFC 9110 12.5.3; "*" alone is no wish. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  return weighted(acceptEncoding).some(({ value, weight }) => value === 'gzip' && weight > 0);
}

interface Weighted {
  readonly value: string;
  readonly parameters: ReadonlyMap<string, string>;
  /** 0 up to 1. */
  readonly weight: number;
}

function weighted(header: string | undefined): Weighted[] {
  return (header ?? '').split(',').map((part) => {
    const [value = '', ...rest] = part.split(';').map((word) => word.trim().toLowerCase());
    const parameters = new Map(rest.map((word): [string, string] => [word.split('=', 1)[0] ?? '', afterEquals(word)]));
    const q = parameters.get('q');
    const weight = q === undefined ? 1 : Number(q);
    return { value, parameters, weight: weight >= 0 && weight <= 1 ? weight : 0 };
  });
}

function afterEquals(word: string): string {
  const at = word.indexOf('=');
  return at < 0 ? '' : word.slice(at + 1).replace(/^"(.*)"$/, '$1');
}
