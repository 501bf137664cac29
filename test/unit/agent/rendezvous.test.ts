import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Rendezvous } from '#src/agent/rendezvous.js';
import { DEVICES, TABLES } from '#src/model/names.js';
import type { OpeningDeed, RendezvousMessage } from '#src/model/opening.js';
import type { Opener } from '#src/probe/opener.js';
import { encodeMessage } from '#src/probe/rendezvous-codec.js';
import { at, gateway, keyOf, PORT, relay, SYMMETRIC } from '../decide/fixtures.js';
import { aSequence } from '../decide/ports.js';
import { Rig, stepKey } from './rig.js';

const own = gateway(1, { natType: SYMMETRIC });
const other = gateway(2, { natType: PORT });
const THEIRS = other.active?.probeAddress ?? '';

let rig: Rig;
afterEach(() => rig.loop.stop());

function start(opener: Partial<Opener> = {}) {
  rig = new Rig(own);
  const troubles: string[] = [];
  const rendezvous = new Rendezvous({
    opener: opener as Opener,
    openings: rig.openings,
    remotes: rig.remotes,
    world: rig.world,
    mark: (owner) => rig.loop.mark(owner),
    failed: (what, error) => troubles.push(`${what}: ${String(error)}`),
    worked: () => undefined,
  });
  const say = (message: RendezvousMessage, address = THEIRS) =>
    rendezvous.hear({ type: 'rendezvous', address, payload: encodeMessage(message) }, rig.site);
  return { rendezvous, say, troubles };
}

const deeds = () => rig.steps.filter((step): step is OpeningDeed => !('item' in step) && 'gateway' in step);
const lastAsk = () => {
  const asks = deeds().flatMap((deed) => (deed.op === 'say' && deed.message.kind === 'ask' ? [deed.message] : []));
  return asks.at(-1);
};

describe('the rendezvous, in the loop', () => {
  it('carries a try through: the rule before the peer, the peer before nobody, "hit" after the rule', async () => {
    const { rendezvous, say } = start();
    rig.take([own, relay(1), other]);
    await rig.until(() => lastAsk() !== undefined);
    const token = lastAsk()?.token ?? '';
    say({ kind: 'ready', token, hole: at('198.51.100.2', 31_000), probes: 1_024 });
    await rig.until(() => deeds().some(({ op }) => op === 'fan'));
    const id = Number.parseInt(token.slice(0, 8), 16);
    rendezvous.hear({ type: 'fan', id, localPort: 40_001, outsidePort: 50_002 }, rig.site);
    await rig.until(() => rig.has(`peer direct ${other.active?.publicKey}`));
    const keys = rig.steps.map((step) => (step.op === 'say' ? `say ${step.message.kind}` : stepKey(step)));
    const order = [
      'say ask',
      'fan',
      'say open',
      'put outside-port 198.51.100.2:31000',
      'say hit',
      `put peer direct ${other.active?.publicKey}`,
    ].map((key) => keys.indexOf(key));
    assert.ok(
      order.every((index, at) => index >= 0 && (at === 0 || index > (order[at - 1] as number))),
      keys.join('\n'),
    );
  });

  it("has a sequential NAT's ports asked for, and opens where they stand", async () => {
    const { rendezvous, say } = start();
    rig.site = { ...rig.site, ports: aSequence() };
    rig.take([own, relay(1), other]);
    await rig.until(() => lastAsk() !== undefined);
    const token = lastAsk()?.token ?? '';
    say({ kind: 'ready', token, hole: at('198.51.100.2', 31_000), probes: 1_024 });
    await rig.until(() => deeds().some(({ op }) => op === 'sample'));
    const latest = { ip: own.active?.hole?.ip ?? at('0.0.0.0').ip, port: 20_000 };
    // Of a try that nobody knows.
    rendezvous.sampled({ type: 'sample', token: 'f'.repeat(16), latest });
    rendezvous.sampled({ type: 'sample', token, latest: { ...latest, port: 30_000 } });
    await rig.until(() => deeds().some(({ op }) => op === 'fan'));
    const opens = deeds().flatMap((deed) => (deed.op === 'say' && deed.message.kind === 'open' ? [deed.message] : []));
    assert.deepEqual(opens[0]?.ports, { first: 30_001, last: 30_016 });
  });

  it('hears only known remotes, from their probe address, and what is a message', async () => {
    const { rendezvous, say } = start();
    rig.take([own, relay(1), other]);
    await rig.until(() => lastAsk() !== undefined);
    const token = lastAsk()?.token ?? '';
    const ready = { kind: 'ready', token, hole: at('198.51.100.2'), probes: 9 } as const;
    say(ready, '10.0.9.9');
    rendezvous.hear({ type: 'rendezvous', address: THEIRS, payload: Uint8Array.of(1, 2, 3) }, rig.site);
    await rig.rest();
    assert.ok(!deeds().some(({ op }) => op === 'fan'));
  });

  it('opens on the relay plane once its device and address stand, and nowhere before', async () => {
    const places: unknown[] = [];
    const { rendezvous, troubles } = start({
      open: async (place) => {
        places.push(place);
        if (places.length === 4) throw new Error('no such device');
      },
    });
    const address = own.active?.probeAddress;
    await rendezvous.open(rig.site);
    rig.take([own, relay(1)]);
    await rig.until(() => rig.has(`address ${DEVICES.relay} ${address}`));
    await rendezvous.open(rig.site);
    await rendezvous.open({ ...rig.site, driver: 'libreswan' });
    await rendezvous.open(rig.site);
    const here = { device: DEVICES.relay, address };
    assert.deepEqual(places, [null, here, null, here]);
    assert.deepEqual(troubles, ['rendezvous: Error: no such device']);
  });

  it('adopts what an earlier agent opened: the path stays, and its rule is asked for', async () => {
    start();
    const key = other.active?.publicKey ?? keyOf(2);
    const endpoint = at('198.51.100.2', 31_000);
    rig.world.found(
      [
        { kind: 'device', plane: 'direct', name: DEVICES.direct, listenPort: 4501, mtu: 0 },
        { kind: 'peer', plane: 'direct', gateway: '', key, endpoint },
        { kind: 'outside-port', remote: endpoint, localPort: 40_001 },
        {
          kind: 'route',
          table: TABLES.path,
          prefix: other.subnets[0] as never,
          metric: 0,
          device: DEVICES.direct,
          via: null,
          source: null,
        },
      ],
      () => true,
    );
    const lastHandshake = Date.now() / 1000;
    const peer = { plane: 'direct', key, gone: false, moved: true, endpoint, lastHandshake } as const;
    rig.remotes.seePeer({ ...peer, session: null, rxBytes: 9, txBytes: 9, carries: null }, Date.now());
    rig.take([own, relay(1), other]);
    await rig.rest();
    assert.equal(rig.remotes.get('gw-2')?.path?.state, 'direct');
    assert.equal(rig.remotes.get('gw-2')?.facts.opening?.memory.phase, 'opened');
    assert.deepEqual(rig.taking('outside-port', 'delete'), []);
    assert.ok(rig.has('outside-port 198.51.100.2:31000'));
    assert.equal(lastAsk(), undefined);
  });
});
