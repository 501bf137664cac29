/** The rules that people load into their Prometheus: valid, tested, and each alert with a page that says what to do. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { promtool } from './promtool.js';

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels?: { readonly severity?: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

const pathOf = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const read = (path: string): string => readFileSync(pathOf(path), 'utf8');
const groups: { groups: { rules: Rule[] }[] } = parse(read('deploy/prometheus/rules.yaml'));
const rules = groups.groups.flatMap((group) => group.rules);
const alerts = rules.flatMap((rule) => rule.alert ?? []);

test('promtool: the rules are valid, and fire when they should', () => {
  promtool(['check', 'rules', pathOf('deploy/prometheus/rules.yaml')]);
  promtool(['test', 'rules', pathOf('deploy/prometheus/rules.test.yaml')]);
});

test('every alert and every record is tried by the rule tests', () => {
  const tests = read('deploy/prometheus/rules.test.yaml');
  for (const alert of alerts) {
    assert.match(tests, new RegExp(`alertname: ${alert}\\n +eval_time: \\S+\\n +exp_alerts:\\n +- exp_labels`), alert);
  }
  for (const { record } of rules) {
    const tried =
      record === undefined || tests.includes(record) || rules.some((rule) => rule.alert && rule.expr.includes(record));
    assert.ok(tried, record);
  }
});

test('every alert says how bad it is, what it is, and where the runbook has it; the runbook has no others', () => {
  for (const { alert, labels, annotations } of rules) {
    if (alert === undefined) continue;
    assert.match(labels?.severity ?? '', /^(?:info|warning|critical)$/, alert);
    for (const name of ['summary', 'description']) assert.match(annotations?.[name] ?? '', /\.$/, `${alert} ${name}`);
    assert.equal(annotations?.runbook_url, `docs/runbook.md#${alert.toLowerCase()}`);
  }
  const entries = [...read('docs/runbook.md').matchAll(/^## (\S+)$/gm)].map(([, name]) => name);
  assert.deepEqual(entries.sort(), [...alerts].sort());
});
