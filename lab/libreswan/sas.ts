/** What the kernel and pluto of a node have, as a person would look. */
import { IF_IDS, type Plane } from '#src/model/names.js';
import type { LabNode } from '../node.js';

/**
 * SPIs of the SAs on a plane's interface, sorted: in and out. One of 0 is none: it holds the place of an SA that traffic
 * asked for, and the kernel forgets it by itself.
 */
export async function spisOf(node: LabNode, plane: Plane): Promise<string[]> {
  const { stdout } = await node.exec(['ip', 'xfrm', 'state']);
  return statesOn(stdout, plane)
    .flatMap((state) => /spi (0x[0-9a-f]+)/.exec(state)?.[1] ?? [])
    .filter((spi) => Number(spi) !== 0)
    .sort();
}

function statesOn(text: string, plane: Plane): string[] {
  const mark = `if_id 0x${IF_IDS[plane].toString(16)}`;
  return text.split(/^(?=src )/m).filter((state) => state.includes(mark));
}

/** When the SAs on a plane's interface came up, Unix seconds as the kernel has them: local time in words. */
export async function addedAt(node: LabNode, plane: Plane): Promise<number[]> {
  const { stdout } = await node.exec(['env', 'TZ=UTC', 'ip', '-s', 'xfrm', 'state']);
  return statesOn(stdout, plane).flatMap((state) => {
    const words = /add (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)/.exec(state);
    return words === null ? [] : [Date.parse(`${words[1]}T${words[2]}Z`) / 1000];
  });
}

/** Runs the whack of the machine's libreswan against the node's pluto. */
export async function whack(node: LabNode, ...words: string[]): Promise<string> {
  const socket = `${node.stateDirectory}/pluto/run/pluto.ctl`;
  const { stdout } = await node.exec(['/usr/libexec/ipsec/whack', '--ctlsocket', socket, ...words], {
    allowFailure: true,
  });
  return stdout;
}
