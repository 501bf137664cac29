/**
 * XFRM netlink against a real kernel with ESP, in the network namespace it is started in (root; the lab's micro-VM, or
 * a namespace of a machine that has the modules). `ip xfrm` is the second opinion. Imports nothing but the addon and
 * Node, so that it runs compiled as well.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import {
  ChangeFlag,
  type NativeEvent,
  openEngine,
  type XfrmDelta,
  type XfrmEvent,
  type XfrmStates,
} from '#src/native.js';

const FAR_SIDE = `corax-xfrm-${process.pid}`;
const NEAR = '192.0.2.1';
const FAR = '192.0.2.2';
const ESP = 50;
const AEAD = ['aead', 'rfc4106(gcm(aes))', `0x${'11'.repeat(20)}`, '128'];

function run(words: readonly string[]): string {
  const [name = '', ...rest] = words;
  const { status, stdout, stderr } = spawnSync(name, rest, { encoding: 'utf8' });
  assert.equal(status, 0, `${words.join(' ')}: ${stderr}`);
  return stdout;
}
const ip = (...words: readonly string[]): string => run(['ip', ...words]);
const far = (...words: readonly string[]): string => run(['ip', 'netns', 'exec', FAR_SIDE, ...words]);
const encap = (from: number, to: number): string[] => ['encap', 'espinudp', `${from}`, `${to}`, '0.0.0.0'];
const sa = (source: string, destination: string, spi: number, reqid: number, ...rest: string[]): string[] => {
  const ends = ['src', source, 'dst', destination, 'proto', 'esp', 'spi', `${spi}`];
  return [...ends, 'reqid', `${reqid}`, 'mode', 'tunnel', ...AEAD, ...rest];
};
const template = (source: string, destination: string, reqid: number): string[] => {
  return ['tmpl', 'src', source, 'dst', destination, 'proto', 'esp', 'reqid', `${reqid}`, 'mode', 'tunnel'];
};
const addressAt = (column: Uint8Array, index: number): string => {
  const bytes = column.subarray(index * 16, index * 16 + 16);
  return bytes[10] === 0xff ? bytes.subarray(12).join('.') : Buffer.from(bytes).toString('hex');
};
const prefixAt = (column: Uint8Array, index: number): string => {
  const bytes = column.subarray(index * 18, index * 18 + 18);
  return `${bytes.subarray(14).join('.')}/${bytes[1]}`;
};
const at = (states: XfrmStates, spi: number): number => {
  const index = states.spis.indexOf(spi);
  assert.ok(index >= 0, `SPI ${spi} is there`);
  return index;
};
/** SPI → changes */
const changesIn = (delta: XfrmDelta): Map<number, number> => {
  return new Map([...delta.spis].map((spi, index) => [spi, delta.changes[index] ?? 0]));
};

const events: XfrmEvent[] = [];
let wake = (): void => {};
const engine = openEngine((batch: readonly NativeEvent[]) => {
  for (const event of batch) if (event.type === 'xfrm') events.push(event);
  wake();
});

/** The first event of this kind and reqid, whenever it comes; the test runner's time-out is the end of waiting. */
async function heard<E extends XfrmEvent['event']>(event: E, reqid: number): Promise<XfrmEvent & { event: E }> {
  for (;;) {
    const found = events.find((it): it is XfrmEvent & { event: E } => it.event === event && it.reqid === reqid);
    if (found) return found;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

/** The port that decapsulates, as pluto's does. */
async function openEncapsulation(): Promise<ChildProcess> {
  const script = `import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("${NEAR}", 4500))
s.setsockopt(17, 100, 2)
print("open", flush=True)
sys.stdin.read()`;
  const child = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

describe('XFRM netlink', () => {
  let port: ChildProcess | null = null;

  before(async () => {
    spawnSync('modprobe', ['-q', '-a', 'xfrm_user', 'xfrm_interface', 'esp4', 'gcm', 'ghash_generic', 'seqiv', 'ctr']);
    ip('netns', 'add', FAR_SIDE);
    ip('link', 'add', 'xf0', 'type', 'veth', 'peer', 'name', 'xf1', 'netns', FAR_SIDE);
    ip('address', 'add', `${NEAR}/24`, 'dev', 'xf0');
    ip('link', 'set', 'xf0', 'up');
    far('ip', 'address', 'add', `${FAR}/24`, 'dev', 'xf1');
    far('ip', 'link', 'set', 'xf1', 'up');
    far('ip', 'route', 'add', '10.1.0.0/16', 'via', NEAR);
    port = await openEncapsulation();
    await engine.watchXfrm();
  });
  after(() => {
    port?.kill();
    // Of this test alone: it is started in a namespace where nobody else has any.
    ip('xfrm', 'state', 'flush');
    ip('xfrm', 'policy', 'flush');
    ip('link', 'delete', 'xf0');
    ip('netns', 'delete', FAR_SIDE);
    engine.close();
  });

  test('an XFRM interface: made twice, told by kind and if_id, another if_id is EEXIST, and with a device below', async () => {
    const one = { op: 'link-create', name: 'xfrm1', kind: 'xfrm', ifId: 1 } as const;
    assert.deepEqual(await engine.network([one, one]), [null, null]);
    const [other] = await engine.network([{ ...one, ifId: 2 }]);
    assert.equal(other?.errnoName, 'EEXIST');
    const up = { op: 'link-set', name: 'xfrm1', mtu: 1400, up: true } as const;
    assert.deepEqual(await engine.network([{ ...one, name: 'xfrm2', ifId: 2, link: 'xf0' }, up]), [null, null]);
    const links = (await engine.links()).filter(({ kind }) => kind === 'xfrm');
    assert.deepEqual(
      links.map(({ name, ifId, mtu, up }) => [name, ifId, mtu, up]),
      [
        ['xfrm1', 1, 1400, true],
        ['xfrm2', 2, 1500, false],
      ],
    );
    assert.match(ip('-d', 'link', 'show', 'xfrm2'), /xfrm2@xf0:[\s\S]* if_id 0x2/);
    const remove = links.map(({ name }) => ({ op: 'link-delete', name }) as const);
    assert.deepEqual(await engine.network(remove), [null, null]);
  });

  test('SAs in columns; deltas tell what changed, by traffic, update and deletion', async () => {
    ip('xfrm', 'state', 'add', ...sa(FAR, NEAR, 1001, 101, ...encap(4500, 4500), 'if_id', '2'));
    ip('xfrm', 'state', 'add', ...sa(NEAR, FAR, 1002, 101, ...encap(4500, 4500), 'if_id', '2'));
    ip('xfrm', 'state', 'add', ...sa(NEAR, FAR, 1003, 7, 'mark', '5', 'mask', '255'));
    const before = Date.now() / 1000;
    const first = await engine.xfrmDelta();
    assert.deepEqual([first.count, first.total, [...first.changes]], [3, 3, new Array(3).fill(ChangeFlag.Added)]);
    const states = await engine.xfrmSnapshot();
    const inbound = at(states, 1001);
    assert.deepEqual([addressAt(states.sources, inbound), addressAt(states.destinations, inbound)], [FAR, NEAR]);
    assert.deepEqual(
      [states.reqids, states.ifIds, states.protocols, states.modes].map((column) => column[inbound]),
      [101, 2, ESP, 1],
    );
    assert.deepEqual([states.encapSourcePorts[inbound], states.encapDestinationPorts[inbound]], [4500, 4500]);
    assert.ok(Math.abs((states.addedAt[inbound] ?? 0) - before) < 60, 'a Unix time');
    assert.deepEqual([states.usedAt[inbound], states.bytes[inbound], states.packets[inbound]], [0, 0, 0]);
    const marked = at(states, 1003);
    assert.deepEqual([states.encapSourcePorts[marked], states.marks[marked], states.markMasks[marked]], [0, 5, 255]);
    assert.equal((await engine.xfrmDelta()).count, 0);
    const ends = ['src', FAR, 'dst', NEAR, 'proto', 'esp', 'reqid', '108', 'mode', 'tunnel'];
    ip('xfrm', 'state', 'allocspi', ...ends, 'min', '1100', 'max', '1100');
    assert.equal((await engine.xfrmDelta()).total, 3, 'a reserved SPI is no SA');

    // From the hole that the SA has: counted, and no news of the hole.
    far('ip', 'xfrm', 'state', 'add', ...sa(FAR, NEAR, 1001, 101, ...encap(4500, 4500)));
    far('ip', 'xfrm', 'policy', 'add', 'dst', '10.1.0.1', 'dir', 'out', ...template(FAR, NEAR, 101));
    spawnSync('ip', ['netns', 'exec', FAR_SIDE, 'ping', '-c', '2', '-i', '0.2', '-W', '1', '10.1.0.1']);
    const used = await engine.xfrmDelta();
    assert.deepEqual([...changesIn(used)], [[1001, ChangeFlag.Counters]]);
    assert.deepEqual([used.packets[0], used.bytes[0]], [2, 168]);
    assert.ok((used.usedAt[0] ?? 0) >= (used.addedAt[0] ?? 0));
    const ofIt = events.filter(({ reqid }) => reqid === 101);
    assert.deepEqual(ofIt, []);

    ip('xfrm', 'state', 'update', ...sa(NEAR, FAR, 1002, 101, ...encap(4500, 61000), 'if_id', '2'));
    const updated = await engine.xfrmDelta();
    assert.deepEqual([...changesIn(updated)], [[1002, ChangeFlag.Endpoint]]);
    assert.equal(updated.encapDestinationPorts[0], 61000);

    const mine = { destination: FAR, protocol: ESP };
    assert.deepEqual(
      await engine.xfrmDelete({
        states: [
          { ...mine, spi: 1003 },
          { ...mine, spi: 9999 },
          { ...mine, spi: 1002 },
        ],
      }),
      [null, null, null],
    );
    assert.deepEqual([...changesIn(await engine.xfrmDelta())], [[1002, ChangeFlag.Removed]], 'not the marked one');
    assert.deepEqual(await engine.xfrmDelete({ states: [{ ...mine, spi: 1003, mark: 5, markMask: 255 }] }), [null]);
    assert.deepEqual([...(await engine.xfrmSnapshot()).spis], [1001]);
  });

  test('a packet from another port is the hole that moved', async () => {
    far('ip', 'xfrm', 'state', 'update', ...sa(FAR, NEAR, 1001, 101, ...encap(61_234, 4500)));
    spawnSync('ip', ['netns', 'exec', FAR_SIDE, 'ping', '-c', '1', '-W', '1', '10.1.0.1']);
    assert.deepEqual(await heard('mapping', 101), {
      type: 'xfrm',
      event: 'mapping',
      reqid: 101,
      spi: 1001,
      destination: NEAR,
      address: FAR,
      port: 61_234,
    });
  });

  test('an SA that reached its limit', async () => {
    ip('xfrm', 'state', 'add', ...sa(FAR, NEAR, 1005, 105, 'if_id', '3', 'limit', 'time-hard', '1'));
    assert.deepEqual(await heard('expire', 105), {
      type: 'xfrm',
      event: 'expire',
      reqid: 105,
      ifId: 3,
      spi: 1005,
      source: FAR,
      destination: NEAR,
      hard: true,
    });
    assert.equal((await engine.xfrmSnapshot()).spis.indexOf(1005), -1);
  });

  test('policies in columns; one that wants an SA is heard of; deleted one by one', async () => {
    ip('route', 'add', '10.9.0.0/16', 'via', FAR);
    const selectors: Array<[string, string, 'in' | 'out' | 'fwd']> = [
      ['10.8.0.0/24', '10.9.0.0/16', 'out'],
      ['10.9.0.0/16', '10.8.0.0/24', 'in'],
      ['10.9.0.0/16', '10.8.0.0/24', 'fwd'],
    ];
    for (const [source, destination, dir] of selectors) {
      const ends: [string, string] = dir === 'out' ? [NEAR, FAR] : [FAR, NEAR];
      const words = ['src', source, 'dst', destination, 'dir', dir, 'priority', '77', 'if_id', '4'];
      ip('xfrm', 'policy', 'add', ...words, ...template(...ends, 106));
    }
    ip('xfrm', 'policy', 'add', 'src', NEAR, 'dst', '10.9.0.0/16', 'dir', 'out', ...template(NEAR, FAR, 107));
    const policies = await engine.xfrmPolicies();
    assert.equal(policies.count, 4);
    const rows = [...policies.indexes].map((index, row) => ({
      index,
      direction: policies.directions[row] as 0 | 1 | 2,
      ifId: policies.ifIds[row] as number,
      selector: `${prefixAt(policies.sources, row)} ${prefixAt(policies.destinations, row)}`,
      ends: `${addressAt(policies.templateSources, row)} ${addressAt(policies.templateDestinations, row)}`,
      rest: [
        policies.priorities[row],
        policies.templateReqids[row],
        policies.templateProtocols[row],
        policies.actions[row],
      ],
    }));
    const planned = rows.filter(({ ifId }) => ifId === 4).sort((a, b) => a.direction - b.direction);
    assert.deepEqual(
      planned.map(({ direction, selector, ends, rest }) => [direction, selector, ends, ...rest]),
      [
        [0, '10.9.0.0/16 10.8.0.0/24', `${FAR} ${NEAR}`, 77, 106, ESP, 0],
        [1, '10.8.0.0/24 10.9.0.0/16', `${NEAR} ${FAR}`, 77, 106, ESP, 0],
        [2, '10.9.0.0/16 10.8.0.0/24', `${FAR} ${NEAR}`, 77, 106, ESP, 0],
      ],
    );

    spawnSync('ping', ['-c', '1', '-W', '1', '10.9.0.1']);
    const { source, destination, ifId } = await heard('acquire', 107);
    assert.deepEqual([source, destination, ifId], [NEAR, FAR, 0]);
    assert.equal((await engine.xfrmSnapshot()).spis.indexOf(0), -1, 'the place that it holds is no SA');

    const [wrong] = planned.map((policy) => ({ ...policy, ifId: 5 }));
    assert.ok(wrong);
    assert.deepEqual(await engine.xfrmDelete({ policies: [wrong, ...planned, ...planned] }), new Array(7).fill(null));
    const left = await engine.xfrmPolicies();
    assert.deepEqual([left.count, left.templateReqids[0]], [1, 107]);
  });
});
