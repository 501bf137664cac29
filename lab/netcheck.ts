/** `corax netcheck --json`, run on a node of the lab. */
import type { NatReport } from '#src/model/nat.js';
import type { NatProfile } from '#src/model/nat-profile.js';
import type { Lab } from './lab.js';
import { type LabNode, MAIN } from './node.js';

export type ProfiledReport = NatReport & { readonly profile: NatProfile | null };

export async function netcheck(lab: Lab, node: LabNode): Promise<ProfiledReport> {
  const servers = (lab.stun?.addresses ?? []).flatMap((address) => ['--stun', `${address}:3478`]);
  // Exit code 2 says that UDP is blocked or the type unknown; the report says so too.
  const { stdout } = await node.exec([process.execPath, MAIN, 'netcheck', ...servers, '--json'], {
    allowFailure: true,
  });
  return JSON.parse(stdout) as ProfiledReport;
}
