/** `corax peers` */
import { Command } from 'commander';
import { PLANES } from '../model/names.js';
import { type PeerStatus, type PlaneStatus, peersSchema } from '../model/status.js';
import { ask, SOCKET_FLAG, SOCKET_HELP, type SocketOption, socketPath, unknownGateway } from './client.js';
import {
  formatAge,
  formatBytes,
  formatLoss,
  formatRtt,
  paint,
  print,
  printable,
  printJson,
  standardTerminal,
  type Terminal,
  wrap,
} from './output.js';

interface PeersOptions extends SocketOption {
  readonly json?: true;
}

export function peersCommand(): Command {
  return new Command('peers')
    .description('show the other gateways in full: subnets, and endpoint, handshake and bytes of both planes')
    .argument('[gateway]', 'only this one')
    .option(SOCKET_FLAG, SOCKET_HELP)
    .option('--json', 'print {"peers": [...]}, the same objects as in status --json')
    .addHelpText(
      'after',
      `
Examples:
  corax peers
  corax peers gw-b --json

Exit codes: 0 the agent answered, 1 it did not, does not know the gateway, or wrong usage`,
    )
    .action(async (gateway: string | undefined, options: PeersOptions) => {
      const { value, raw } = await ask(socketPath(options), '/peers', peersSchema);
      const known = value.peers.map((peer) => peer.gateway);
      if (gateway !== undefined && !known.includes(gateway)) {
        throw unknownGateway(`no peer is called ${JSON.stringify(gateway)}`, gateway, known);
      }
      const wanted = (_peer: unknown, index: number) => gateway === undefined || known[index] === gateway;
      if (options.json) return printJson({ peers: (raw as { peers: unknown[] }).peers.filter(wanted) });
      const peers = value.peers.filter(wanted);
      if (peers.length === 0) return print('no other gateways');
      const terminal = standardTerminal();
      print(peers.map((peer) => renderPeer(peer, terminal, Date.now() / 1000)).join('\n\n'));
    });
}

/** `now` in Unix seconds. */
export function renderPeer(peer: PeerStatus, terminal: Terminal, now: number): string {
  const node = peer.node === null ? '' : ` (${printable(peer.node)})`;
  const since = peer.since === null ? '' : ` for ${formatAge(peer.since, now)}`;
  const lines = [
    ['subnets', printable(peer.subnets.join(', ')) || 'none'],
    ['path', `${peer.path ?? 'none'}, ${peer.state}${since}`],
    ['reason', printable(peer.reason)],
    ...PLANES.map((plane) => [plane, renderPlane(peer.planes[plane], now)]),
  ];
  return [
    `${paint(terminal, 'bold', printable(peer.gateway))}${node}`,
    ...lines.map(([label = '', value = '']) => wrap(`  ${label.padEnd(8)} ${value}`, terminal.columns, ' '.repeat(11))),
  ].join('\n');
}

function renderPlane(plane: PlaneStatus | null, now: number): string {
  if (plane === null) return 'none';
  return [
    plane.endpoint === null ? 'no endpoint' : printable(plane.endpoint),
    `rtt ${formatRtt(plane.rttMs)} ms`,
    `loss ${formatLoss(plane.loss)}`,
    `handshake ${formatAge(plane.lastHandshake, now)}`,
    `rx ${formatBytes(plane.rxBytes)}`,
    `tx ${formatBytes(plane.txBytes)}`,
  ].join(', ');
}
