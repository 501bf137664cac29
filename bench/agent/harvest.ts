/**
 * A relay's agent that polls a device on which all peers have news: prints the processor time of every turn of its
 * event loop, in milliseconds, one a line. Needs --expose-gc. Argument: how many edges.
 */
import { DEVICES, TUNNEL_FWMARK, TUNNEL_PORT } from '#src/model/names.js';
import { ChangeFlag, type WgDelta } from '#src/native.js';
import { packPeers } from '#src/tunnel/columns.js';
import { publicKeyOf } from '#src/tunnel/keys.js';
import { changeOf, population } from '../peers/records.js';
import { observing } from './observe.js';
import { PRIVATE_KEY } from './rig.js';
import { relayWith } from './work.js';

declare const gc: () => void;

const POLLS = 20;
/** The first ones are slow: nothing is compiled yet. The start is another figure. */
const WARM_UP = 3;
/** What it takes to read the clock and go round. */
const IDLE_MS = 0.5;

/** Processor time, others' load left out; what V8 does on other threads meanwhile is in it too. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const edges = Number(process.argv[2]);
const rig = await relayWith(edges);
const { count, publicKeys, endpointAddresses, endpointPorts, keepalives, allowedIpOffsets, allowedIps } = packPeers(
  population(edges).map((each) => changeOf(each, 'put')),
);
const ownKey = Buffer.from(publicKeyOf(PRIVATE_KEY), 'base64');
let polls = 0;

/** Every edge sent its keepalive: fresh arrays each time, as the addon makes them. */
function delta(): WgDelta {
  polls += 1;
  return {
    ifindex: 3,
    publicKey: ownKey,
    listenPort: TUNNEL_PORT,
    fwmark: TUNNEL_FWMARK,
    count,
    total: count,
    publicKeys: publicKeys.slice(),
    endpointAddresses: endpointAddresses.slice(),
    endpointPorts: endpointPorts.slice(),
    keepalives: keepalives.slice(),
    lastHandshakes: new Float64Array(count).fill(Math.floor(Date.now() / 1000 / 120) * 120),
    rxBytes: new Float64Array(count).fill(polls * 32),
    txBytes: new Float64Array(count).fill(polls * 32),
    allowedIpOffsets: allowedIpOffsets.slice(),
    allowedIps: allowedIps.slice(),
    changes: new Uint8Array(count).fill(ChangeFlag.Counters),
  };
}

rig.kernel.delta = delta;
const { observer, check } = observing(rig);
if (!rig.world.observed.has(`device ${DEVICES.relay}`)) throw new Error('no device stands');

gc();
const turns: number[] = [];
let last = processorTime();
const turn = (): void => {
  const now = processorTime();
  if (polls > WARM_UP) turns.push(now - last);
  last = now;
  if (polls <= POLLS + WARM_UP) setImmediate(turn);
};
observer.start();
setImmediate(turn);
while (polls <= POLLS + WARM_UP) {
  check();
  // Between polls only the measuring itself makes garbage, and who collects it would be charged to a turn.
  observer.lookSoon();
  await new Promise((resolve) => setTimeout(resolve, 50));
}
await observer.stop();
await rig.stop();
// Turns that only wait for the next poll say nothing.
process.stdout.write(
  turns
    .filter((time) => time > IDLE_MS)
    .map((time) => `${time.toFixed(3)}\n`)
    .join(''),
);
