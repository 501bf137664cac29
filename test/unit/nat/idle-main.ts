/**
 * One test of an idle mapping, for a network namespace of its own: `node … idle-main.ts HOST:PORT SECONDS ASSIGNMENT`
 * prints its outcome. As the agent does it: past this node's own firewall.
 */
import { withTap } from '#src/agent/discovery.js';
import { RawEvents } from '#src/agent/raw-events.js';
import type { PortAssignment } from '#src/model/nat-profile.js';
import { testIdle } from '#src/nat/lifetime.js';
import { parseStunServer, resolveServer } from '#src/nat/servers.js';
import { openUdp } from '#src/nat/udp.js';
import { openEngine } from '#src/native.js';

const [server = '', seconds, assignment] = process.argv.slice(2);
const { signal } = new AbortController();
const address = await resolveServer(parseStunServer(server), 1000, signal);
const events = new RawEvents();
const engine = openEngine(events.deliver);
const failed = (error: unknown) => {
  throw error;
};
try {
  if (address === null) throw new Error(`no address: ${server}`);
  const profile = { assignment: assignment as PortAssignment, pooling: 'paired' } as const;
  const outcome = await testIdle(address, Number(seconds) * 1000, profile, {
    open: openUdp,
    bindAddress: null,
    signal,
    rttMs: 10,
    pastFirewall: (run) => withTap({ engine, onRaw: events.listen, failed }, run),
  });
  process.stdout.write(outcome);
} finally {
  engine.close();
}
