import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PortMapper } from '#src/agent/port-mapper.js';
import type { Story } from '#src/agent/story.js';
import { loadConfig } from '#src/config.js';
import type { DriverName } from '#src/model/names.js';
import { at, gateway } from '../decide/fixtures.js';

const MAPPED = at('198.51.100.1', 50_000);
const own = gateway(1, { mapped: MAPPED });
const [node] = own.activeNodes;

/** @param asked what `--port-mapping` says; undefined: it is not there */
function mapper(asked: string | undefined, driver: DriverName): PortMapper {
  const flags = { node, gateways: '/', ...(asked === undefined ? {} : { portMapping: asked }) };
  const { config } = loadConfig(flags, { VPN_CONNECTION_PSK: 'hunter2-for-the-tests' });
  assert.ok(!config.cleanup);
  // Nobody is asked within these tests, so nothing is told.
  return new PortMapper(config, driver, {} as Story, () => assert.fail('nothing was asked'));
}

describe('is the router asked?', () => {
  const cases: [string | undefined, DriverName, boolean][] = [
    [undefined, 'wireguard', true],
    [undefined, 'libreswan', false],
    ['off', 'wireguard', false],
    ['auto', 'wireguard', true],
    ['auto', 'libreswan', false],
    ['on', 'libreswan', true],
    ['upnp', 'libreswan', true],
  ];
  for (const [asked, driver, is] of cases) {
    const what = asked === undefined ? 'without --port-mapping' : `--port-mapping ${asked}`;
    it(`${what}, ${driver}: ${is ? 'yes, and what was published stands until it answers' : 'no, and what was published goes'}`, () => {
      assert.deepEqual(mapper(asked, driver).external(own), is ? MAPPED : null);
    });
  }
});
