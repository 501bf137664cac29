/** What a router tells everybody when it starts: RFC 6887 14.1.2, RFC 6886 3.2.1. A host's firewall may hide it. */
import { createSocket } from 'node:dgram';
import type { Ip } from '../../model/address.js';

/** All hosts of the link, at the port of clients (RFC 6887 19.2). */
const GROUP = '224.0.0.1';
const PORT = 5350;

/** Calls back with what comes from the router, and from nobody else, until the returned function is called. */
export type Listen = (router: Ip, heard: (bytes: Uint8Array) => void) => () => void;

/** Other clients on this node may listen there too. Where nobody can, the checks have to do. */
export const listenForAnnouncements: Listen = (router, heard) => {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  let open = true;
  const close = () => {
    if (open) socket.close();
    open = false;
  };
  socket.on('error', close);
  socket.on('message', (bytes, { address }) => {
    if (address === router) heard(bytes);
  });
  socket.bind({ port: PORT, address: GROUP }, () => {
    try {
      socket.addMembership(GROUP);
    } catch {
      // Every host is a member of this group as it is (RFC 1112 7.2).
    }
  });
  return close;
};
