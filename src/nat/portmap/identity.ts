/** What a node asks its router with: kept, so that after a restart it can still change and take back its own mapping. */
import { randomBytes, randomInt } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { NONCE_BYTES } from './pcp-codec.js';
import { DYNAMIC_PORTS } from './protocol.js';

const FILE = 'port-mapping.json';

export interface MappingIdentity {
  readonly nonce: Uint8Array;
  /** The outside port that is asked for, always the same. */
  readonly port: number;
}

const schema = z.strictObject({
  nonce: z.string().regex(/^[0-9a-f]{24}$/),
  port: z
    .int()
    .min(DYNAMIC_PORTS.first)
    .max(DYNAMIC_PORTS.first + DYNAMIC_PORTS.count - 1),
});

/** A file that is missing or damaged is made anew: at worst an old mapping runs out by itself. */
export async function loadMappingIdentity(stateDir: string): Promise<MappingIdentity> {
  const path = join(stateDir, FILE);
  const known = await readFile(path, 'utf8').then(parse, () => null);
  if (known !== null) return known;
  const nonce = randomBytes(NONCE_BYTES);
  const port = DYNAMIC_PORTS.first + randomInt(DYNAMIC_PORTS.count);
  // Who knows the nonce can take the mapping away (RFC 6887 18.3.1): it is read by its owner only.
  await writeFile(`${path}.new`, JSON.stringify({ nonce: nonce.toString('hex'), port }), { mode: 0o600 });
  await rename(`${path}.new`, path);
  return { nonce, port };
}

function parse(text: string): MappingIdentity | null {
  try {
    const found = schema.safeParse(JSON.parse(text));
    return found.success ? { nonce: Buffer.from(found.data.nonce, 'hex'), port: found.data.port } : null;
  } catch {
    return null;
  }
}
