/** NAT discovery past this node's own firewall, by the engine's STUN tap. */
import { CoraxError, codeOf } from '../errors.js';
import type { NatReport } from '../model/nat.js';
import { type DiscoverOptions, discover } from '../nat/discover.js';
import type { RawLink } from '../nat/hole.js';
import { openTapped } from '../nat/tap.js';
import { type Engine, type NativeError, openEngine } from '../native.js';
import { RawEvents } from './raw-events.js';

export interface TapLink {
  readonly engine: Pick<Engine, 'stunTap'>;
  /** The 'raw' events of that engine. */
  readonly onRaw: RawLink['onRaw'];
  /** The tap could not be opened (discovery goes on without), or not be closed. */
  readonly failed: (error: unknown) => void;
}

/** As discover(); the tap is open for just as long, however it ends. One at a time for an engine. */
export async function discoverBehindFirewall(link: TapLink, options: DiscoverOptions): Promise<NatReport> {
  const { engine, onRaw, failed } = link;
  options.signal?.throwIfAborted();
  try {
    await engine.stunTap(true);
  } catch (error) {
    failed(error);
    return discover(options);
  }
  try {
    return await discover({ ...options, open: openTapped(onRaw, options.open) });
  } finally {
    await engine.stunTap(false).catch((error: unknown) => {
      // Closed: its tap went with it.
      if (codeOf(error) !== 'CORAX_CLOSED') failed(error);
    });
  }
}

export interface NetcheckResult {
  readonly report: NatReport;
  /** Why this node's own firewall may have hidden the NAT's filtering; null where it cannot have. */
  readonly untapped: string | null;
}

/** One discovery with an engine of its own, or without one where none can be had. Rejects as discover() does. */
export async function netcheck(options: DiscoverOptions): Promise<NetcheckResult> {
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
