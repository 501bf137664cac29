// Bundles the command into dist/: one file and a few chunks load two to three times faster than several
// hundred modules, which is felt on small edge machines and at every restart.
//   bundle.mjs [--outdir DIR] [--replace src/FILE.ts=FILE]...   tests bundle with a module of theirs in a module's place
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

const { values } = parseArgs({
  options: { outdir: { type: 'string', default: 'dist' }, replace: { type: 'string', multiple: true, default: [] } },
});
const { outdir } = values;
const replaced = new Map(values.replace.map((pair) => pair.split('=').map((path) => resolve(path))));

mkdirSync(outdir, { recursive: true });
for (const name of readdirSync(outdir)) {
  if (name.startsWith('chunk-')) rmSync(`${outdir}/${name}`);
}

const replacer = {
  name: 'replace',
  setup({ onResolve }) {
    onResolve({ filter: /^\..*\.js$/ }, ({ path, importer }) => {
      const instead = replaced.get(resolve(dirname(importer), path).replace(/\.js$/, '.ts'));
      return instead === undefined ? undefined : { path: instead };
    });
  },
};

await build({
  entryPoints: { main: 'src/main.ts', 'document-worker': 'src/store/document-worker.ts' },
  outdir,
  chunkNames: 'chunk-[name]-[hash]',
  bundle: true,
  conditions: ['corax-source'],
  plugins: [replacer],
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  sourcemap: true,
  // CommonJS packages inside ask for require().
  banner: {
    js: "import { createRequire as createRequireOf } from 'node:module';const require = createRequireOf(import.meta.url);",
  },
  logLevel: 'warning',
});
