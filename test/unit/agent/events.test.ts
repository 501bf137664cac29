import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEvents } from '#src/agent/events.js';
import type { PathMemory } from '#src/decide/path.js';
import { type Ip, parseIp } from '#src/model/address.js';
import type { GatewayEvent } from '#src/store/events.js';

const ip = (text: string): Ip => parseIp(text) ?? assert.fail();
const path = (state: PathMemory['state'], reason: string) => ({ state, reason }) as PathMemory;

function setUp(own: string | null = 'gw-a', isRelay = false) {
  const told: GatewayEvent[] = [];
  const recorder = { record: (event: GatewayEvent) => void told.push(event), stop: async () => undefined };
  const events = createEvents(recorder, { node: 'edge-a', own: () => own, isRelay: () => isRelay });
  const lines = () => told.splice(0).map(({ gateway, type, reason, note }) => `${gateway} ${type} ${reason}: ${note}`);
  return { events, lines };
}

test('paths: going direct and back to the relay, on the own gateway, with the reason', () => {
  const { events, lines } = setUp();
  events.transition('gw-b', null, path('relayed', 'x'));
  events.transition('gw-b', path('relayed', 'x'), path('punching', 'x'));
  events.transition('gw-b', path('direct', 'x'), path('direct', 'y'));
  assert.deepEqual(lines(), []);
  events.transition('gw-b', path('punching', 'x'), path('direct', 'direct answers in 3 ms'));
  events.transition('gw-b', path('direct', 'x'), path('punching', 'direct does not answer'));
  assert.deepEqual(lines(), [
    'gw-a Normal Direct: edge-a to gw-b: direct answers in 3 ms',
    'gw-a Warning BackToRelay: edge-a to gw-b: direct does not answer',
  ]);
  const homeless = setUp(null);
  homeless.events.transition('gw-b', path('punching', 'x'), path('direct', 'y'));
  assert.deepEqual(homeless.lines(), []);
});

test('what was published: holes and NAT types, and nothing of keys and versions', () => {
  const { events, lines } = setUp();
  const publish = (fields: object) => events.published({ op: 'publish', gateway: 'gw-b', nodeName: 'edge-b', fields });
  publish({ publicIP: ip('203.0.113.9'), publicPort: 4500 });
  publish({ publicPort: 4600 });
  publish({ publicIP: ip('2001:db8::1') });
  publish({ natType: 'Symmetric NAT', config: { corax: '1' } });
  publish({ natType: 'Undefined' });
  publish({ config: { publicKey: 'x' } });
  assert.deepEqual(lines(), [
    'gw-b Normal HoleChanged: edge-b is seen at 203.0.113.9:4500',
    'gw-b Normal HoleChanged: edge-b is seen at port 4600',
    'gw-b Normal HoleChanged: edge-b is seen at 2001:db8::1',
    'gw-b Normal NatTypeFound: edge-b is under a Symmetric NAT',
  ]);
});

test('a refused gateway is told of by relays and by its own agent, not by all', () => {
  for (const [own, isRelay, expected] of [
    ['gw-a', false, []],
    ['gw-x', false, ['gw-x Warning Refused: refused: it claims what is not its']],
    ['gw-a', true, ['gw-x Warning Refused: refused: it claims what is not its']],
  ] as const) {
    const { events, lines } = setUp(own, isRelay);
    events.refused('gw-x', 'it claims what is not its');
    assert.deepEqual(lines(), expected);
  }
});
