/** The node's own key pair, kept across restarts, and the pre-shared key as WireGuard takes it. */
import { createHash, createPrivateKey, createPublicKey, randomBytes, randomUUID } from 'node:crypto';
import { link, open, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CoraxError, codeOf, messageOf } from '../errors.js';
import { KEY_BYTES, type PublicKey } from '../model/key.js';

const FILE = 'wireguard.key';
/** DER of an X25519 private key up to the key itself (RFC 8410 7). */
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex');

export interface KeyPair {
  /** 32 bytes, clamped. */
  readonly privateKey: Uint8Array;
  readonly publicKey: PublicKey;
}

/**
 * Reads the private key from the state directory, or makes one there (mode 0600). The same key after a restart
 * is what lets sessions live on.
 *
 * @throws CORAX_KEY when the file is unreadable or damaged: a new key would cut every tunnel, so a person decides
 */
export async function loadKeyPair(stateDir: string): Promise<KeyPair> {
  const path = join(stateDir, FILE);
  const privateKey = (await readKey(path)) ?? (await createKey(path));
  return { privateKey, publicKey: publicKeyOf(privateKey) };
}

export function publicKeyOf(privateKey: Uint8Array): PublicKey {
  const der = Buffer.concat([PKCS8_X25519, privateKey]);
  const jwk = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).export({ format: 'jwk' });
  return Buffer.from(jwk.x as string, 'base64url').toString('base64') as PublicKey;
}

/** raven's rule: SHA-256 of the secret's text. 32 bytes. */
export function wireguardPresharedKey(secret: string): Uint8Array {
  return createHash('sha256').update(secret).digest();
}

async function readKey(path: string): Promise<Uint8Array | null> {
  let text: string;
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) {
      throw new CoraxError('CORAX_KEY', `${path} can be read by others: chmod 600 it, or remove it for a new key`);
    }
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    if (error instanceof CoraxError) throw error;
    throw new CoraxError('CORAX_KEY', `cannot read the private key ${path}: ${messageOf(error)}`, { cause: error });
  }
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length !== KEY_BYTES || key.toString('base64') !== text.trim() || key.every((byte) => byte === 0)) {
    throw new CoraxError('CORAX_KEY', `${path} holds no WireGuard private key: remove it for a new one`);
  }
  return key;
}

/** Written whole under another name first: a crash leaves no half a key, and two writers agree on one. */
async function createKey(path: string): Promise<Uint8Array> {
  const key = randomBytes(KEY_BYTES);
  // Clamping, as every X25519 implementation does before use (RFC 7748 5).
  key[0] = (key[0] as number) & 248;
  key[31] = ((key[31] as number) & 127) | 64;
  // No pid: in a container it is the same at each start, and a crash may have left a draft behind.
  const draft = `${path}.${randomUUID()}`;
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(`${key.toString('base64')}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(draft, path);
  } catch (error) {
    // Another was quicker: its key is the node's.
    const other = codeOf(error) === 'EEXIST' ? await readKey(path) : null;
    if (other !== null) return other;
    throw new CoraxError('CORAX_KEY', `cannot keep a private key in ${path}: ${messageOf(error)}`, { cause: error });
  } finally {
    await unlink(draft).catch(() => undefined);
  }
  return key;
}
