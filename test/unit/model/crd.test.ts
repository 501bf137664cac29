import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gatewayCrd, gatewayStructure, type StructuralSchema } from '#src/model/crd.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

const ENDPOINT = (at: string) => [
  `${at}: list of object`,
  `${at}[].config: map of string`,
  `${at}[].natType: string`,
  `${at}[].nodeName: string, required`,
  `${at}[].port: integer`,
  `${at}[].publicIP: string`,
  `${at}[].publicPort: integer`,
  `${at}[].type: string, required`,
  `${at}[].underNAT: boolean`,
];

/** OpenYurt's Gateway, v1beta1, by hand. */
const OPENYURT = [
  'apiVersion: string',
  'kind: string',
  'metadata: object',
  'spec: object',
  ...ENDPOINT('spec.endpoints'),
  'spec.exposeType: string',
  'spec.nodeSelector: object, atomic',
  'spec.nodeSelector.matchExpressions: list of object, atomic',
  'spec.nodeSelector.matchExpressions[].key: string, required',
  'spec.nodeSelector.matchExpressions[].operator: string, required',
  'spec.nodeSelector.matchExpressions[].values: list of string, atomic',
  'spec.nodeSelector.matchLabels: map of string',
  'spec.proxyConfig: object',
  'spec.proxyConfig.Replicas: integer, required',
  'spec.proxyConfig.proxyHTTPPort: string',
  'spec.proxyConfig.proxyHTTPSPort: string',
  'spec.tunnelConfig: object',
  'spec.tunnelConfig.Replicas: integer, required',
  'status: object',
  ...ENDPOINT('status.activeEndpoints'),
  'status.nodes: list of object',
  'status.nodes[].nodeName: string, required',
  'status.nodes[].privateIP: string, required',
  'status.nodes[].subnets: list of string, required',
];

function* flatten(schema: StructuralSchema, at: string, required: boolean): Generator<string> {
  const { type, description: _, properties, required: names = [], items, additionalProperties, ...rest } = schema;
  const { 'x-kubernetes-list-type': listType, 'x-kubernetes-map-type': mapType, ...unknown } = rest;
  assert.deepEqual(unknown, {}, `${at} says more than its type`);
  let what = type;
  if (items !== undefined) what = `list of ${items.type}`;
  if (additionalProperties !== undefined) what = `map of ${additionalProperties.type}`;
  const atomic = listType === 'atomic' || mapType === 'atomic' ? ', atomic' : '';
  if (at !== '') yield `${at}: ${what}${required ? ', required' : ''}${atomic}`;
  for (const [of, prefix] of [
    [schema, at === '' ? '' : `${at}.`],
    [items, `${at}[].`],
  ] as const) {
    const demanded = of === schema ? names : (of?.required ?? []);
    for (const [name, property] of Object.entries(of?.properties ?? {})) {
      yield* flatten(property, `${prefix}${name}`, demanded.includes(name));
    }
  }
}

describe('the CRD', () => {
  test('has the fields and types of OpenYurt, no more and no less', () => {
    assert.deepEqual([...flatten(gatewayStructure(), '', false)].sort(), [...OPENYURT].sort());
  });

  test('every field says what it is', () => {
    const text = JSON.stringify(gatewayCrd());
    assert.ok(!text.includes('null') && !text.includes('anyOf') && !text.includes('x-corax'), text);
    const visit = (schema: StructuralSchema, at: string) => {
      for (const [name, property] of Object.entries(schema.properties ?? {})) {
        const path = `${at}.${name}`;
        if (!/^\.(?:apiVersion|kind|metadata)$/.test(path))
          assert.ok(property.description, `${path} has no description`);
        visit(property, path);
      }
      if (schema.items) visit(schema.items, `${at}[]`);
    };
    visit(gatewayStructure(), '');
  });

  test('the committed files are the generated ones (npm run generate)', () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      ['-C', 'corax-source', '--import', 'tsx', 'scripts/generate.mjs', '--check'],
      { cwd: root, encoding: 'utf8' },
    );
    assert.equal(status, 0, stderr);
  });
});
