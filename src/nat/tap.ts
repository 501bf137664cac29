/**
 * UDP ports that also hear what this node's own firewall keeps from them: STUN answers, tapped from the
 * network before netfilter. What a NAT lets in is the NAT's doing, whatever the node then makes of it
 * (docs/decisions/stun-past-the-firewall.md).
 */
import { isPort, parseIp } from '../model/address.js';
import type { RawLink } from './hole.js';
import { type OnDatagram, type OpenUdp, openUdp } from './udp.js';

/**
 * Every tapped response goes to every open port, and what passed the firewall comes a second time by its
 * socket. Both are harmless: a StunClient takes an answer once, by its 96-bit transaction id and its source.
 */
export function openTapped(onRaw: RawLink['onRaw'], open: OpenUdp = openUdp): OpenUdp {
  return async (bindAddress, onDatagram) => {
    const port = await open(bindAddress, onDatagram);
    const stop = hearRaw(onRaw, onDatagram);
    const close = () => {
      stop();
      port.close();
    };
    return { localPort: port.localPort, send: port.send, close };
  };
}

/** Raw packets as datagrams, until the returned function is called. */
export function hearRaw(onRaw: RawLink['onRaw'], onDatagram: OnDatagram): () => void {
  return onRaw(({ address, port, payload }) => {
    const ip = parseIp(address);
    if (ip !== null && isPort(port)) onDatagram(payload, { ip, port });
  });
}
