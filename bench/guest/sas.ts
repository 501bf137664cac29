/** IPsec SAs as a relay's kernel has them, read by corax and by a forked ip(8). */
import type { Engine } from '#src/native.js';
import { run } from '../../lab/process.js';
import { FORKED_IP } from '../model.js';
import { millisecondsSince, settle } from './contender.js';

const NEAR = '192.0.2.1';

/** As pluto makes them: ESP in UDP, tunnel mode, AES-GCM. */
async function addStates(count: number): Promise<void> {
  await run(['modprobe', '-q', '-a', 'xfrm_user', 'esp4', 'gcm', 'ghash_generic', 'seqiv', 'ctr'], {
    allowFailure: true,
  });
  const line = (index: number): string =>
    `xfrm state add src 198.18.${index >> 8}.${index & 255} dst ${NEAR} proto esp spi ${100_000 + index} ` +
    `reqid ${index + 1} mode tunnel aead rfc4106(gcm(aes)) 0x${'11'.repeat(20)} 128 ` +
    'encap espinudp 4500 4500 0.0.0.0\n';
  await run(['ip', '-batch', '-'], { input: Array.from({ length: count }, (_, index) => line(index)).join('') });
}

export async function readStates(engine: Engine, who: string, count: number, times: number): Promise<number[]> {
  await run(['ip', 'xfrm', 'state', 'flush'], { allowFailure: true });
  await addStates(count);
  try {
    const taken: number[] = [];
    for (let time = 0; time < times; time++) {
      await settle();
      const start = process.hrtime.bigint();
      const found =
        who === FORKED_IP
          ? parseStates((await run(['ip', '-s', 'xfrm', 'state'])).stdout).length
          : (await engine.xfrmSnapshot()).count;
      taken.push(millisecondsSince(start));
      if (found !== count) throw new Error(`${found} SAs of ${count}`);
    }
    return taken;
  } finally {
    await run(['ip', 'xfrm', 'state', 'flush'], { allowFailure: true });
  }
}

/** As an agent that shells out has to: where each comes from, its port, and what it carried. */
function parseStates(text: string) {
  return text.split(/^(?=src )/m).map((state) => ({
    source: /^src (\S+)/.exec(state)?.[1],
    spi: /spi (0x[0-9a-f]+)/.exec(state)?.[1],
    reqid: Number(/reqid (\d+)/.exec(state)?.[1]),
    port: Number(/encap type espinudp sport (\d+)/.exec(state)?.[1]),
    bytes: Number(/lifetime current:\s+(\d+)\(bytes\)/.exec(state)?.[1]),
  }));
}
