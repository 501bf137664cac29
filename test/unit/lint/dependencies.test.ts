/** The dependency rules of the design, put to the linter: each forbidden import is refused, each allowed one passes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

const IMPORTS = 'noRestrictedImports';
const GLOBALS = 'noRestrictedGlobals';
const use = (what: string) => `import { a } from '${what}';\nexport const b = a;\n`;

/** file, content, the rule that must refuse it or null */
const cases: Array<[string, string, string | null]> = [
  ['model/a', use('./address.js'), null],
  ['model/b', use('zod'), null],
  ['model/c', use('../errors.js'), IMPORTS],
  ['model/d', use('../decide/steps.js'), IMPORTS],
  ['model/e', use('node:fs'), IMPORTS],
  ['model/f', "import type { A } from '../native.js';\nexport type B = A;\n", IMPORTS],
  ['decide/a', use('../model/address.js'), null],
  ['decide/b', use('./relations.js'), null],
  ['decide/c', use('../native.js'), IMPORTS],
  ['decide/d', use('../errors.js'), IMPORTS],
  ['decide/e', use('../store/directory.js'), IMPORTS],
  ['decide/f', use('node:crypto'), IMPORTS],
  ['decide/g', 'export const b = Date.now();\n', GLOBALS],
  ['decide/h', 'setTimeout(() => undefined, 1);\n', GLOBALS],
  ...['store', 'tunnel', 'network', 'nat', 'probe', 'telemetry'].flatMap(
    (room): Array<[string, string, string | null]> => [
      [`${room}/a`, use('../model/address.js'), null],
      [`${room}/aa`, use('../errors.js'), null],
      [`${room}/b`, use('../native.js'), null],
      [`${room}/c`, use('./own.js'), null],
      [`${room}/d`, use(room === 'store' ? '../tunnel/keys.js' : '../store/directory.js'), IMPORTS],
      [`${room}/e`, use(room === 'telemetry' ? '../nat/client.js' : '../telemetry/log.js'), IMPORTS],
      [`${room}/f`, use('../decide/steps.js'), IMPORTS],
      [`${room}/g`, use('../agent/run.js'), IMPORTS],
      [`${room}/h`, "export const b = await import('../cli/status.js');\n", IMPORTS],
      [`${room}/i`, use('../config.js'), IMPORTS],
      [`${room}/j`, "import { createRequire } from 'node:module';\nexport const b = createRequire;\n", IMPORTS],
    ],
  ),
  ['agent/a', use('../store/directory.js'), null],
  ['agent/b', use('../config.js'), null],
  ['agent/c', use('../cli/status.js'), IMPORTS],
  ['agent/d', use('../../build/Release/corax.node'), IMPORTS],
  ['agent/e', use('../controller/run.js'), IMPORTS],
  ['controller/a', use('../store/kubernetes/api.js'), null],
  ['controller/b', use('../telemetry/log.js'), null],
  ['controller/c', use('../config.js'), null],
  ['controller/d', use('../agent/run.js'), IMPORTS],
  ['controller/e', use('../cli/status.js'), IMPORTS],
  ['controller/f', use('../native.js'), IMPORTS],
  ['controller/g', use('../tunnel/keys.js'), IMPORTS],
  ['controller/elect', 'export const b = Date.now();\n', GLOBALS],
  ['store/k', use('../controller/run.js'), IMPORTS],
  ['cli/f', use('../controller/run.js'), null],
  ['cli/a', use('../agent/run.js'), null],
  ['cli/b', use('../telemetry/log.js'), null],
  ['cli/c', use('../nat/client.js'), null],
  ['cli/d', use('../store/directory.js'), IMPORTS],
  ['cli/e', use('../native.js'), IMPORTS],
  ['config', use('./model/address.js'), null],
  ['config/a', use('../telemetry/log.js'), IMPORTS],
  ['native', "import { createRequire } from 'node:module';\nexport const b = createRequire;\n", null],
  ['main', use('../build/Release/corax.node'), IMPORTS],
];

let folder = '';
const reported = new Map<string, string[]>();

interface Report {
  diagnostics: Array<{ category: string; location?: { path?: string | { file?: string } } }>;
}

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'corax-lint-'));
  copyFileSync(path.join(root, 'biome.json'), path.join(folder, 'biome.json'));
  for (const [name, content] of cases) {
    const file = path.join(folder, 'src', `${name}.ts`);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  const { stdout, stderr } = spawnSync(
    path.join(root, 'node_modules/.bin/biome'),
    ['lint', '--vcs-enabled=false', '--reporter=json', '--max-diagnostics=none', 'src'],
    { cwd: folder, encoding: 'utf8' },
  );
  assert.notEqual(stdout, '', stderr);
  const report = JSON.parse(stdout.slice(stdout.indexOf('{'))) as Report;
  for (const { category, location } of report.diagnostics) {
    const where = typeof location?.path === 'string' ? location.path : (location?.path?.file ?? '');
    const name = where.replace(/^.*src\//, '').replace(/\.ts$/, '');
    reported.set(name, [...(reported.get(name) ?? []), category]);
  }
});

after(() => rmSync(folder, { recursive: true, force: true }));

for (const [name, content, rule] of cases) {
  test(`src/${name}.ts: ${content.split('\n')[0]} is ${rule === null ? 'allowed' : 'refused'}`, () => {
    const found = (reported.get(name) ?? []).filter((category) => /noRestricted/.test(category));
    if (rule === null) assert.deepEqual(found, []);
    else
      assert.ok(
        found.some((category) => category.endsWith(rule)),
        `expected ${rule}, found ${JSON.stringify(reported.get(name) ?? [])}`,
      );
  });
}
