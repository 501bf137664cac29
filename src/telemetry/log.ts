/** The log: JSON lines, or something for the eye on a terminal. Secrets are cut out by the name of their key. */
import { type DestinationStream, destination as fileDestination, type Logger, pino } from 'pino';
import { build as prettyStream } from 'pino-pretty';

export type { Logger } from 'pino';

const SECRET_KEYS = ['psk', 'presharedKey', 'privateKey', 'token'];
/** A wildcard stands for one level, so a path is needed for each depth that is watched. */
const SECRET_DEPTH = 5;

export interface LogOptions {
  readonly level: string;
  /** On every line. */
  readonly node?: string;
  /** Default: standard output, pretty where it is a terminal. */
  readonly destination?: DestinationStream;
}

/**
 * Writes synchronously and on this thread: the last line before a crash must be out, and a logging
 * thread is one more thing that can die alone.
 */
export function createLogger(options: LogOptions): Logger {
  return pino(
    {
      level: options.level,
      base: options.node === undefined ? null : { node: options.node },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretPaths(), censor: '[secret]' },
    },
    options.destination ?? standardOutput(),
  );
}

/** One child a peer, so that a peer's whole story is found by its gateway's name. */
export function peerLogger(logger: Logger, gateway: string): Logger {
  return logger.child({ gateway });
}

function standardOutput(): DestinationStream {
  if (!process.stdout.isTTY) return fileDestination({ dest: 1, sync: true });
  return prettyStream({
    destination: 1,
    sync: true,
    colorize: !process.env.NO_COLOR,
    ignore: 'node',
    translateTime: 'SYS:HH:MM:ss.l',
  });
}

function secretPaths(): string[] {
  return SECRET_KEYS.flatMap((key) =>
    Array.from({ length: SECRET_DEPTH }, (_, depth) => `${'*.'.repeat(depth)}${key}`),
  );
}
