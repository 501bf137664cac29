/** `corax lab nat-types`: what netcheck finds behind every kind of NAT. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';
import { CoraxError } from '#src/errors.js';
import type { NatReport } from '#src/model/nat.js';
import { chooseLane, runInside } from '../setting.js';

const INSIDE = join(dirname(fileURLToPath(import.meta.url)), 'nat-types-inside.js');
const TIMEOUT_MS = 10 * 60_000;

/** One line of JSON from inside. */
export interface NatFinding {
  /** As it was built. */
  readonly built: string;
  readonly report: NatReport;
}

export const FINDING_PREFIX = '\u0001corax finding ';

export async function natTypesCommand(json: boolean): Promise<number> {
  const findings: NatFinding[] = [];
  const note = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  const code = await runInside([process.execPath, INSIDE], {
    lane: await chooseLane(),
    timeoutMs: TIMEOUT_MS,
    progress: note,
    onLine: (line) => {
      if (!line.startsWith(FINDING_PREFIX)) return note(line);
      const finding = JSON.parse(line.slice(FINDING_PREFIX.length)) as NatFinding;
      findings.push(finding);
      if (!json) note(`${finding.built}: ${finding.report.type ?? 'unknown'}`);
    },
  });
  if (code !== 0) throw new CoraxError('CORAX_LAB', 'The lab ended early; what it said stands above');
  process.stdout.write(json ? `${JSON.stringify({ findings }, null, 2)}\n` : `${table(findings)}\n`);
  return 0;
}

function table(findings: readonly NatFinding[]): string {
  const rows = new Table({
    head: ['NAT as built', 'type found', 'mapping', 'filtering', 'seen as'],
    style: { head: [], border: [], compact: true },
  });
  for (const { built, report } of findings) {
    const { publicAddress: seen, type, underNat, udpBlocked } = report;
    const words = udpBlocked ? 'UDP is blocked' : underNat === false ? 'no NAT' : (type ?? 'unknown');
    rows.push([built, words, report.mapping ?? '–', report.filtering ?? '–', seen ? `${seen.ip}:${seen.port}` : '–']);
  }
  return rows.toString();
}
