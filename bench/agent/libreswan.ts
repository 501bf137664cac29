/** Edges' connections at a relay, given to a pluto by its control socket and by whack, in turns. */
import { join } from 'node:path';
import type { PlutoCommand } from '#src/native.js';
import { refusalIn } from '#src/tunnel/libreswan/pluto-client.js';
import { askWhack } from '#src/tunnel/libreswan/whack.js';
import type { LivePluto } from '../../lab/libreswan/live-pluto.js';

export const PLUTO_ADDRESS = '192.0.2.1';

/** An edge's connection at a relay: deleted if it is there, and added. */
export function edgeConnection(number: number): PlutoCommand {
  const subnet = `10.${1 + (number >> 8)}.${number & 255}.0/24`;
  return {
    op: 'connection',
    name: `192.0.2.1-192.168.1.2-0.0.0.0/0-${subnet}`,
    delete: true,
    add: {
      local: { id: `@192.0.2.1-0.0.0.0/0-${subnet}`, host: PLUTO_ADDRESS, ikePort: 4500, client: '0.0.0.0/0' },
      remote: { id: `@192.168.1.2-${subnet}-0.0.0.0/0`, host: null, ikePort: null, client: subnet },
      dpdDelayS: 5,
      dpdAction: 'clear',
      retransmitTimeoutS: 10,
      retransmitIntervalMs: 500,
      // This kernel may have no XFRM interfaces.
      ifId: null,
      reqid: number + 1,
      ike: null,
      esp: null,
    },
  };
}

export const edgeConnections = (count: number): PlutoCommand[] =>
  Array.from({ length: count }, (_, number) => edgeConnection(number));

/** Seconds, one a round: what else the machine does slows both, though not in the same round. */
export interface Adding {
  readonly byWhack: readonly number[];
  readonly bySocket: readonly number[];
}

export async function addInTurns(live: LivePluto, connections: number, rounds: number): Promise<Adding> {
  const { pluto, version, program, files } = live;
  const whack = join(program, '../whack');
  const ways = {
    byWhack: (one: PlutoCommand) => askWhack(whack, version, files.socket, one),
    bySocket: (one: PlutoCommand) => pluto.send(version, one),
  };
  const taken = { byWhack: [] as number[], bySocket: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    for (const way of ['byWhack', 'bySocket'] as const) {
      const started = performance.now();
      for (const one of edgeConnections(connections)) {
        const refusal = refusalIn(await ways[way](one));
        if (refusal !== null) throw refusal;
      }
      taken[way].push((performance.now() - started) / 1000);
    }
  }
  return taken;
}
