/** What the kernel and pluto of a node have, as a person would look. */
import { IF_IDS, type Plane } from '#src/model/names.js';
import type { LabNode } from '../node.js';

/**
 * SPIs of the SAs on a plane's interface, sorted: in and out. One of 0 is none: it holds the place of an SA that traffic
 * asked for, and the kernel forgets it by itself.
 */
export async function spisOf(node: LabNode, plane: Plane): Promise<string[]> {
  const { stdout } = await node.exec(['ip', 'xfrm', 'state']);
  const mark = `if_id 0x${IF_IDS[plane].toString(16)}`;
  return stdout
    .split(/^(?=src )/m)
    .filter((state) => state.includes(mark))
    .flatMap((state) => /spi (0x[0-9a-f]+)/.exec(state)?.[1] ?? [])
    .filter((spi) => Number(spi) !== 0)
    .sort();
}

/** Runs the whack of the machine's libreswan against the node's pluto. */
export async function whack(node: LabNode, ...words: string[]): Promise<string> {
  const socket = `${node.stateDirectory}/pluto/run/pluto.ctl`;
  const { stdout } = await node.exec(['/usr/libexec/ipsec/whack', '--ctlsocket', socket, ...words], {
    allowFailure: true,
  });
  return stdout;
}
