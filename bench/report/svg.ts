/** One plot: a group of bars a scale, one bar a contender, on a logarithmic axis. */
import type { Figure } from '../model.js';
import { median, number } from './figures.js';

const COLOURS: Readonly<Record<string, string>> = {
  'raw C': '#8c8c8c',
  corax: '#1f5fa8',
  'corax, from steps': '#7fb0e6',
  'wireguard-control': '#c07a2c',
  'wgctrl-go': '#3d8f6f',
  'forked wg': '#a8466a',
};
const BAR = 16;
const GAP = 18;
const LEFT = 150;
const WIDTH = 760;
const RIGHT = 90;

export function plot(title: string, figures: readonly Figure[]): string {
  const scales = [...new Set(figures.map((figure) => figure.scale))].sort((a, b) => a - b);
  const values = figures.map((figure) => median(figure.values));
  const [low, high] = [Math.floor(log(Math.min(...values))), Math.ceil(log(Math.max(...values)))];
  const span = Math.max(1, high - low);
  const x = (value: number): number => LEFT + ((log(value) - low) / span) * (WIDTH - LEFT - RIGHT);
  const parts: string[] = [];
  let y = 48;
  for (const scale of scales) {
    parts.push(text(8, y + 11, scale.toLocaleString('en'), 'font-weight="bold"'));
    for (const figure of figures.filter((candidate) => candidate.scale === scale)) {
      const value = median(figure.values);
      const width = Math.max(1, x(value) - LEFT);
      const colour = COLOURS[figure.who] ?? '#555555';
      parts.push(
        text(LEFT - 6, y + 12, figure.who, 'text-anchor="end"'),
        `<rect x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR - 3}" fill="${colour}"/>`,
        text(LEFT + width + 5, y + 11, `${number(value)} ${figure.unit}`),
      );
      y += BAR;
    }
    y += GAP;
  }
  const axis = Array.from({ length: span + 1 }, (_, step) => {
    const at = x(10 ** (low + step)).toFixed(1);
    return (
      `<line x1="${at}" y1="40" x2="${at}" y2="${y - GAP}" stroke="#dddddd"/>` +
      text(Number(at), 34, number(10 ** (low + step)), 'text-anchor="middle" fill="#777777"')
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}"`,
    ' font-family="system-ui, sans-serif" font-size="11">',
    `<rect width="${WIDTH}" height="${y}" fill="#ffffff"/>`,
    text(8, 16, title, 'font-size="14" font-weight="bold"'),
    ...axis,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function log(value: number): number {
  return Math.log10(Math.max(value, 1e-6));
}

function text(x: number, y: number, words: string, more = ''): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y}" ${more}>${escaped}</text>`;
}
