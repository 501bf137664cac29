/** Which IPv6 address a node says that it is reached by, asked of the host's own kernel. Needs root. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { openEngine } from '#src/native.js';
import { Network } from '#src/network/network.js';
import { command, inOwnNamespace } from './namespace.js';

function suite(): void {
  const engine = openEngine(() => undefined);
  const ip = (line: string) => command('ip', ...line.split(' '));
  const set = (name: string, value: string) => writeFileSync(`/proc/sys/net/ipv6/conf/v0/${name}`, value);
  const said = async () => (await new Network(engine).underlay())?.ipv6;

  before(() => {
    for (const conf of ['all', 'default']) writeFileSync(`/proc/sys/net/ipv6/conf/${conf}/disable_ipv6`, '0');
    ip('link add v0 type veth peer name v1');
    for (const device of ['v0', 'v1']) ip(`link set ${device} up`);
    ip('address add 192.0.2.2/24 dev v0');
    ip('route add default via 192.0.2.1');
  });
  after(() => engine.close());

  test('none without a global address, or without a way out', async () => {
    assert.equal(await said(), null);
    ip('-6 address add 2001:db8::2/64 dev v0 nodad');
    assert.equal(await said(), null, 'no default route');
    ip('-6 route add default via fe80::1 dev v0');
    assert.equal(await said(), '2001:db8::2');
    ip('-6 address del 2001:db8::2/64 dev v0');
    ip('-6 address add fd00::2/64 dev v0 nodad');
    assert.equal(await said(), null, 'unique local');
  });

  test('a global one rather than a unique local one, and none that is deprecated or tentative', async () => {
    ip('-6 address add 2001:db8::3/64 dev v0 nodad preferred_lft 0');
    ip('-6 address add 2001:db8::2/64 dev v0 nodad');
    assert.equal(await said(), '2001:db8::2');
    ip('-6 address change 2001:db8::2/64 dev v0 preferred_lft 0');
    // For as long as this test can take it stays tentative.
    set('accept_dad', '1');
    set('dad_transmits', '1000');
    ip('-6 address add 2001:db8:1::4/64 dev v0');
    assert.notEqual(await said(), '2001:db8:1::4');
    ip('-6 address add 2001:db8:2::5/64 dev v0 nodad');
    assert.equal(await said(), '2001:db8:2::5');
  });

  test('a temporary one where the node prefers such', async () => {
    set('accept_dad', '0');
    set('use_tempaddr', '2');
    ip('-6 address add 2001:db8:3::6/64 dev v0 nodad mngtmpaddr');
    ip('-6 address del 2001:db8:2::5/64 dev v0');
    const shown = ip('-6 -o address show dev v0 temporary');
    const [, temporary] = /inet6 (2001:db8:3:[0-9a-f:]+)\//.exec(shown) ?? assert.fail(shown);
    for (let tries = 0; tries < 100 && (await said()) !== temporary; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(await said(), temporary);
  });
}

if (inOwnNamespace(import.meta.url)) describe('the underlay by IPv6', suite);
