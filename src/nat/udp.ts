/** The one thing that transactions need of a network: a UDP port that sends and reports datagrams. */
import { createSocket } from 'node:dgram';
import { CoraxError, messageOf } from '../errors.js';
import { type HostPort, type Ip, isPort, parseIp } from '../model/address.js';

export interface UdpPort {
  readonly localPort: number;
  /** Rejects when the kernel refuses the datagram. */
  send(bytes: Uint8Array, to: HostPort): Promise<void>;
  /** Idempotent. */
  close(): void;
}

export type OnDatagram = (bytes: Uint8Array, from: HostPort) => void;

/** Opens a fresh port, on one local address or on all (null). */
export type OpenUdp = (bindAddress: Ip | null, onDatagram: OnDatagram) => Promise<UdpPort>;

/** IPv4 UDP from node:dgram, with a port that the kernel picks. Throws CORAX_SOCKET. */
export const openUdp: OpenUdp = async (bindAddress, onDatagram) => {
  const socket = createSocket({ type: 'udp4' });
  let open = true;
  const close = () => {
    if (open) socket.close();
    open = false;
  };
  socket.on('message', (bytes, { address, port }) => {
    const ip = parseIp(address);
    if (ip !== null && isPort(port)) onDatagram(bytes, { ip, port });
  });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ port: 0, ...(bindAddress === null ? {} : { address: bindAddress }) }, resolve);
    });
  } catch (error) {
    close();
    const where = bindAddress ?? 'any address';
    throw new CoraxError('CORAX_SOCKET', `Cannot open a UDP socket on ${where}: ${messageOf(error)}`, { cause: error });
  }
  // A socket without a listener would throw; what fails later shows as a request that stays unanswered.
  socket.removeAllListeners('error').on('error', () => {});
  const send = (bytes: Uint8Array, to: HostPort) =>
    new Promise<void>((resolve, reject) => {
      if (!open) return reject(new CoraxError('CORAX_SOCKET', 'The UDP socket is closed.'));
      socket.send(bytes, to.port, to.ip, (error) => (error ? reject(error) : resolve()));
    });
  return { localPort: socket.address().port, send, close };
};
