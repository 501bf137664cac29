/** The log of path changes, and its voice for those who do not see it. */
import type { PathChange } from '../../../model/status.js';
import { byId, el, setText } from './dom.js';
import { CHANGES_SHOWN } from './state.js';

export function showChanges(changes: readonly PathChange[]): void {
  byId('no-changes').hidden = changes.length > 0;
  byId('changes').replaceChildren(...changes.slice(0, CHANGES_SHOWN).map(line));
}

function line({ at, gateway, from, to, reason }: PathChange): HTMLElement {
  const date = new Date(at * 1000);
  return el(
    'li',
    {},
    el('time', { datetime: date.toISOString(), title: date.toLocaleString() }, clock(date)),
    el('b', {}, gateway),
    el('span', { class: 'move' }, `${from} → `, el('span', { class: `to-${to}` }, to)),
    el('span', { class: 'reason' }, reason),
  );
}

/** 24 hours everywhere: it is compared with logs. */
export function clock(date: Date): string {
  return date.toLocaleTimeString('en-GB');
}

export function announce(changes: readonly PathChange[]): void {
  const [latest] = changes;
  if (latest === undefined) return;
  const text = `${latest.gateway}: ${latest.from} to ${latest.to}, ${latest.reason}`;
  setText(byId('announce'), changes.length === 1 ? text : `${changes.length} paths changed, at last ${text}`);
}
