/**
 * A relay's agent over a real device, and edges by the thousand that complete handshakes with it (bench/peers/load),
 * each from an address of its own that the store does not know yet.
 */
import { TUNNEL_FWMARK, TUNNEL_PORT } from '#src/model/names.js';
import { type Engine, openEngine } from '#src/native.js';
import { packPeers } from '#src/tunnel/columns.js';
import { publicKeyOf } from '#src/tunnel/keys.js';
import { run } from '../../lab/process.js';
import { edgeGateway, RELAY } from '../agent/gateways.js';
import { observing } from '../agent/observe.js';
import { PRIVATE_KEY } from '../agent/rig.js';
import { relayWith } from '../agent/work.js';
import { changeOf, livingPeer, PRESHARED_KEY } from '../peers/records.js';
import { DEVICE, type Device } from './device.js';

/** Handshakes begun each second. */
const RATE = 100;
const BATCH = 500;
/** Longer than a poll takes, and than the loop and the publisher after it. */
const QUIET_MS = 5_000;

/** Milliseconds from an edge's first packet to the write to its Gateway: a hundred quantiles of all the edges'. */
export async function edgesAppear(engine: Engine, device: Device, edges: number, load: string): Promise<number[]> {
  await device.empty();
  await engine.wgConfigure(DEVICE, { privateKey: PRIVATE_KEY, listenPort: TUNNEL_PORT, fwmark: TUNNEL_FWMARK });
  const peers = Array.from({ length: edges }, (_, index) => livingPeer(index));
  for (let from = 0; from < edges; from += BATCH) {
    const changes = peers.slice(from, from + BATCH).map((each) => ({ ...changeOf(each, 'put'), endpoint: null }));
    await engine.wgApply(DEVICE, packPeers(changes.map(({ keepaliveS: _, ...silent }) => silent)));
  }
  await run(['ip', 'address', 'replace', `${RELAY.address}/32`, 'dev', 'lo']);
  // Any of the edges' addresses is this machine's own.
  await run(['ip', 'route', 'replace', 'local', '198.18.0.0/15', 'dev', 'lo']);
  await run(['ip', 'link', 'set', DEVICE, 'up']);

  const rig = await relayWith(edges, (index, move) => edgeGateway(index, move, index, livingPeer(index)));
  const reader = openEngine(() => {});
  rig.kernel.delta = () => reader.wgDelta(DEVICE);
  const writtenAt = new Map<number, number>();
  rig.echo = ({ gateway }) => {
    const index = Number(gateway.slice('edge-'.length));
    writtenAt.set(index, Date.now());
    return edgeGateway(index, 1, index, livingPeer(index));
  };
  const { observer, check } = observing(rig);
  const connect = async (): Promise<Map<number, number>> => {
    const keys = [publicKeyOf(PRIVATE_KEY), Buffer.from(PRESHARED_KEY).toString('base64')];
    const words = [load, `${RELAY.address}:${TUNNEL_PORT}`, ...keys, '0', String(edges), '1', String(RATE)];
    const { stdout } = await run(words);
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    check();
    const lines = stdout.trim().split('\n');
    return new Map(lines.map((line) => line.split(' ').map(Number) as [number, number]));
  };
  try {
    observer.start();
    const began = await connect();
    if (began.size !== edges || rig.written.length !== edges) {
      throw new Error(`${began.size} handshakes and ${rig.written.length} writes for ${edges} edges`);
    }
    // Once more from the same places: new sessions, and nothing to write.
    await connect();
    if (rig.written.length !== edges) throw new Error(`${rig.written.length - edges} writes for sessions renewed`);
    const waits = [...began].map(([index, at]) => (writtenAt.get(index) ?? Number.NaN) - at).sort((a, b) => a - b);
    return Array.from({ length: 100 }, (_, part) => waits[Math.ceil(((part + 1) * edges) / 100) - 1] ?? Number.NaN);
  } finally {
    await observer.stop();
    await rig.stop();
    reader.close();
    await run(['ip', 'route', 'del', 'local', '198.18.0.0/15', 'dev', 'lo'], { allowFailure: true });
    await device.empty();
  }
}
