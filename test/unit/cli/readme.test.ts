/** What the README tells a newcomer to write and to type is taken by the program. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { buildProgram } from '#src/cli/program.js';
import { parseGateway } from '#src/model/gateway.js';

const root = new URL('../../../', import.meta.url);
const readme = readFileSync(new URL('README.md', root), 'utf8');
const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { scripts: Record<string, string> };
const program = buildProgram();

test('its Gateways are accepted', () => {
  const blocks = [...readme.matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1] ?? '');
  assert.equal(blocks.length, 2);
  for (const block of blocks) {
    const parsed = parseGateway(parse(block));
    assert.ok(parsed.ok, parsed.ok ? '' : parsed.reason);
  }
});

test('its commands and flags exist', () => {
  const lines = [...readme.matchAll(/dist\/main\.js (.*?)[`\n]/g)].map((match) => match[1] ?? '');
  assert.ok(lines.length >= 6);
  for (const line of lines) {
    const [name, ...words] = line.split(/\s+/);
    const command = program.commands.find((each) => each.name() === name);
    assert.ok(command, line);
    for (const flag of words.filter((word) => word.startsWith('--'))) {
      assert.ok(
        command.options.some((option) => option.long === flag),
        `${flag} in: ${line}`,
      );
    }
  }
});

test('its table has every command, and every npm script is there', () => {
  const table = [...readme.matchAll(/^\| `corax (\w+)/gm)].map((match) => match[1]);
  assert.deepEqual(table.sort(), program.commands.map((command) => command.name()).sort());
  for (const [, script] of readme.matchAll(/npm run ([\w:]+)/g)) assert.ok(manifest.scripts[script ?? ''], script);
});

test('every page that is linked is there', () => {
  const pages = ['README.md', 'docs/architecture.md'];
  for (const page of pages) {
    const base = new URL(page, root);
    for (const [, target] of readFileSync(base, 'utf8').matchAll(/\]\(([^)#:]+)\)/g)) {
      assert.ok(existsSync(new URL(target ?? '', base)), `${target} in ${page}`);
    }
  }
});
