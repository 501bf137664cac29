/** What is said of the node itself: who it is, its NAT, the store, errors. */
import type { StatusError } from '../../../model/status.js';
import { formatDuration } from '../../../model/words.js';
import type { HeadView } from '../view.js';
import { byId, el, setText } from './dom.js';

export function showHead(head: HeadView, now: number): void {
  document.title = `${head.errorCount > 0 ? `(${head.errorCount}) ` : ''}${head.node} · corax`;
  setText(byId('node'), head.node);
  setText(byId('place'), `${head.role ?? 'no role yet'} of ${head.gateway ?? 'no gateway'}`);
  setText(byId('version'), `corax ${head.version}, read-only. The same in a terminal: corax status --watch`);
  showFacts(head, now);
  showErrors(head.errors, head.errorCount, now);
}

interface Fact {
  readonly label: string;
  readonly value: string;
  readonly small: string;
  readonly bad?: boolean;
}

function showFacts({ nat, store, driver, startedAt, remarks = [] }: HeadView, now: number): void {
  const behaviour = [
    nat.mapping === null ? [] : [`mapping ${nat.mapping}`],
    nat.filtering === null ? [] : [`filtering ${nat.filtering}`],
  ].flat();
  const facts: Fact[] = [
    { label: 'NAT', value: nat.type ?? 'not known yet', small: behaviour.join(', ') },
    { label: 'Hole', value: nat.hole ?? 'not known yet', small: '' },
    {
      label: 'Store',
      value: `${store.kind}, ${store.synced ? 'read' : 'not read yet'}`,
      small: store.lastError ?? '',
      bad: store.lastError !== null || !store.synced,
    },
    {
      label: 'Agent',
      value: `up ${formatDuration(Math.max(0, now - startedAt))}`,
      small: [driver, ...remarks].join('; '),
    },
  ];
  const list = byId('facts');
  if (list.childElementCount === 0) {
    list.append(...facts.map(({ label }) => el('div', {}, el('dt', {}, label), el('dd', {}, el('span'), el('small')))));
  }
  facts.forEach(({ value, small, bad = false }, index) => {
    const entry = list.children[index]?.querySelector('dd');
    if (!entry?.firstElementChild || !entry.lastElementChild) return;
    setText(entry.firstElementChild, value);
    setText(entry.lastElementChild, small);
    entry.classList.toggle('bad', bad);
  });
}

function showErrors(errors: readonly StatusError[], count: number, now: number): void {
  const section = byId('errors');
  section.hidden = errors.length === 0;
  const list = section.querySelector('ul');
  const key = JSON.stringify([errors, count]);
  if (list === null || list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(
    ...errors.map(({ code, gateway, message, since }) => {
      const who = gateway === null ? [] : [el('b', {}, gateway), ': '];
      const age = since === null ? '' : `, for ${formatDuration(Math.max(0, now - since))}`;
      return el('li', {}, ...who, message, ' ', el('span', { class: 'soft' }, el('code', {}, code), age));
    }),
    ...(count > errors.length ? [el('li', { class: 'soft' }, `and ${count - errors.length} more: corax status`)] : []),
  );
}
