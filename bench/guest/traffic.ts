/** What it costs to look whom there is traffic with: the kernel's set of so many addresses, read by the agent's own words. */
import { createSocket } from 'node:dgram';
import type { FirewallItem } from '#src/model/item.js';
import type { Engine } from '#src/native.js';
import { Network } from '#src/network/network.js';
import { run } from '../../lab/process.js';
import { millisecondsSince, settle } from './contender.js';

const firewall: FirewallItem = {
  ...{ kind: 'firewall', relays: null, relaying: false, localSubnets: [], devices: ['lo'] },
  ...{ byPolicy: false, watchesTraffic: true, overlay: null },
};

export async function lookAtTraffic(engine: Engine, addresses: number, times: number): Promise<number[]> {
  const network = new Network(engine);
  await run(['ip', 'link', 'set', 'lo', 'up']);
  const [failure] = await network.apply([{ op: 'put', item: firewall, present: null }]);
  if (failure) throw failure;
  try {
    const taken: number[] = [];
    for (let time = 0; time < times; time++) {
      await settle();
      await speakTo(addresses);
      const start = process.hrtime.bigint();
      const { length } = await network.busy();
      taken.push(millisecondsSince(start));
      if (length < addresses) throw new Error(`${length} addresses of ${addresses}`);
    }
    return taken;
  } finally {
    await network.apply([{ op: 'delete', item: firewall }]);
  }
}

/** A datagram to each: all of 127.0.0.0/8 is this machine's own. */
async function speakTo(addresses: number): Promise<void> {
  const socket = createSocket('udp4');
  for (let index = 0; index < addresses; index++) {
    await new Promise((sent) => socket.send('x', 4500, `127.1.${index >> 8}.${index & 255}`, sent));
  }
  socket.close();
}
