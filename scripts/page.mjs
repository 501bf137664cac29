// The status page as one document: its script bundled, its style and script put inside, and their hashes for the
// Content-Security-Policy (CSP Level 3, 2.3.1). Readable: whoever asks for the source of a page may read it.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const folder = new URL('../src/telemetry/page/', import.meta.url);

async function script() {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('client/main.ts', folder))],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    // color-mix() in the style is of 2023 too
    target: 'es2022',
    charset: 'utf8',
    logLevel: 'warning',
  });
  return outputFiles[0].text.replace(/^ *\/\/ .*\n/gm, '');
}

/** Of what stands between the tags, line ends included. */
const hash = (text) => `sha256-${createHash('sha256').update(text).digest('base64')}`;
const literal = (text) => `\`${text.replace(/[\\`]|\$(?=\{)/g, '\\$&')}\``;

export async function pageModule() {
  const style = `\n${readFileSync(new URL('page.css', folder), 'utf8')}`;
  const code = `\n${await script()}`;
  if (/<\/script|<!--/i.test(code) || /<\/style/i.test(style)) throw new Error('the page would end its own element');
  const html = readFileSync(new URL('page.html', folder), 'utf8')
    .replace('<!-- style -->', () => `<style>${style}</style>`)
    .replace('<!-- script -->', () => `<script>${code}</script>`);
  return `// Made of page.html, page.css and client/ by npm run generate: change it there.
export const SCRIPT_HASH = '${hash(code)}';
export const STYLE_HASH = '${hash(style)}';
export const PAGE = ${literal(html)};
`;
}
