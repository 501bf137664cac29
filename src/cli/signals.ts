/** SIGTERM and SIGINT end what a command runs in its own time; a second one ends it now. */
import type { Logger } from '../telemetry/log.js';

/** `work` ends soon after its signal is aborted. Resolves to the exit code: 130 where SIGINT ended what went well. */
export async function untilStopped(logger: Logger, work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const stop = new AbortController();
  let received: NodeJS.Signals | null = null;
  const onSignal = (name: NodeJS.Signals) => {
    // A second one means: now
    if (received !== null) process.exit(name === 'SIGINT' ? 130 : 143);
    received = name;
    logger.info({ signal: name }, 'stopping');
    stop.abort();
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  try {
    const code = await work(stop.signal);
    return code === 0 && received === 'SIGINT' ? 130 : code;
  } finally {
    process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
  }
}
