/** The pre-shared key of the cluster: from the environment or a file, never a default. */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { CoraxError, messageOf } from '../errors.js';
import { Secret } from '../model/secret.js';

export const PSK_VARIABLE = 'VPN_CONNECTION_PSK';

const FILE_LIMIT = 4096;

/**
 * SHA-256 of the constant that raven-agent falls back to when nothing is set. It is public, so a tunnel
 * with it has no pre-shared key at all; only its hash is kept here, not to spread it further.
 */
const RAVEN_DEFAULT = '1ed338381f508972c295805d2551ca782250c315e859f64e24831ffff3b95cbb';

const WHAT_TO_DO = `give the cluster's pre-shared key in a file (--psk-file FILE) or in ${PSK_VARIABLE}`;

/** Checks a key: one trailing newline goes, empty and raven's public default are refused. */
export function checkPsk(text: string, source: string): Secret {
  const psk = text.replace(/\r?\n$/, '');
  if (psk.trim() === '') throw new CoraxError('CORAX_PSK', `${source} is empty: ${WHAT_TO_DO}`);
  if (createHash('sha256').update(psk).digest('hex') === RAVEN_DEFAULT) {
    throw new CoraxError(
      'CORAX_PSK',
      `${source} holds raven-agent's built-in default, which is public: whoever reads raven's source has it. ` +
        'Make a key of your own (head -c 32 /dev/urandom | base64) and give it to every agent of the cluster, raven-agent too',
    );
  }
  return new Secret(psk);
}

export function missingPsk(): CoraxError {
  return new CoraxError('CORAX_PSK', `there is no pre-shared key: ${WHAT_TO_DO}`);
}

/** `source` says how the file was named ("--psk-file"). */
export function readPskFile(path: string, source: string, warnings: string[]): Secret {
  const name = `${source} ${path}`;
  let text: string;
  let mode: number;
  try {
    // O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw new Error('it is no regular file');
      if (stat.size > FILE_LIMIT) throw new Error(`it is larger than ${FILE_LIMIT} bytes`);
      mode = stat.mode;
      text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(fd));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const why = error instanceof TypeError ? 'it is no UTF-8 text' : messageOf(error);
    throw new CoraxError('CORAX_PSK', `${name} cannot be read: ${why}; ${WHAT_TO_DO}`);
  }
  if ((mode & 0o077) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    warnings.push(`${name} can be read or written by others than its owner (mode ${octal}): chmod 0600 it`);
  }
  return checkPsk(text, name);
}
