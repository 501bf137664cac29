import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { hangsOn, SITE } from '#src/agent/world.js';
import { DEVICES, TABLES } from '#src/model/names.js';
import type { Step } from '#src/model/step.js';
import { gateway as anyGateway, at, FULL, keyOf, peerFacts, prefix, relay } from '../decide/fixtures.js';
import { Rig, stepKey } from './rig.js';

/** Behind a NAT that need not be opened from inside first: nothing here waits half a second. */
const gateway: typeof anyGateway = (number, options = {}) => anyGateway(number, { natType: FULL, ...options });

const own = gateway(1);
let rig: Rig;
function start(...args: ConstructorParameters<typeof Rig>): Rig {
  rig = new Rig(...args);
  return rig;
}
afterEach(() => rig.loop.stop());

const isItem = (step: Step): step is Extract<Step, { item: unknown }> => 'item' in step;
const index = (steps: readonly Step[], key: string) => steps.findIndex((step) => stepKey(step) === key);

describe('the loop', () => {
  it('does nothing, and does not spin, before the store was read whole', async () => {
    start(own);
    rig.world.found([{ kind: 'peer', plane: 'relay', gateway: '', key: keyOf(77), endpoint: null }], () => true);
    rig.loop.mark('gw-2');
    await rig.rest();
    assert.deepEqual(rig.taken(), []);
    assert.ok(rig.turns <= 3, `${rig.turns} turns`);
  });

  it('deletes what an earlier agent left, once the store was read whole', async () => {
    start(own);
    rig.world.found(
      [
        { kind: 'peer', plane: 'relay', gateway: '', key: keyOf(77), endpoint: null },
        { kind: 'device', plane: 'direct', name: DEVICES.direct, listenPort: 4501, mtu: 0 },
        {
          kind: 'route',
          table: TABLES.path,
          prefix: prefix('10.77.0.0/24'),
          metric: 0,
          device: DEVICES.relay,
          via: null,
          source: null,
        },
      ],
      () => true,
    );
    rig.site = { ...rig.site, direct: 'none' };
    rig.take([own, relay(1)]);
    await rig.rest();
    const deleted = rig.steps.filter((step) => step.op === 'delete').map(stepKey);
    assert.deepEqual(deleted.sort(), [
      'delete device raven-wg1',
      `delete peer relay ${keyOf(77)}`,
      'delete route 9028 10.77.0.0/24 0',
    ]);
    assert.ok(rig.converged, 'nothing left');
  });

  const left = () => {
    rig.world.found(
      [
        { kind: 'device', plane: 'relay', name: DEVICES.relay, listenPort: 4500, mtu: 0 },
        { kind: 'peer', plane: 'relay', gateway: '', key: keyOf(77), endpoint: null },
        { kind: 'carry', plane: 'relay', prefix: prefix('10.0.2.0/24'), peer: keyOf(77) },
        {
          kind: 'route',
          table: TABLES.path,
          prefix: prefix('10.77.0.0/24'),
          metric: 0,
          device: DEVICES.relay,
          via: null,
          source: null,
        },
      ],
      () => true,
    );
  };
  const deletes = () => rig.steps.filter((step) => step.op === 'delete').map(stepKey);

  it('deletes nothing that may belong to a gateway that could not be read, until it is read', async () => {
    start(own);
    left();
    rig.take([own, relay(1), gateway(2)], [], true);
    await rig.rest();
    assert.deepEqual(deletes(), []);
    assert.ok(rig.has('rule 4 101 9028 - 0 0') && rig.has('route 9028 10.0.2.0/24 0'), 'the rest is done');
    const carry = rig.world.observed.get('carry relay 10.0.2.0/24');
    assert.equal(carry?.kind === 'carry' && carry.peer, keyOf(77), 'nor is taken away what it carries');
    rig.take([relay(2, { key: keyOf(77) })]);
    await rig.rest();
    assert.deepEqual(deletes(), ['delete route 9028 10.77.0.0/24 0']);
    assert.ok(rig.has(`peer relay ${keyOf(77)}`), 'it was a relay');
    assert.ok(rig.converged, 'converged');
  });

  it('gives what nobody has to whom it belongs, once all is read', async () => {
    start(own);
    left();
    rig.take([own, relay(1), gateway(2)], [], true);
    await rig.rest();
    rig.take([]);
    await rig.rest();
    const carry = rig.world.observed.get('carry relay 10.0.2.0/24');
    assert.equal(carry?.kind === 'carry' && carry.peer, relay(1).active?.publicKey);
    assert.ok(!rig.has(`peer relay ${keyOf(77)}`), 'a stranger');
    assert.ok(rig.converged, 'converged');
  });

  it('does nothing at all, and does not spin, while its own gateway may be the one that could not be read', async () => {
    start(own);
    left();
    rig.take([relay(1), gateway(2)], [], true);
    await rig.rest();
    assert.deepEqual(rig.taken(), []);
    assert.ok(rig.turns <= 3, `${rig.turns} turns`);
    rig.take([own]);
    await rig.until(() => rig.has('route 9028 10.0.2.0/24 0') && rig.converged);
  });

  it('takes everything down when it belongs to no gateway, and all was read', async () => {
    start(own);
    left();
    rig.site = { ...rig.site, self: null, role: 'idle' };
    rig.take([relay(1), gateway(2)]);
    await rig.rest();
    assert.equal(deletes().length, 4);
  });

  it('does things in an order in which nothing is relied on before it is there', async () => {
    start(own);
    rig.take([own, gateway(2), relay(1)]);
    await rig.rest();
    const steps = rig.taken();
    const order = [
      'put device raven-wg0',
      'put address raven-wg0 10.0.1.1',
      'put firewall',
      `put peer relay ${relay(1).active?.publicKey}`,
      'put carry relay 10.0.2.0/24',
      'put route 9028 10.0.2.0/24 9000',
      'put route 9028 10.0.2.0/24 0',
      'put rule 4 101 9028 - 0 0',
    ].map((key) => index(steps, key));
    assert.ok(!order.includes(-1), `${order}`);
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
    );
    assert.ok(rig.punches.length >= 1 && rig.punches[0]?.sourcePort === 4500, 'the own NAT is opened');
    assert.ok(rig.converged, 'converged');
    rig.loop.markAll();
    await rig.rest();
    assert.deepEqual(rig.taken().filter(isItem), [], 'asked again it does nothing');
  });

  it('touches one of 10,000 gateways when one changes', { timeout: 60_000 }, async () => {
    start(relay(1));
    const edges = Array.from({ length: 10_000 }, (_, number) =>
      gateway(number + 2, {
        subnets: [`10.${(number >> 8) + 60}.${number & 255}.0/24`],
        probeAddress: `10.${(number >> 8) + 60}.${number & 255}.1`,
      }),
    );
    rig.take([relay(1), ...edges]);
    await rig.until(() => rig.has(`peer relay ${keyOf(10_001)}`));
    await rig.rest();
    assert.ok(rig.converged, 'converged');
    rig.taken();
    const moved = gateway(500, { subnets: ['10.250.0.0/24'], probeAddress: '10.250.0.1' });
    rig.take([moved]);
    await rig.until(() => rig.has('carry relay 10.250.0.0/24'));
    await rig.rest();
    const steps = rig.taken();
    assert.ok(steps.length <= 12, `${steps.length} steps`);
    for (const step of steps) assert.match(stepKey(step), /10\.250\.0|10\.61\.242|gw-500/);
  });

  it('puts relays first: nothing is carried by a peer that is not there, however many there are', async () => {
    start(own);
    const edges = Array.from({ length: 900 }, (_, number) => gateway(number + 2));
    rig.take([own, ...edges, relay(1)]);
    await rig.rest();
    const steps = rig.taken();
    const peer = index(steps, `put peer relay ${relay(1).active?.publicKey}`);
    const carry = steps.findIndex((step) => stepKey(step).startsWith('put carry relay'));
    assert.ok(peer >= 0 && peer < carry, `${peer} before ${carry}`);
    assert.equal(steps.filter((step) => stepKey(step).startsWith('put carry relay')).length, 901);
    assert.ok(rig.converged, 'converged');
  });

  it('retries what failed, with everything else done; what waits for a peer comes after it', async () => {
    start(own);
    let failures = 0;
    const key = `put peer relay ${relay(1).active?.publicKey}`;
    rig.fails = (step) => (stepKey(step) === key && failures++ < 1 ? new Error('no memory') : null);
    rig.take([own, gateway(2), relay(1)]);
    await rig.until(() => [...rig.failures.all].length > 0);
    assert.ok(rig.has('route 9028 10.0.2.0/24 0'), 'others were done');
    assert.match([...rig.failures.all][0]?.message ?? '', /no memory/);
    await rig.until(() => rig.has(`peer relay ${relay(1).active?.publicKey}`) && rig.has('carry relay 10.0.2.0/24'));
    await rig.until(() => rig.converged);
  });

  it('tries at once what failed for want of a device or peer, when that is there', async () => {
    start(own);
    let broken = true;
    const hanging = /^put (device raven-wg0|peer relay|carry relay|address raven-wg0|route 90.. \S+ 0$)/;
    rig.fails = (step) => (broken && hanging.test(stepKey(step)) ? new Error('no such device') : null);
    rig.take([own, gateway(2), relay(1)]);
    // All that hangs on the device has failed so often that its own pauses are long by now.
    await rig.until(() => rig.steps.filter((step) => stepKey(step) === 'put device raven-wg0').length >= 1);
    for (const { owner } of [...rig.failures.all]) {
      for (const key of rig.world.wantedBy(owner).keys()) {
        if (key === 'device raven-wg0' || !hanging.test(`put ${key}`)) continue;
        for (let times = 0; times < 6; times++) rig.failures.failed(key, owner, new Error('no'), performance.now());
      }
    }
    broken = false;
    rig.taken();
    await rig.until(() => rig.has('device raven-wg0'));
    await rig.rest();
    for (const key of ['address raven-wg0 10.0.1.1', 'carry relay 10.0.2.0/24', 'route 9028 10.0.2.0/24 0'])
      assert.ok(rig.has(key), key);
    assert.ok(rig.converged, 'converged');
  });

  it('backs off from what goes on failing, and does not spin', async () => {
    start(own);
    rig.fails = (step) => (stepKey(step) === 'put firewall' ? new Error('refused') : null);
    rig.take([own, relay(1)]);
    await rig.until(() => [...rig.failures.all].some(({ times }) => times >= 2));
    assert.ok(rig.steps.filter((step) => stepKey(step) === 'put firewall').length <= 3, 'a second between');
    assert.ok(rig.turns < 40, `${rig.turns} turns`);
  });

  it('forgets a failure that nobody asks to retry, and does not spin over it', async () => {
    start(own);
    rig.take([own, relay(1)]);
    await rig.rest();
    rig.failures.failed('route 9028 10.9.9.0/24 0', SITE, new Error('old'), performance.now() - 10_000);
    rig.world.found(
      [{ kind: 'route', table: 9028, prefix: prefix('10.9.9.0/24'), metric: 0, device: null, via: null, source: null }],
      () => false,
    );
    const before = rig.turns;
    rig.loop.mark(SITE);
    await rig.rest();
    assert.deepEqual([...rig.failures.all], []);
    assert.ok(rig.turns - before <= 3, `${rig.turns - before} turns`);
  });

  it('changes only the firewall when a relay is seen elsewhere', async () => {
    start(own);
    rig.take([own, gateway(2), relay(1)]);
    await rig.rest();
    rig.taken();
    rig.site = { ...rig.site, relayEndpoints: [at('203.0.113.99', 4510)] };
    rig.loop.mark(SITE);
    await rig.rest();
    assert.deepEqual(rig.taken().filter(isItem).map(stepKey), ['put firewall']);
  });

  it('builds a lost device anew, with all that hung on it', async () => {
    start(own);
    rig.take([own, gateway(2), relay(1)]);
    await rig.rest();
    const before = new Set(rig.world.observed.keys());
    rig.taken();
    for (const owner of rig.world.lostWhere(hangsOn('relay'))) rig.loop.mark(owner);
    await rig.rest();
    assert.ok(
      rig.taken().some((step) => stepKey(step) === 'put device raven-wg0'),
      'the device',
    );
    assert.deepEqual(new Set(rig.world.observed.keys()), before);
  });

  it('does not delete what another gateway took over in the same batch', async () => {
    start(own);
    const [two, three] = [gateway(2), gateway(3)];
    rig.take([own, relay(1), two, three]);
    await rig.rest();
    rig.taken();
    rig.take([
      gateway(2, { subnets: ['10.0.22.0/24'], probeAddress: null }),
      gateway(3, { subnets: ['10.0.2.0/24'], probeAddress: null }),
    ]);
    await rig.rest();
    const deleted = rig.steps.filter((step) => step.op === 'delete').map(stepKey);
    assert.ok(!deleted.some((key) => key.includes('10.0.2.0/24')), `${deleted}`);
    assert.ok(rig.has('route 9028 10.0.2.0/24 0') && rig.has('carry relay 10.0.2.0/24'), 'it stands');
    assert.ok(!rig.has('carry relay 10.0.3.0/24'), 'and what nobody has any more does not');
  });

  it('takes over a path that is direct, and does not when the key behind it is another', async () => {
    start(own);
    rig.world.found(
      [
        {
          kind: 'route',
          table: TABLES.path,
          prefix: prefix('10.0.2.0/24'),
          metric: 0,
          device: DEVICES.direct,
          via: null,
          source: null,
        },
      ],
      () => true,
    );
    rig.take([own, relay(1), gateway(2)]);
    await rig.rest();
    assert.equal(rig.remotes.get('gw-2')?.path?.state, 'direct');
    rig.take([gateway(2, { key: keyOf(222) })]);
    await rig.rest();
    assert.notEqual(rig.remotes.get('gw-2')?.path?.state, 'direct');
    const route = rig.world.observed.get('route 9028 10.0.2.0/24 0');
    assert.equal(route?.kind === 'route' ? route.device : null, DEVICES.relay);
  });

  it('goes on when deciding about one gateway fails', async () => {
    start(own);
    rig.take([own, relay(1), gateway(2), gateway(3)]);
    await rig.rest();
    const remote = rig.remotes.get('gw-2');
    if (remote === undefined) throw new Error('gw-2 is not there');
    Object.defineProperty(remote, 'facts', { get: () => assert.fail('a fault of ours') });
    rig.take([gateway(2, { hole: at('198.51.100.2', 9) }), gateway(4)]);
    await rig.until(() => rig.has('carry relay 10.0.4.0/24'));
    assert.deepEqual(rig.stumbled, ['gw-2']);
  });

  it('publishes what differs, and an edge that moved', async () => {
    start(relay(1));
    rig.take([relay(1), gateway(2)]);
    await rig.rest();
    assert.deepEqual(
      rig.published.map(({ gateway: name }) => name),
      ['relay-1'],
    );
    const remote = rig.remotes.get('gw-2');
    if (remote === undefined) throw new Error('gw-2 is not there');
    remote.facts = {
      ...remote.facts,
      relay: {
        peer: peerFacts({ endpoint: at('198.51.100.2', 61_000), lastHandshake: 1, receivedAt: Date.now() }),
        probe: null,
      },
    };
    rig.loop.mark('gw-2');
    await rig.rest();
    assert.deepEqual(rig.published.at(-1)?.fields, { publicIP: '198.51.100.2', publicPort: 61_000 });
  });
});
