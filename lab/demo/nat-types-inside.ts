/** A lab with a site for every kind of NAT; netcheck runs in each, and says what it found. */
import { Lab } from '../lab.js';
import { NAT_KINDS, NAT_TITLES, type NatKind } from '../net/nat.js';
import { netcheck } from '../netcheck.js';
import { FINDING_PREFIX, type NatFinding } from './nat-types.js';

const SITES: ReadonlyArray<{ name: string; nat: NatKind | readonly NatKind[]; title: string }> = [
  ...NAT_KINDS.map((kind) => ({ name: `behind-${kind}`, nat: kind, title: NAT_TITLES[kind] })),
  { name: 'behind-two', nat: ['full-cone', 'symmetric'], title: 'full cone behind symmetric' },
];

const lab = await Lab.create({ sites: SITES, relays: [] });
try {
  for (const { name, title } of SITES) {
    const finding: NatFinding = { built: title, report: await netcheck(lab, lab.site(name)) };
    process.stdout.write(`${FINDING_PREFIX}${JSON.stringify(finding)}\n`);
  }
} finally {
  await lab.destroy();
}
