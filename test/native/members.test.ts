/** 200 members that join and leave, on the host's own kernel: messages a change, and what is left of them. Needs root. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SITE, World } from '#src/agent/world.js';
import { siteItems } from '#src/decide/desired.js';
import { overlayOf } from '#src/decide/members.js';
import type { SiteNode } from '#src/model/gateway.js';
import type { Item } from '#src/model/item.js';
import { mergePrefixes } from '#src/model/subnets.js';
import { openEngine } from '#src/native.js';
import { Network, type NetworkStep } from '#src/network/network.js';
import { gateway, ip, prefix, siteFacts } from '../unit/decide/fixtures.js';
import { command, inOwnNamespace } from './namespace.js';

const MEMBERS = 200;
/** All that is for members; the tunnels need WireGuard, which not every host has. */
const OURS: ReadonlySet<Item['kind']> = new Set<Item['kind']>(['overlay', 'fdb', 'neighbour', 'firewall']);

function nodeOf(number: number): SiteNode {
  return {
    nodeName: `node-${number}`,
    privateIp: ip(`192.0.2.${number}`),
    // No two of them are adjacent, so that none is merged.
    subnets: [prefix(`10.1.${(number * 2) % 256}.${number < 128 ? 0 : 128}/26`)],
  };
}

function suite(): void {
  const engine = openEngine(() => undefined);
  const network = new Network(engine);
  const world = new World();

  before(() => {
    command('ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
    command('ip', 'link', 'set', 'v0', 'up');
    command('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'v0');
  });
  after(() => engine.close());

  async function turn(count: number): Promise<number> {
    const nodes = Array.from({ length: count + 1 }, (_, index) => nodeOf(index + 1));
    const own = { ...gateway(1), nodes, subnets: mergePrefixes(nodes.flatMap(({ subnets }) => subnets)) };
    const site = siteFacts(own, [], { overlay: overlayOf(own, 'node-1', 'edge') });
    const isOurs = (item: Item) => OURS.has(item.kind) || (item.kind === 'route' && item.table === 9027);
    const steps = world.want(SITE, siteItems(site).filter(isOurs)) as NetworkStep[];
    const { routeMessages, nftTransactions } = engine.stats();
    const failure = (await network.apply(steps)).find((result) => result !== null);
    assert.equal(failure, undefined);
    for (const step of steps) world.confirm(step);
    const now = engine.stats();
    return now.routeMessages - routeMessages + now.nftTransactions - nftTransactions;
  }

  /** As the tools show it. */
  function seen(): Record<string, string[]> {
    const lines = (...words: [string, ...string[]]) =>
      command(...words)
        .split('\n')
        .sort();
    return {
      fdb: lines('bridge', 'fdb', 'show', 'dev', 'raven0'),
      neighbours: lines('ip', 'neigh', 'show', 'dev', 'raven0', 'nud', 'permanent'),
      routes: lines('ip', 'route', 'show', 'table', '9027'),
      set: lines('nft', 'list', 'set', 'ip', 'corax', 'local'),
    };
  }

  test('each is the same work, however many there are, and nothing of them is left', async (t) => {
    await turn(1);
    const alone = seen();
    const joins = new Set<number>();
    for (let count = 2; count <= MEMBERS; count += 1) joins.add(await turn(count));
    const all = seen();
    assert.deepEqual(
      [all.fdb, all.neighbours, all.routes].map((lines) => (lines?.length ?? 0) - 1),
      [MEMBERS, MEMBERS, MEMBERS],
    );
    const leaves = new Set<number>();
    for (let count = MEMBERS - 1; count >= 1; count -= 1) leaves.add(await turn(count));
    t.diagnostic(`messages and transactions: ${[...joins]} a member that joins, ${[...leaves]} one that leaves`);
    assert.deepEqual([joins.size, leaves.size], [1, 1]);
    assert.deepEqual(seen(), alone);
  });
}

if (inOwnNamespace(import.meta.url)) describe('members', suite);
