/** What pluto is told as peers come, change and go; the pluto here only remembers. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CoraxError } from '#src/errors.js';
import type { CarryItem, PeerItem } from '#src/model/item.js';
import type { PlutoCommand, PlutoReply } from '#src/native.js';
import { readBook } from '#src/tunnel/libreswan/book.js';
import type { Keeper } from '#src/tunnel/libreswan/keeper.js';
import { Roster } from '#src/tunnel/libreswan/roster.js';
import { NO_SA, SaLedger } from '#src/tunnel/libreswan/sa-ledger.js';
import { Switchboard } from '#src/tunnel/libreswan/switchboard.js';
import { at, ip, keyOf, prefix } from '../../decide/fixtures.js';

function peer(number: number): PeerItem {
  const ipsec = {
    host: ip('192.168.1.2'),
    localName: ip('192.168.1.2'),
    remoteName: ip(`192.168.9.${number}`),
    subnets: [prefix('10.1.0.0/24')],
    ifId: 4501,
    local: 'own',
    remote: 'carried',
    initiates: true,
    fixedPort: false,
  } as const;
  return {
    kind: 'peer',
    plane: 'direct',
    gateway: `gw-${number}`,
    key: keyOf(number),
    endpoint: at('203.0.113.9'),
    ipsec,
  };
}

function carry(number: number): CarryItem {
  return { kind: 'carry', plane: 'direct', prefix: prefix(`10.2.${number}.0/24`), peer: keyOf(number) };
}

const nameOf = (number: number) => `192.168.1.2-192.168.9.${number}-10.1.0.0/24-10.2.${number}.0/24`;

async function rig(
  t: TestContext,
  answer: (command: PlutoCommand) => PlutoReply = () => ({ lines: [] }),
  ledger = new SaLedger(),
) {
  const folder = await mkdtemp(join(tmpdir(), 'corax-board-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'connections.json');
  const told: string[] = [];
  const reqids: number[] = [];
  const send = async (command: PlutoCommand) => {
    assert.ok(command.op === 'connection');
    told.push(`${command.add ? 'make' : 'end'} ${command.name}`);
    if (command.add) reqids.push(command.add.reqid);
    return answer(command);
  };
  const keeper = { client: { send }, identity: 'boot 1 1' } as unknown as Keeper;
  const roster = new Roster();
  const board = new Switchboard(keeper, roster, ledger, path);
  const take = () => told.splice(0);
  return { path, roster, board, take, reqids, keeper };
}

test('one message a connection that changed; what goes goes first', async (t) => {
  const { roster, board, take, reqids } = await rig(t);
  for (const number of [1, 2]) {
    roster.put(peer(number));
    roster.carry(carry(number));
  }
  assert.equal((await board.settle()).size, 0);
  assert.deepEqual(take(), [`make ${nameOf(1)}`, `make ${nameOf(2)}`]);
  await board.settle();
  assert.deepEqual(take(), [], 'nothing changed');

  roster.delete('direct', keyOf(1));
  roster.uncarry(carry(1));
  roster.put(peer(3));
  roster.carry(carry(3));
  roster.aim({ ...peer(2), endpoint: at('203.0.113.9', 31_000) });
  await board.settle();
  assert.deepEqual(take(), [`end ${nameOf(1)}`, `make ${nameOf(2)}`, `make ${nameOf(3)}`]);
  assert.deepEqual(reqids, [1, 2, 2, 3], 'a connection keeps its number, and nobody gets one that has just gone');
});

test('what was begun just now is not begun again, and then only by who begins', async (t) => {
  const { roster, board, take } = await rig(t);
  roster.put(peer(1));
  roster.carry(carry(1));
  await board.settle();
  take();
  assert.deepEqual(board.renewable('direct', keyOf(1)), []);
  board.forget();
  await board.settle(new Set([nameOf(1)]));
  assert.deepEqual(take(), [`make ${nameOf(1)}`], 'another pluto is told everything, once');
  assert.deepEqual(board.renewable('relay', keyOf(1)), []);
});

test('SAs that have just come up are given time to be answered by', async (t) => {
  const first = await rig(t);
  first.roster.put(peer(1));
  first.roster.carry(carry(1));
  await first.board.settle();
  const book = (await readBook(first.path)) ?? assert.fail();

  const now = Date.now() / 1000;
  for (const [what, session, since, expected] of [
    ['up since just now', true, now - 1, []],
    ['up for long', true, now - 60, [nameOf(1)]],
    ['up before the clock was set back', true, now + 3_600, [nameOf(1)]],
    ['none', false, now - 1, [nameOf(1)]],
  ] as const) {
    const facts = { ...NO_SA, session, since };
    const { board } = await rig(t, undefined, { facts: () => facts } as unknown as SaLedger);
    // Begun by an earlier agent, nobody knows when.
    board.adopt(book, true);
    assert.deepEqual(board.renewable('direct', keyOf(1)), expected, what);
  }
});

test("a refusal is the peer's whose connection it is, and no others", async (t) => {
  const { roster, board } = await rig(t, (command) => {
    if (command.op === 'connection' && command.name === nameOf(1)) return { lines: [{ code: 36, text: 'failed' }] };
    if (command.op === 'connection' && command.name === nameOf(2)) throw new CoraxError('CORAX_PLUTO', 'gone');
    return { lines: [] };
  });
  for (const number of [1, 2, 3]) {
    roster.put(peer(number));
    roster.carry(carry(number));
  }
  const failures = await board.settle();
  assert.deepEqual([...failures.keys()], [`direct ${keyOf(1)}`, `direct ${keyOf(2)}`]);
  assert.match(failures.get(`direct ${keyOf(1)}`)?.message ?? '', /pluto refuses connection .*: failed/);
  assert.equal(board.size, 1);
});

test('a pluto that hangs is waited for once, not for each connection', async (t) => {
  let hangs = true;
  const { roster, board, take } = await rig(t, () => {
    if (hangs) throw Object.assign(new CoraxError('CORAX_PLUTO', 'no answer'), { errnoName: 'ETIMEDOUT' });
    return { lines: [] };
  });
  for (const number of [1, 2, 3]) {
    roster.put(peer(number));
    roster.carry(carry(number));
  }
  assert.equal((await board.settle()).size, 3, 'all of them failed');
  assert.deepEqual(take(), [`make ${nameOf(1)}`]);
  hangs = false;
  assert.equal((await board.settle()).size, 0);
  assert.deepEqual(
    take(),
    [1, 2, 3].map((number) => `make ${nameOf(number)}`),
  );
});

test('the next agent finds in the book what stands, and tells pluto nothing', async (t) => {
  const first = await rig(t);
  for (const number of [1, 2]) {
    first.roster.put(peer(number));
    first.roster.carry(carry(number));
  }
  await first.board.settle();
  const book = (await readBook(first.path)) ?? assert.fail();
  assert.deepEqual([book.standing.length, book.pending, book.pluto], [2, [], 'boot 1 1']);

  for (const [what, stands, pending, expected] of [
    ['the same pluto', true, [], []],
    ['one was being changed', true, [nameOf(2)], [`make ${nameOf(2)}`]],
    ['another pluto', false, [], [`make ${nameOf(1)}`, `make ${nameOf(2)}`]],
  ] as const) {
    const { roster, board, take, reqids } = await rig(t);
    board.adopt({ ...book, pending }, stands);
    for (const item of book.peers) roster.put(item);
    for (const item of book.carries) roster.carry(item);
    await board.settle();
    assert.deepEqual(take(), expected, what);
    assert.ok(
      reqids.every((reqid) => reqid <= 2),
      'under its old number',
    );
  }
});
