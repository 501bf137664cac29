/** What the pictures of the terminal show: an explanation of a made-up path, and ANSI colours as HTML. */
import { explainRemote } from '#src/decide/explain.js';
import { newPath, type PathMemory } from '#src/decide/path.js';
import { wouldChange } from '#src/decide/would-change.js';
import type { RemoteFacts } from '#src/model/facts.js';
import type { Explanation } from '#src/model/status.js';
import { at, gateway, peerFacts, probeFacts, RESTRICTED, relay, siteFacts } from '../test/unit/decide/fixtures.js';

const HOUR_MS = 3_600_000;

/** As the agent would explain it: the words are decide's own. */
export function explained(): Explanation {
  const now = Date.now();
  const own = gateway(1, { name: 'shanghai-plant-1', node: 'shanghai-1', hole: at('198.51.100.10') });
  const other = gateway(2, {
    name: 'hangzhou-plant-2',
    node: 'hangzhou-plant-2-node-1',
    subnets: ['10.244.12.0/24'],
    hole: at('198.51.100.20'),
    natType: RESTRICTED,
  });
  const site = siteFacts(own, [relay(1, { name: 'cloud', node: 'relay-1' })]);
  const peer = { lastHandshake: now / 1000 - 47, receivedAt: now - 300, sentAt: now - 300 };
  const probed = { jitterMs: 0.4, loss: 0, lostInRow: 0, answeredInRow: 412, generation: 3 };
  const facts: RemoteFacts = {
    relay: {
      peer: peerFacts({ ...peer, endpoint: at('203.0.113.1') }),
      probe: probeFacts({ ...probed, sent: 18_460, received: 18_458, lost: 2, rttMs: 46.9 }),
    },
    direct: {
      peer: peerFacts({ ...peer, endpoint: at('198.51.100.20') }),
      probe: probeFacts({ ...probed, sent: 18_004, received: 18_004, rttMs: 18.2 }),
    },
    remotePath: 'direct',
  };
  const since = now - 5 * HOUR_MS;
  const reason = 'direct answers in 18.2 ms, relay in 46.9 ms';
  const path: PathMemory = { ...newPath(since), state: 'direct', reason, generation: 3, pings: 'answered' };
  return {
    gateway: other.name,
    node: 'hangzhou-plant-2-node-1',
    path: 'direct',
    state: 'direct',
    since: since / 1000,
    facts: [],
    sections: explainRemote(site, other, path, facts, now),
    reason,
    wouldChange: wouldChange(site, other, path, facts, now),
    changes: [
      { at: since / 1000, gateway: other.name, from: 'punching', to: 'direct', reason },
      { at: since / 1000 - 1, gateway: other.name, from: 'relayed', to: 'punching', reason: 'both holes are known' },
    ],
  };
}

/** Of the few codes that styleText writes. */
export function toHtml(ansi: string): string {
  const escaped = ansi.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
  return escaped
    .split('\u001b[')
    .map((part, index) => {
      if (index === 0) return part;
      const end = part.indexOf('m');
      const code = part.slice(0, end);
      const tag = code === '22' || code === '39' ? '</span>' : `<span class="s${code}">`;
      return `${tag}${part.slice(end + 1)}`;
    })
    .join('');
}
