/** What the kernel tells of SAs, as the engine has it. */
import { type Ip, ipToBytes } from '#src/model/address.js';
import { ChangeFlag, type XfrmDelta } from '#src/native.js';
import { ip } from '../../decide/fixtures.js';

const OWN = '192.168.1.2';
export const THEIRS = '203.0.113.1';

interface Row {
  readonly spi: number;
  readonly out?: boolean;
  readonly reqid?: number;
  readonly bytes?: number;
  readonly addedAt?: number;
  readonly port?: number;
  readonly changes?: number;
  readonly protocol?: number;
}

export function delta(...rows: Row[]): XfrmDelta {
  const column = <T>(pick: (row: Row) => T) => rows.map(pick);
  const addresses = (pick: (row: Row) => string) => {
    const bytes = new Uint8Array(rows.length * 16);
    rows.forEach((row, index) => {
      bytes.set([0xff, 0xff], index * 16 + 10);
      bytes.set(ipToBytes(pick(row) as Ip), index * 16 + 12);
    });
    return bytes;
  };
  return {
    count: rows.length,
    sources: addresses(({ out }) => (out ? OWN : THEIRS)),
    destinations: addresses(({ out }) => (out ? THEIRS : OWN)),
    spis: Uint32Array.from(column(({ spi }) => spi)),
    reqids: Uint32Array.from(column(({ reqid = 5 }) => reqid)),
    protocols: Uint8Array.from(column(({ protocol = 50 }) => protocol)),
    encapSourcePorts: Uint16Array.from(column(({ out, port = 4500 }) => (out ? 4500 : port))),
    encapDestinationPorts: Uint16Array.from(column(({ out, port = 4500 }) => (out ? port : 4500))),
    bytes: Float64Array.from(column(({ bytes = 0 }) => bytes)),
    addedAt: Float64Array.from(column(({ addedAt = 100 }) => addedAt)),
    changes: Uint8Array.from(column(({ changes = ChangeFlag.Added }) => changes)),
    total: rows.length,
  } as unknown as XfrmDelta;
}

export const isOwn = (address: Ip) => address === ip(OWN);
