import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explanationSchema, statusJsonSchema, statusSchema } from '#src/model/status.js';
import { edgeStatus, explanation, peerStatus } from './fixtures.js';

test('a status passes, with whatever a newer agent adds', () => {
  assert.deepEqual(statusSchema.parse(edgeStatus()), edgeStatus());
  assert.ok(statusSchema.safeParse({ ...edgeStatus(), added: 1, peers: [{ ...peerStatus(), added: 1 }] }).success);
});

test('unknown is null, nothing is left out', () => {
  const unknown = edgeStatus({
    gateway: null,
    role: null,
    nat: { type: null, mapping: null, filtering: null, hole: null, profile: null },
    peers: [peerStatus({ node: null, path: null, since: null, planes: { relay: null, direct: null } })],
  });
  assert.ok(statusSchema.safeParse(unknown).success);
  const shown = ['node', 'gateway', 'role', 'driver', 'nat', 'peers', 'errors', 'version', 'startedAt', 'store'];
  for (const key of shown) {
    const { [key as keyof typeof unknown]: _, ...rest } = unknown;
    assert.ok(!statusSchema.safeParse(rest).success, `without ${key}`);
  }
});

test('loss is a fraction, states and paths have their words', () => {
  const plane = {
    endpoint: null,
    alive: null,
    lastHandshake: null,
    rttMs: null,
    loss: 0.5,
    rxBytes: null,
    txBytes: null,
  };
  const withPlane = (relay: unknown) => ({
    ...edgeStatus(),
    peers: [{ ...peerStatus(), planes: { relay, direct: null } }],
  });
  assert.ok(statusSchema.safeParse(withPlane(plane)).success);
  for (const wrong of [{ loss: 50 }, { loss: -0.1 }, { rttMs: -1 }, { rttMs: Number.NaN }, { lastHandshake: '1' }]) {
    assert.ok(!statusSchema.safeParse(withPlane({ ...plane, ...wrong })).success, JSON.stringify(wrong));
  }
  for (const wrong of [{ path: 'both' }, { state: 'up' }]) {
    assert.ok(!statusSchema.safeParse({ ...edgeStatus(), peers: [{ ...peerStatus(), ...wrong }] }).success);
  }
});

test('the JSON Schema holds what the schema holds', () => {
  const schema = statusJsonSchema() as {
    type: string;
    required: string[];
    additionalProperties?: unknown;
    properties: { peers: { items: { required: string[]; properties: Record<string, unknown> } } };
  };
  assert.equal(schema.type, 'object');
  assert.deepEqual([...schema.required].sort(), Object.keys(edgeStatus()).sort());
  assert.deepEqual([...schema.properties.peers.items.required].sort(), Object.keys(peerStatus()).sort());
  assert.notEqual(schema.additionalProperties, false, 'further keys are allowed');
});

test('an explanation is sections of facts, and all of them in one list', () => {
  assert.deepEqual(explanationSchema.parse(explanation()), explanation());
  for (const wrong of [{ facts: [['b']] }, { sections: [{ title: 'a', verdict: null, facts: [{ label: 'b' }] }] }]) {
    assert.ok(!explanationSchema.safeParse({ ...explanation(), ...wrong }).success, JSON.stringify(wrong));
  }
});
