/**
 * What it costs to send bytes through a tunnel: two network namespaces on one link, WireGuard between them, and a TCP
 * stream. Bare: a device and nothing else. Relay and direct plane: corax's devices, marks and whole firewall at both
 * ends; the direct plane's packets have their ports rewritten at each.
 */

import { type Ip, type Prefix, parseIp, parsePrefix } from '#src/model/address.js';
import { DEVICES, DIRECT_PORT, TUNNEL_FWMARK, TUNNEL_PORT } from '#src/model/names.js';
import { firewallTransaction } from '#src/network/firewall.js';
import { publicKeyOf } from '#src/tunnel/keys.js';
import { run } from '../../lab/process.js';
import { settle } from './contender.js';

const MIB = 4;
const ENDS = ['bench-a', 'bench-b'] as const;
const outer = (end: number): Ip => parseIp(`192.0.2.${end + 1}`) as Ip;
const inner = (end: number): string => `10.9.${end}.1`;
const privateKey = (end: number): Uint8Array => new Uint8Array(32).fill(64 + end * 8);

const RECEIVE = `
require('node:net').createServer((socket) => {
  let left = Number(process.argv[1]);
  socket.on('data', (data) => { left -= data.length; if (left <= 0) socket.end('x'); });
}).listen(7000, '0.0.0.0', () => console.log('ready'));
process.stdin.resume().on('end', () => process.exit());`;
const SEND = `
const { connect } = require('node:net');
const chunk = Buffer.alloc(1 << 16);
const send = (bytes) => new Promise((done) => {
  const socket = connect(7000, process.argv[1]);
  let left = bytes;
  const more = () => { while (left > 0) { left -= chunk.length; if (!socket.write(chunk)) return; } };
  socket.on('connect', more).on('drain', more).on('data', () => { socket.destroy(); done(); });
});
(async () => {
  const start = process.hrtime.bigint();
  await send(Number(process.argv[2]));
  console.log(Number(process.hrtime.bigint() - start) / 1e6);
})();`;

/** Milliseconds a MiB. */
export async function throughput(who: string, times: number): Promise<number[]> {
  await tearDown();
  try {
    await setUp(who);
    const taken: number[] = [];
    for (let time = 0; time <= times; time++) {
      await settle();
      taken.push((await transfer()) / MIB);
    }
    // The first one shook hands and learnt the path.
    return taken.slice(1);
  } finally {
    await tearDown();
  }
}

async function transfer(): Promise<number> {
  const bytes = String(MIB << 20);
  const script = `mkfifo /run/bench-stop; "$0" -e "$1" "$3" </run/bench-stop >/run/bench-out & exec 3>/run/bench-stop
    until grep -q ready /run/bench-out; do sleep 0.1; done
    ip netns exec ${ENDS[0]} "$0" -e "$2" ${inner(1)} "$3"; exec 3>&-; wait; rm -f /run/bench-stop /run/bench-out`;
  const words = ['ip', 'netns', 'exec', ENDS[1], 'sh', '-c', script, process.execPath, RECEIVE, SEND, bytes];
  return Number((await run(words)).stdout.trim());
}

async function setUp(who: string): Promise<void> {
  for (const end of ENDS) await run(['ip', 'netns', 'add', end]);
  await run(['ip', 'link', 'add', 'v0', 'netns', ENDS[0], 'type', 'veth', 'peer', 'name', 'v0', 'netns', ENDS[1]]);
  for (const end of [0, 1]) await setUpEnd(who, end);
}

async function setUpEnd(who: string, end: number): Promise<void> {
  const name = ENDS[end] as string;
  // What is given by Node is a socket, and /dev/stdin can only be opened where it is a pipe.
  const piped = ['sh', '-c', 'cat | "$0" "$@"'];
  const inside = (words: readonly string[], input = '') =>
    run(['ip', 'netns', 'exec', name, ...(input === '' ? [] : piped), ...words], { input });
  const other = 1 - end;
  const direct = who === 'corax, direct plane' || who === 'corax, on demand';
  const device = direct ? DEVICES.direct : DEVICES.relay;
  const listen = String(direct ? DIRECT_PORT : TUNNEL_PORT);
  const peer = ['peer', publicKeyOf(privateKey(other)), 'allowed-ips', `10.9.${other}.0/24`];
  const key = Buffer.from(privateKey(end)).toString('base64');
  const mark = who === 'bare WireGuard' ? [] : ['fwmark', String(TUNNEL_FWMARK)];
  await inside(['ip', 'address', 'add', `${outer(end)}/24`, 'dev', 'v0']);
  for (const each of ['lo', 'v0']) await inside(['ip', 'link', 'set', each, 'up']);
  await inside(['ip', 'link', 'add', device, 'mtu', '1420', 'type', 'wireguard']);
  const settings = ['wg', 'set', device, 'listen-port', listen, ...mark, 'private-key', '/dev/stdin'];
  await inside([...settings, ...peer, 'endpoint', `${outer(other)}:${TUNNEL_PORT}`], `${key}\n`);
  await inside(['ip', 'address', 'add', `${inner(end)}/24`, 'dev', device]);
  await inside(['ip', 'link', 'set', device, 'up']);
  await inside(['ip', 'route', 'add', `10.9.${other}.0/24`, 'dev', device]);
  if (who === 'bare WireGuard') return;
  const relay = direct ? (parseIp('192.0.2.99') as Ip) : outer(other);
  const firewall = firewallTransaction({
    kind: 'firewall',
    relays: [{ ip: relay, port: TUNNEL_PORT }],
    relaying: false,
    localSubnets: [parsePrefix(`10.9.${end}.0/24`) as Prefix],
    devices: [DEVICES.relay, DEVICES.direct],
    byPolicy: false,
    watchesTraffic: who === 'corax, on demand',
    overlay: null,
  });
  await inside(['nft', '-j', '-f', '-'], firewall);
}

async function tearDown(): Promise<void> {
  for (const end of ENDS) await run(['ip', 'netns', 'delete', end], { allowFailure: true });
}
