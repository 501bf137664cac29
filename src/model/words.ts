/** Numbers as a person reads them: on the terminal, in the status page, in explanations. Times are Unix seconds. */

/** "12 s", "3 min", "5 h", "2 d"; "never" for 0, "–" where unknown. */
export function formatAge(time: number | null, now: number): string {
  if (time === null) return '–';
  if (time === 0) return 'never';
  return formatDuration(Math.max(0, now - time));
}

export function formatDuration(seconds: number): string {
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Without its unit, milliseconds. */
export function formatRtt(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '–';
  return ms < 1000 ? ms.toFixed(1) : ms.toFixed(0);
}

/** A little loss is not shown as none. */
export function formatLoss(loss: number | null | undefined): string {
  if (loss === null || loss === undefined) return '–';
  const percent = loss * 100;
  return `${percent > 0 && percent < 1 ? '<1' : Math.round(percent)} %`;
}

export function formatBytes(bytes: number | null): string {
  if (bytes === null) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** The NAT and its hole in one line. */
export function describeNat(nat: {
  readonly type: string | null;
  readonly mapping: string | null;
  readonly filtering: string | null;
  readonly hole: string | null;
}): string {
  if (nat.type === null) return nat.hole === null ? 'not known yet' : `not known yet, hole ${nat.hole}`;
  const behaviour = [
    nat.mapping === null ? null : `mapping ${nat.mapping}`,
    nat.filtering === null ? null : `filtering ${nat.filtering}`,
    nat.hole === null ? null : `hole ${nat.hole}`,
  ];
  return [nat.type, ...behaviour.filter((part) => part !== null)].join(', ');
}
