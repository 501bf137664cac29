/** A NAT in user space, of any mapping and filtering (RFC 4787), that real datagrams go through. */
import type { HostPort, Ip } from '#src/model/address.js';
import type { Filtering, Mapping } from '#src/model/nat.js';
import type { OpenUdp } from '#src/nat/udp.js';
import { type Bound, bind, ip } from './stun-server.js';

interface Outside extends Bound {
  readonly contacted: Set<string>;
}

const keyFor = (kind: Mapping | Filtering, { ip, port }: HostPort): string => {
  if (kind === 'endpoint-independent') return 'anyone';
  return kind === 'address-dependent' ? ip : `${ip}:${port}`;
};

/** What a node behind this NAT opens; every mapping is a socket of the NAT's on 127.0.0.3. */
export function behindNat(mapping: Mapping, filtering: Filtering, publicIp: Ip = ip('127.0.0.3')): OpenUdp {
  return async (_bindAddress, onDatagram) => {
    const outsides = new Map<string, Promise<Outside>>();
    let open = true;
    const openOutside = async (): Promise<Outside> => {
      const bound = await bind(publicIp, 0);
      const contacted = new Set<string>();
      bound.socket.on('message', (bytes, { address, port }) => {
        const from = { ip: ip(address), port };
        if (open && contacted.has(keyFor(filtering, from))) onDatagram(bytes, from);
      });
      return { ...bound, contacted };
    };
    return {
      // Only a profile asks for it.
      localPort: 40_000,
      send: async (bytes, to) => {
        const key = keyFor(mapping, to);
        const pending = outsides.get(key) ?? openOutside();
        outsides.set(key, pending);
        const outside = await pending;
        outside.contacted.add(keyFor(filtering, to));
        if (open) outside.socket.send(bytes, to.port, to.ip, () => {});
      },
      close: () => {
        if (!open) return;
        open = false;
        for (const pending of outsides.values()) void pending.then(({ socket }) => socket.close());
      },
    };
  };
}
