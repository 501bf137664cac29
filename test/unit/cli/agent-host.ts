/**
 * A process for the tests: the start-up of `corax agent` around a loop that does nothing but say what it
 * was given. The flags are the first argument, as JSON; with HOST_FAULT set it has a promise rejected that nobody awaits.
 */
import { startAgent } from '#src/cli/agent.js';
import { tell } from '#src/cli/program.js';

const [flags = '{}'] = process.argv.slice(2);

try {
  process.exitCode = await startAgent(JSON.parse(flags), async (config, logger, signal) => {
    logger.info({ config, inherited: 'VPN_CONNECTION_PSK' in process.env }, 'running');
    if (config.cleanup) return 0;
    if (process.env.HOST_FAULT) void Promise.reject(new Error(process.env.HOST_FAULT));
    await new Promise<void>((resolve) => {
      const alive = setInterval(() => undefined, 1000);
      signal.addEventListener('abort', () => {
        clearInterval(alive);
        resolve();
      });
    });
    return 0;
  });
} catch (error) {
  process.exitCode = tell(error);
}
