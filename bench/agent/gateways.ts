/** Gateways as the store hands them over: a relay, and edges behind NAT of which each has a hole and a subnet. */
import { type Gateway, parseGateway } from '#src/model/gateway.js';
import { peer, publicKeyOf } from '../peers/records.js';

export const RELAY = { node: 'relay-node', address: '203.0.113.1', key: keyText(1_000_000) } as const;

function keyText(index: number): string {
  return publicKeyOf(peer(index));
}

function parsed(input: unknown): Gateway {
  const result = parseGateway(input);
  if (!result.ok) throw new Error(result.reason);
  return result.gateway;
}

export function relayGateway(): Gateway {
  return parsed(relayObject(RELAY.key));
}

/** @param key null = its agent has not said it yet */
export function relayObject(key: string | null) {
  const { node, address } = RELAY;
  const config = { ...(key === null ? {} : { publicKey: key }), corax: '0.1.0', probeAddress: '172.20.0.1' };
  return {
    apiVersion: 'raven.openyurt.io/v1beta1',
    kind: 'Gateway',
    metadata: { name: 'relay' },
    spec: {
      endpoints: [
        {
          ...{ nodeName: node, type: 'tunnel', underNAT: false, natType: 'Undefined', publicIP: address },
          ...{ publicPort: 4500, config },
        },
      ],
    },
    status: { nodes: [{ nodeName: node, privateIP: address, subnets: ['172.20.0.0/24'] }] },
  };
}

export function edgeName(index: number): string {
  return `edge-${String(index).padStart(5, '0')}`;
}

/** @param move which hole it has by now, null = none that is known; @param site which subnet; @param keyed whose key it has */
export function edgeGateway(index: number, move: number | null = 0, site = index, keyed = peer(index)): Gateway {
  return parsed(edgeObject(index, move, site, keyed));
}

export function edgeObject(index: number, move: number | null = 0, site = index, keyed = peer(index)) {
  const { address, port } = peer(index, move ?? 0);
  const name = edgeName(index);
  const subnet = `10.${site >> 8}.${site & 255}`;
  return {
    apiVersion: 'raven.openyurt.io/v1beta1',
    kind: 'Gateway',
    metadata: { name },
    spec: {
      endpoints: [
        {
          ...{ nodeName: `${name}-node`, type: 'tunnel', underNAT: true, natType: 'Port Restricted cone NAT' },
          ...(move === null ? {} : { publicIP: address.join('.'), publicPort: port }),
          config: { publicKey: publicKeyOf(keyed), corax: '0.1.0', probeAddress: `${subnet}.1` },
        },
      ],
    },
    status: { nodes: [{ nodeName: `${name}-node`, privateIP: '192.168.0.2', subnets: [`${subnet}.0/24`] }] },
  };
}
