/**
 * What stands in a pluto, written down before and after each change: so that an agent that starts knows what runs
 * there without asking (pluto takes seconds to list a thousand connections).
 */
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { codeOf } from '../../errors.js';
import type { CarryItem, PeerItem } from '../../model/item.js';
import { PLANES } from '../../model/names.js';
import type { Connection } from './connections.js';
import { writeWhole } from './pluto-files.js';
import type { PlutoIdentity } from './pluto-process.js';

/** A connection in pluto. */
export interface Standing {
  readonly connection: Connection;
  readonly reqid: number;
}

export interface Book {
  readonly pluto: PlutoIdentity;
  readonly peers: readonly PeerItem[];
  readonly carries: readonly CarryItem[];
  readonly standing: readonly Standing[];
  /** Names of connections that are being changed: what pluto has of them is not known. */
  readonly pending: readonly string[];
}

const hostPort = z.object({ ip: z.string(), port: z.number() });
const plane = z.enum(PLANES);
const schema = z.object({
  version: z.literal(1),
  pluto: z.string(),
  peers: z.array(
    z.looseObject({
      kind: z.literal('peer'),
      plane,
      gateway: z.string(),
      key: z.string(),
      endpoint: hostPort.nullable(),
    }),
  ),
  carries: z.array(z.object({ kind: z.literal('carry'), plane, prefix: z.string(), peer: z.string() })),
  standing: z.array(
    z.object({
      reqid: z.int().min(1).max(16_383),
      connection: z.object({
        name: z.string(),
        plane,
        peer: z.string(),
        ifId: z.int().nullable(),
        initiates: z.boolean(),
        fixedPort: z.boolean(),
        localId: z.string(),
        remoteId: z.string(),
        host: z.string(),
        remoteHost: z.string().nullable(),
        remotePort: z.number().nullable(),
        localClient: z.string(),
        remoteClient: z.string(),
      }),
    }),
  ),
  pending: z.array(z.string()),
});

/** Null where there is none, or one that cannot be read: what stands is then unknown. */
export async function readBook(path: string): Promise<Book | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
  try {
    // Our own words, in a folder that only the owner may write to: their shape is all that is checked.
    return schema.parse(JSON.parse(text)) as unknown as Book;
  } catch {
    return null;
  }
}

export async function writeBook(path: string, book: Book): Promise<void> {
  await writeWhole(path, JSON.stringify({ version: 1, ...book }));
}
