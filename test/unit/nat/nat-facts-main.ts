/**
 * The agent's NatFacts alone, for a network namespace of its own: `node … nat-facts-main.ts HOST:PORT` prints its
 * first report, its first profile (there must be a NAT), its latest mapping as two are told who ask at once and another
 * afterwards, and how many packet sockets the namespace had meanwhile and has afterwards.
 */
import { readFileSync } from 'node:fs';
import { NatFacts } from '#src/agent/nat-facts.js';
import type { NatReport } from '#src/model/nat.js';
import type { NatProfile } from '#src/model/nat-profile.js';
import { parseStunServer } from '#src/nat/servers.js';
import { type NativeEvent, openEngine } from '#src/native.js';

const taps = () => readFileSync('/proc/self/net/packet', 'utf8').trim().split('\n').length - 1;
const servers = process.argv.slice(2).map(parseStunServer);
let deliver: (events: readonly NativeEvent[]) => void = () => {};
const engine = openEngine((events) => deliver(events));
let facts: NatFacts | undefined;
let tapsMeanwhile = 0;
deliver = (events) => {
  tapsMeanwhile = Math.max(tapsMeanwhile, taps());
  for (const event of events) if (event.type === 'raw') facts?.onRaw(event);
};
try {
  let report: NatReport | null = null;
  const profile = await new Promise<NatProfile | null>((profiled, failed) => {
    facts = new NatFacts(servers, engine, {
      changed: (found) => {
        report = found;
      },
      profiled,
      failed: (_, error) => failed(error),
      worked: () => undefined,
    });
    facts.start();
  });
  const atOnce = await Promise.all([facts?.latestMapping(), facts?.latestMapping()]);
  const latest = [...atOnce, await facts?.latestMapping()];
  process.stdout.write(JSON.stringify({ report, profile, latest, tapsMeanwhile, tapsAfter: taps() }));
} finally {
  await facts?.stop();
  engine.close();
}
