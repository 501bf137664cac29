/** What the kernel lets this process do, asked before anything is touched. */
import { readFileSync } from 'node:fs';
import { CoraxError } from '../errors.js';

/** Bits of CapEff (linux/capability.h). */
const NEEDED = { CAP_NET_ADMIN: 12, CAP_NET_RAW: 13 } as const;

/** The capabilities that are missing from the text of /proc/PID/status. */
export function missingCapabilities(procStatus: string): string[] {
  const mask = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(procStatus)?.[1];
  const effective = mask === undefined ? 0n : BigInt(`0x${mask}`);
  return Object.entries(NEEDED)
    .filter(([, bit]) => ((effective >> BigInt(bit)) & 1n) === 0n)
    .map(([name]) => name);
}

/** Throws CORAX_PERMISSION. */
export function checkPermission(procStatus = readFileSync('/proc/self/status', 'utf8')): void {
  const missing = missingCapabilities(procStatus);
  if (missing.length === 0) return;
  throw new CoraxError(
    'CORAX_PERMISSION',
    `the agent lacks ${missing.join(' and ')}: run it as root, or give it both ` +
      '(systemd: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW; Kubernetes: securityContext.capabilities.add: [NET_ADMIN, NET_RAW])',
  );
}
