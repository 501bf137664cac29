/** A real RFC 5780 STUN server on four sockets (two addresses × two ports), with switches for what goes wrong. */
import { createSocket, type Socket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostPort, Ip } from '#src/model/address.js';
import { type DecodedMessage, decodeMessage, encodeMessage, type StunMessage } from '#src/nat/codec.js';

export interface Faults {
  /** Requests that are lost before any is answered. */
  dropFirst: number;
  /** Requests that come with a CHANGE-REQUEST are lost. */
  dropChange: boolean;
  /** The second address is dead. */
  alternateDead: boolean;
  noOtherAddress: boolean;
  otherAddress: HostPort;
  ignoreChange: boolean;
  /** Error code for requests with a CHANGE-REQUEST. */
  refuseChange: number;
  /** Error code for all requests. */
  refuse: number;
  /** Bytes in place of, or (with alsoAnswer) before, the answer. */
  garbage: Uint8Array;
  wrongTransaction: boolean;
  /** The answer comes from a socket that has nothing to do with the server. */
  thirdParty: boolean;
  /** What is sent first, before the true answer. */
  lieFirst: (answer: StunMessage) => StunMessage;
  delayMs: number;
  copies: number;
  /** MAPPED-ADDRESS in place of XOR-MAPPED-ADDRESS. */
  plainMapped: boolean;
  mapped: HostPort;
}

export interface TestServer {
  readonly primary: HostPort;
  readonly text: string;
  readonly faults: Partial<Faults>;
  /** Requests received, by "address index, port index". */
  readonly seen: DecodedMessage[];
  close(): Promise<void>;
}

export const ip = (text: string): Ip => text as Ip;

export async function startServer(
  faults: Partial<Faults> = {},
  addresses = [ip('127.0.0.1'), ip('127.0.0.2')],
): Promise<TestServer> {
  const sockets = await openAll(addresses);
  const stranger = await bind(ip('127.0.0.1'), 0);
  const seen: DecodedMessage[] = [];
  const at = (a: number, p: number) => sockets[a * 2 + p] as Bound;
  let dropped = 0;

  const answer = async (bytes: Uint8Array, from: HostPort, a: number, p: number) => {
    const request = decodeMessage(bytes);
    if (request?.kind !== 'request') return;
    seen.push(request);
    if (dropped < (faults.dropFirst ?? 0)) {
      dropped += 1;
      return;
    }
    if (faults.alternateDead && a === 1) return;
    const change = request.changeRequest;
    if (change && faults.dropChange) return;
    const honoured = change && !faults.ignoreChange ? change : { ip: false, port: false };
    const source = at(honoured.ip ? 1 - a : a, honoured.port ? 1 - p : p);
    if (faults.alternateDead && source.at.ip !== at(a, p).at.ip) return;
    const code = faults.refuse ?? (change ? faults.refuseChange : undefined);
    const mapped = faults.mapped ?? from;
    const reply: StunMessage =
      code === undefined
        ? {
            kind: 'success',
            transactionId: faults.wrongTransaction ? new Uint8Array(12) : request.transactionId,
            ...(faults.plainMapped ? { mappedAddress: mapped } : { xorMappedAddress: mapped }),
            otherAddress: faults.noOtherAddress ? undefined : (faults.otherAddress ?? at(1 - a, 1 - p).at),
            responseOrigin: source.at,
            software: 'corax test',
          }
        : { kind: 'error', transactionId: request.transactionId, error: { code, reason: 'No\u001b[31m way' } };
    if (faults.delayMs !== undefined) await sleep(faults.delayMs);
    const sender = faults.thirdParty ? stranger : code === undefined ? source : at(a, p);
    const send = (out: Uint8Array) => sender.socket.send(out, from.port, from.ip, () => {});
    if (faults.lieFirst) send(encodeMessage(faults.lieFirst(reply)));
    for (let copy = 0; copy < (faults.copies ?? 1); copy += 1) send(faults.garbage ?? encodeMessage(reply));
  };

  for (const [index, { socket }] of sockets.entries()) {
    socket.on('message', (bytes, { address, port }) => {
      void answer(bytes, { ip: ip(address), port }, index >> 1, index & 1);
    });
  }
  const primary = at(0, 0).at;
  const close = async () => {
    await Promise.all([...sockets, stranger].map(({ socket }) => new Promise<void>((done) => socket.close(done))));
  };
  return { primary, text: `${primary.ip}:${primary.port}`, faults, seen, close };
}

export interface Bound {
  readonly socket: Socket;
  readonly at: HostPort;
}

export async function bind(address: Ip, port: number): Promise<Bound> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, address, resolve);
  });
  return { socket, at: { ip: address, port: socket.address().port } };
}

/** Address by address, both ports each: the same two ports on both. */
async function openAll(addresses: readonly Ip[]): Promise<Bound[]> {
  const [first = ip('127.0.0.1'), second = ip('127.0.0.2')] = addresses;
  for (;;) {
    const opened = [await bind(first, 0), await bind(first, 0)];
    try {
      for (const { at } of [...opened]) opened.push(await bind(second, at.port));
      return opened;
    } catch {
      // Somebody else has one of the ports on the second address: try another pair.
      for (const { socket } of opened) socket.close();
    }
  }
}
