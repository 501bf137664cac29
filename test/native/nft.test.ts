/** Firewall transactions through the addon, in a network namespace of their own. Needs root; `nft` is the second opinion. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type NativeError, openEngine } from '#src/native.js';
import { command, inOwnNamespace } from './namespace.js';

const commands = (...list: readonly object[]): string => JSON.stringify({ nftables: list });
const table = { table: { family: 'ip', name: 'corax' } };
const chain = {
  chain: { family: 'ip', table: 'corax', name: 'in', type: 'filter', hook: 'input', prio: 200, policy: 'accept' },
};
const rewrite = {
  rule: {
    family: 'ip',
    table: 'corax',
    chain: 'in',
    expr: [
      { match: { op: '==', left: { payload: { protocol: 'udp', field: 'dport' } }, right: 4500 } },
      { mangle: { key: { payload: { protocol: 'udp', field: 'dport' } }, value: 4501 } },
    ],
  },
};

function suite(): void {
  const engine = openEngine(() => {});
  after(() => engine.close());

  const refused = async (json: string): Promise<NativeError> => {
    const error = await engine.nft(json).then(
      () => assert.fail(`was not refused: ${json.slice(0, 100)}`),
      (reason: NativeError) => reason,
    );
    assert.equal(error.code, 'CORAX_NFT');
    return error;
  };

  test('a transaction takes effect whole, and is listed as JSON', async () => {
    const before = engine.stats().nftTransactions;
    assert.equal(await engine.nft(commands({ add: table }, { add: chain }, { add: rewrite })), '');
    assert.equal(engine.stats().nftTransactions, before + 1);
    assert.match(command('nft', 'list', 'table', 'ip', 'corax'), /udp dport 4500 udp dport set 4501/);
    const listed = JSON.parse(await engine.nft(commands({ list: table }))) as { nftables: readonly object[] };
    const rules = listed.nftables.flatMap((item) => ('rule' in item ? [item.rule as { expr: unknown }] : []));
    assert.deepEqual(
      rules.map(({ expr }) => expr),
      [rewrite.rule.expr],
    );
  });

  test('a transaction that fails changes nothing, and says why', async () => {
    const other = { table: { family: 'ip', name: 'other' } };
    const error = await refused(commands({ add: other }, { add: { rule: { ...rewrite.rule, chain: 'nowhere' } } }));
    assert.equal(error.errnoName, 'ENOENT');
    assert.match(error.message, /No such file or directory/);
    assert.doesNotMatch(command('nft', 'list', 'tables'), /other/);
  });

  test('only JSON objects of up to 4 MiB reach libnftables', async () => {
    for (const text of ['include "/etc/passwd"', '{\ninclude "/etc/passwd"', 'add table ip other', '', '[]'])
      assert.equal((await refused(text)).errnoName, 'EINVAL');
    const list = commands({ list: { tables: null } });
    assert.match(await engine.nft(list.padEnd(4 << 20)), /corax/);
    assert.throws(() => engine.nft(list.padEnd((4 << 20) + 1)), TypeError);
    assert.doesNotMatch(command('nft', 'list', 'tables'), /other/);
  });
}

if (inOwnNamespace(import.meta.url)) describe('nft', suite);
