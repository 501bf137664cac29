/** NAT discovery past this node's own firewall, by the engine's STUN tap; and what `corax netcheck` makes of it. */
import { CoraxError, codeOf } from '../errors.js';
import type { NatReport } from '../model/nat.js';
import type { NatProfile } from '../model/nat-profile.js';
import { type DiscoverOptions, discover } from '../nat/discover.js';
import type { RawLink } from '../nat/hole.js';
import { profileOf } from '../nat/profile.js';
import { profileTarget, sampleMappings } from '../nat/sample.js';
import { openTapped } from '../nat/tap.js';
import { openUdp } from '../nat/udp.js';
import { type Engine, type NativeError, openEngine } from '../native.js';
import { RawEvents } from './raw-events.js';

export interface TapLink {
  readonly engine: Pick<Engine, 'stunTap'>;
  /** The 'raw' events of that engine. */
  readonly onRaw: RawLink['onRaw'];
  /** The tap could not be opened (discovery goes on without), or not be closed. */
  readonly failed: (error: unknown) => void;
}

/** As discover(), past the firewall where that can be had. */
export async function discoverBehindFirewall(link: TapLink, options: DiscoverOptions): Promise<NatReport> {
  options.signal?.throwIfAborted();
  return withTap(link, (onRaw) => {
    return discover(onRaw === null ? options : { ...options, open: openTapped(onRaw, options.open) });
  });
}

/** The tap is open for as long as `run` runs, however it ends. One at a time for an engine; null where it cannot be had. */
export async function withTap<T>(link: TapLink, run: (onRaw: RawLink['onRaw'] | null) => Promise<T>): Promise<T> {
  const { engine, onRaw, failed } = link;
  try {
    await engine.stunTap(true);
  } catch (error) {
    failed(error);
    return run(null);
  }
  try {
    return await run(onRaw);
  } finally {
    await engine.stunTap(false).catch((error: unknown) => {
      // Closed: its tap went with it.
      if (codeOf(error) !== 'CORAX_CLOSED') failed(error);
    });
  }
}

export interface NetcheckResult {
  readonly report: NatReport;
  /** Null without a NAT, and without anybody to ask. Its lifetime takes too long to be waited for. */
  readonly profile: NatProfile | null;
  /** Why this node's own firewall may have hidden the NAT's filtering; null where it cannot have. */
  readonly untapped: string | null;
}

/** One discovery and a profile of what it found. Rejects as discover() does. */
export async function netcheck(options: DiscoverOptions): Promise<NetcheckResult> {
  const discovered = await discoverAlone(options);
  return { ...discovered, profile: await profileFor(discovered.report, options) };
}

async function profileFor(report: NatReport, options: DiscoverOptions): Promise<NatProfile | null> {
  const target = profileTarget(report);
  if (target === null) return null;
  const { open = openUdp, bindAddress = null, signal = new AbortController().signal } = options;
  return profileOf(await sampleMappings(target, { open, bindAddress, signal }));
}

/** With an engine of its own, or without one where none can be had. */
async function discoverAlone(options: DiscoverOptions): Promise<Omit<NetcheckResult, 'profile'>> {
  const events = new RawEvents();
  let engine: Engine;
  try {
    engine = openEngine(events.deliver);
  } catch (error) {
    return { report: await discover(options), untapped: reasonOf(error) };
  }
  let untapped: string | null = null;
  const failed = (error: unknown) => {
    untapped = reasonOf(error);
  };
  try {
    const report = await discoverBehindFirewall({ engine, onRaw: events.listen, failed }, options);
    return { report, untapped };
  } finally {
    engine.close();
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof CoraxError) return error.message;
  const { errnoName, message } = error as NativeError;
  return errnoName === 'EPERM' ? 'run netcheck as root to look past it' : message;
}
