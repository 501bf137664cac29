import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NodeAddresses } from '#src/decide/node-addresses.js';
import type { Gateway } from '#src/model/gateway.js';
import { gateway, ip, relay } from './fixtures.js';

function at(of: Gateway, ...addresses: string[]): Gateway {
  const [node] = of.nodes;
  return { ...of, nodes: addresses.map((text) => ({ ...(node as Gateway['nodes'][0]), privateIp: ip(text) })) };
}

describe('node addresses', () => {
  const nobody = () => false;

  it('are carried like the subnets of their nodes', () => {
    const { subnets, nodes } = new NodeAddresses().extend(at(gateway(2), '192.168.1.2', '192.168.1.9'), false, nobody);
    assert.deepEqual(subnets, ['10.0.2.0/24', '192.168.1.2/32', '192.168.1.9/32']);
    assert.deepEqual(nodes[1]?.subnets, ['10.0.2.0/24', '192.168.1.9/32']);
  });

  it("are the first gateway's that has them, until it gives them up", () => {
    const addresses = new NodeAddresses();
    const subnetsOf = (number: number) => addresses.extend(at(gateway(number), '192.168.1.2'), false, nobody).subnets;
    assert.deepEqual(subnetsOf(2), ['10.0.2.0/24', '192.168.1.2/32']);
    assert.deepEqual(subnetsOf(3), ['10.0.3.0/24']);
    assert.deepEqual(subnetsOf(2), ['10.0.2.0/24', '192.168.1.2/32']);
    addresses.release('gw-2');
    assert.deepEqual(subnetsOf(3), ['10.0.3.0/24', '192.168.1.2/32']);
  });

  for (const [what, of, address, isOwn, carried] of [
    ["a relay's public address", relay(1), '203.0.113.1', false, false],
    ['an address that must not be routed', gateway(2), '192.168.7.2', false, false],
    ["the own gateway's", gateway(2), '192.168.7.2', true, true],
  ] as const) {
    it(`${what} is ${carried ? '' : 'not '}carried`, () => {
      const { subnets } = new NodeAddresses().extend(at(of, address), isOwn, (it) => it === '192.168.7.2');
      assert.equal(
        subnets.some((prefix) => prefix === `${address}/32`),
        carried,
      );
    });
  }
});
