/** Which devices a kernel has, and what becomes of those that another kernel left; the engine here only remembers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Engine, Link, NativeError, NetworkOp } from '#src/native.js';
import { makesXfrmInterfaces, setUpDevice, standingDevices } from '#src/tunnel/libreswan/devices.js';

/** @param lacks kinds of links that it does not make */
function kernel(...lacks: string[]) {
  const told: string[] = [];
  const network = async (ops: readonly NetworkOp[]) =>
    ops.map((op) => {
      const what = op.op === 'link-create' ? op.kind : '';
      told.push([op.op, 'name' in op ? op.name : '', what].join(' ').trim());
      return lacks.includes(what)
        ? (Object.assign(new Error(op.op), { errnoName: 'EOPNOTSUPP' }) as NativeError)
        : null;
    });
  return { engine: { network } as unknown as Engine, told };
}

const link = (name: string, kind: string) => ({ name, kind }) as Link;
const DEVICE = { kind: 'device', plane: 'relay', name: 'ipsec4500', listenPort: 4500, mtu: 1420 } as const;

test('whether a kernel makes XFRM interfaces is found out by making one, where there is none', async () => {
  const able = kernel();
  assert.equal(await makesXfrmInterfaces(able.engine, [link('ipsec4500', 'dummy')]), true);
  assert.deepEqual(able.told, ['link-create ipsec4499 xfrm', 'link-delete ipsec4499'], 'and nothing is left of it');
  assert.equal(await makesXfrmInterfaces(kernel('xfrm').engine, []), false);

  const untouched = kernel();
  assert.equal(await makesXfrmInterfaces(untouched.engine, [link('ipsec1', 'xfrm')]), true);
  assert.deepEqual(untouched.told, []);
});

test('what stands of the right kind is kept, the other goes', async () => {
  const links = [link('ipsec4500', 'dummy'), link('ipsec4501', 'xfrm'), link('eth0', 'veth')];
  for (const [onePlane, kept, gone] of [
    [true, 'ipsec4500', 'ipsec4501'],
    [false, 'ipsec4501', 'ipsec4500'],
  ] as const) {
    const { engine, told } = kernel();
    const standing = await standingDevices(engine, links, onePlane);
    assert.deepEqual([standing.map(({ name }) => name), told], [[kept], [`link-delete ${gone}`]]);
  }
});

test('the device is a dummy where it cannot be an XFRM interface', async () => {
  for (const [onePlane, kind] of [
    [true, 'dummy'],
    [false, 'xfrm'],
  ] as const) {
    const { engine, told } = kernel();
    await setUpDevice(engine, DEVICE, onePlane);
    assert.deepEqual(told, [`link-create ipsec4500 ${kind}`, 'link-set ipsec4500']);
  }
  await assert.rejects(setUpDevice(kernel('dummy').engine, DEVICE, true), /nor dummy devices/);
});
