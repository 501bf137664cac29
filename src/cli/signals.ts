/** How commands that run until they are told to stop end: by a signal, in their own time, or by a fault, at once. */
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
  // What nobody caught leaves the program in a state that nobody knows: whoever supervises it starts it afresh.
  const onFault = (error: unknown) => {
    logger.fatal({ err: error }, 'a fault in corax itself: this is a bug, the program ends');
    process.exit(1);
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  process.on('uncaughtException', onFault).on('unhandledRejection', onFault);
  try {
    const code = await work(stop.signal);
    return code === 0 && received === 'SIGINT' ? 130 : code;
  } finally {
    process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
    process.off('uncaughtException', onFault).off('unhandledRejection', onFault);
  }
}
