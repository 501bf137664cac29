/** The table of gateways: a capped number of rows, in order, each kept as long as it is shown. */
import type { Urgency } from '../../../model/urgency.js';
import { byId, el, setAttribute, setText } from './dom.js';
import { Row } from './row.js';
import type { PageState } from './state.js';

const ROWS_AT_FIRST = 100;

type Group = Urgency | 'direct' | null;

/** [group, one word, shown though there is none in it] */
const GROUPS: readonly (readonly [Group, string, boolean])[] = [
  [null, 'all', true],
  ['silent', 'not answering', false],
  ['punching', 'punching', false],
  ['relayed', 'relayed', true],
  ['direct', 'direct', true],
];

export class Table {
  readonly #state: PageState;
  readonly #rows = new Map<string, Row>();
  readonly #body = byId('rows');
  readonly #filter = byId('filter') as HTMLInputElement;
  readonly #more = byId('more');
  readonly #groups: readonly { group: Group; always: boolean; button: HTMLButtonElement; count: HTMLElement }[];
  #group: Group = null;
  #most = ROWS_AT_FIRST;

  constructor(state: PageState) {
    this.#state = state;
    this.#groups = GROUPS.map(([group, word, always]) => {
      const count = el('b', {}, '0');
      const button = el('button', { type: 'button', 'data-urgency': group ?? 'all' }, count, ` ${word}`);
      button.addEventListener('click', () => this.#choose(group));
      return { group, always, button, count };
    });
    byId('groups').append(...this.#groups.map(({ button }) => button));
    this.#filter.addEventListener('input', () => this.#begin());
    this.#more.addEventListener('click', () => {
      this.#most += ROWS_AT_FIRST;
      this.show();
    });
    document.addEventListener('keydown', (event) => this.#onKey(event));
  }

  show(): void {
    for (const { group, always, button, count } of this.#groups) {
      const number = this.#state.count(group);
      setText(count, String(number));
      setAttribute(button, 'aria-pressed', String(group === this.#group));
      button.hidden = !always && number === 0 && group !== this.#group;
    }
    const selected = this.#state.select(this.#filter.value, this.#group);
    const shown = selected.slice(0, this.#most);
    this.#place(shown.map((peer) => peer.gateway));
    for (const peer of shown) {
      this.#rows.get(peer.gateway)?.show(peer, this.#state.trace(peer.gateway), this.#state.now);
    }
    const left = selected.length - shown.length;
    this.#more.hidden = left === 0;
    setText(this.#more, `Show ${Math.min(left, ROWS_AT_FIRST)} more of ${left}`);
    this.#sayIfEmpty(selected.length);
  }

  #sayIfEmpty(selected: number): void {
    const { head, peers } = this.#state;
    const empty = byId('empty');
    empty.hidden = selected > 0;
    const none = head?.store.synced === false ? 'No gateways read yet.' : 'No other gateways.';
    setText(empty, head === null ? 'Nothing is known yet.' : peers.size === 0 ? none : 'None that fits.');
  }

  /** Rows are moved only where the order is another, and what has the focus keeps it. */
  #place(names: readonly string[]): void {
    const focused = document.activeElement;
    const wanted = new Set(names);
    for (const [name, row] of this.#rows) {
      if (wanted.has(name)) continue;
      row.element.remove();
      row.detail.remove();
      this.#rows.delete(name);
    }
    let next: Element | null = this.#body.firstElementChild;
    for (const name of names) {
      let row = this.#rows.get(name);
      if (row === undefined) {
        row = new Row();
        this.#rows.set(name, row);
      }
      for (const element of row.isOpen ? [row.element, row.detail] : [row.element]) {
        if (element === next) next = next.nextElementSibling;
        else this.#body.insertBefore(element, next);
      }
    }
    if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected) focused.focus();
  }

  #choose(group: Group): void {
    this.#group = this.#group === group ? null : group;
    this.#begin();
  }

  #begin(): void {
    this.#most = ROWS_AT_FIRST;
    this.show();
  }

  #onKey(event: KeyboardEvent): void {
    if (event.key === '/' && document.activeElement !== this.#filter && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.#filter.focus();
    }
    if (event.key === 'Escape' && document.activeElement === this.#filter) {
      this.#filter.value = '';
      this.#begin();
    }
  }
}
