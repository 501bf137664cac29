/** What `corax explain` says of one remote: decide's words, with what the agent remembers. */
import { explainRemote } from '../decide/explain.js';
import { wouldChange } from '../decide/would-change.js';
import type { SiteFacts } from '../model/facts.js';
import type { ExplainedSection, Explanation, PathChange } from '../model/status.js';
import { factsOf } from './facts.js';
import type { Remote, Remotes } from './remotes.js';
import { peerStatus } from './report.js';

/** @param now Unix milliseconds */
export function explanation(
  site: SiteFacts,
  remotes: Remotes,
  remote: Remote,
  changes: PathChange[],
  now: number,
): Explanation {
  const { gateway, node, path, state, since, reason } = peerStatus(site, remotes, remote, now);
  const facts = factsOf(site, remotes, remote);
  const sections = explainRemote(site, remote.gateway, remote.path, facts, now);
  if (remote.complaint !== null) sections.push(complaint(remote.complaint));
  return {
    gateway,
    node,
    path,
    state,
    since,
    facts: sections.flatMap(inOneList),
    sections,
    reason,
    wouldChange: wouldChange(site, remote.gateway, remote.path, facts, now),
    changes,
  };
}

function complaint(value: string): ExplainedSection {
  return { title: 'Complaint', verdict: null, facts: [{ label: 'error', value, rule: null, verdict: 'bad' }] };
}

function inOneList({ title, facts }: ExplainedSection): [string, string][] {
  return facts.map(({ label, value, rule }) => [`${title}: ${label}`, rule === null ? value : `${value} (${rule})`]);
}
