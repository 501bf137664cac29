/** One gateway's row, and what it shows when it is opened. */
import type { PlaneStatus } from '../../../model/status.js';
import { urgencyOf } from '../../../model/urgency.js';
import { formatAge, formatBytes, formatDuration, formatLoss, formatRtt } from '../../../model/words.js';
import type { PeerView } from '../view.js';
import { el, setAttribute, setText, svg } from './dom.js';
import { HEIGHT, lineOf, topOf, WIDTH } from './sparkline.js';
import type { Trace } from './state.js';

const PLANES = ['relay', 'direct'] as const;
type PlaneName = (typeof PLANES)[number];

/** Which of the page's shapes and what word; the colour comes from the same attribute. */
function pathOf({ path, state }: PeerView): 'none' | 'punching' | 'relay' | 'direct' {
  if (path === null) return 'none';
  return state === 'punching' ? 'punching' : path;
}

const WORDS = { none: 'no path', punching: 'punching', relay: 'relayed', direct: 'direct' } as const;

interface PlaneCell {
  readonly cell: HTMLTableCellElement;
  readonly ms: HTMLElement;
  readonly line: SVGElement;
}

function planeCell(plane: PlaneName): PlaneCell {
  const ms = el('span', { class: 'ms' });
  const line = svg('path');
  const label = plane === 'relay' ? 'Relay' : 'Direct';
  const spark = svg('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, 'aria-hidden': 'true' }, line);
  const cell = el('td', { role: 'cell', class: 'plane', 'data-label': label }, ms, spark);
  return { cell, ms, line };
}

export class Row {
  readonly element: HTMLTableRowElement;
  /** Beside the row while it is open. */
  readonly detail: HTMLTableRowElement;
  readonly #name = el('button', { type: 'button', class: 'name', 'aria-expanded': 'false' });
  readonly #node = el('span', { class: 'sub' });
  readonly #use = svg('use');
  readonly #word = el('span');
  readonly #since = el('span', { class: 'sub' });
  readonly #planes = { relay: planeCell('relay'), direct: planeCell('direct') };
  readonly #loss = el('td', { role: 'cell', class: 'number loss', 'data-label': 'Loss' });
  readonly #why = el('td', { role: 'cell', class: 'why' });
  readonly #list = el('dl');
  #peer: PeerView | null = null;
  #now = 0;

  constructor() {
    const shape = svg('svg', { 'aria-hidden': 'true' }, this.#use);
    const path = el('td', { role: 'cell' }, el('span', { class: 'path' }, shape, this.#word), this.#since);
    const name = el('th', { role: 'rowheader', scope: 'row' }, this.#name, this.#node);
    const { relay, direct } = this.#planes;
    this.element = el('tr', { role: 'row' }, name, path, relay.cell, direct.cell, this.#loss, this.#why);
    this.detail = el('tr', { role: 'row', class: 'detail' }, el('td', { role: 'cell', colspan: '6' }, this.#list));
    this.#name.addEventListener('click', () => this.#toggle());
  }

  get isOpen(): boolean {
    return this.#name.getAttribute('aria-expanded') === 'true';
  }

  show(peer: PeerView, trace: Trace | undefined, now: number): void {
    const moved = this.#peer !== null && this.#peer.path !== peer.path;
    this.#peer = peer;
    this.#now = now;
    const path = pathOf(peer);
    setAttribute(this.element, 'data-path', path);
    setAttribute(this.element, 'data-urgency', urgencyOf(peer));
    setText(this.#name, peer.gateway);
    setText(this.#node, peer.node ?? 'no active node');
    setAttribute(this.#use, 'href', `#path-${path}`);
    setText(this.#word, WORDS[path]);
    setText(this.#since, peer.since === null ? '' : `for ${formatDuration(Math.max(0, now - peer.since))}`);
    const top = trace === undefined ? 1 : topOf(trace);
    for (const plane of PLANES) this.#showPlane(peer, plane, trace === undefined ? '' : lineOf(trace[plane], top));
    setText(this.#loss, formatLoss(peer.path === null ? null : peer.planes[peer.path]?.loss));
    setText(this.#why, peer.reason);
    if (this.isOpen) this.#showDetail(peer, now);
    if (moved) this.#flash();
  }

  #showPlane(peer: PeerView, plane: PlaneName, line: string): void {
    const { cell, ms, line: path } = this.#planes[plane];
    const known = peer.planes[plane];
    const dead = known?.alive === false;
    setAttribute(cell, 'class', `plane${peer.path === plane ? ' carries' : ''}${dead ? ' dead' : ''}`);
    setText(ms, dead ? 'no answer' : known === null || known.rttMs === null ? '–' : `${formatRtt(known.rttMs)} ms`);
    setAttribute(path, 'd', line);
  }

  #flash(): void {
    this.element.classList.remove('changed');
    // Read, so that the animation begins anew
    void this.element.offsetWidth;
    this.element.classList.add('changed');
  }

  #toggle(): void {
    const open = !this.isOpen;
    this.#name.setAttribute('aria-expanded', String(open));
    this.element.classList.toggle('open', open);
    if (!open) this.detail.remove();
    else if (this.#peer !== null) {
      this.#showDetail(this.#peer, this.#now);
      this.element.after(this.detail);
    }
  }

  #showDetail(peer: PeerView, now: number): void {
    const entries: [string, string][] = [['Subnets', peer.subnets.join(', ')]];
    for (const plane of PLANES) {
      entries.push([`${plane === 'relay' ? 'Relay' : 'Direct'} plane`, describePlane(peer.planes[plane], now)]);
    }
    entries.push(['More', `corax explain ${peer.gateway}`]);
    const texts = entries.flat();
    const present = [...this.#list.querySelectorAll('dt, dd')];
    if (present.length === texts.length) {
      present.forEach((element, index) => {
        setText(element, texts[index] as string);
      });
    } else {
      this.#list.replaceChildren(
        ...entries.map(([label, value]) => el('div', {}, el('dt', {}, label), el('dd', {}, value))),
      );
    }
  }
}

function describePlane(plane: PlaneStatus | null, now: number): string {
  if (plane === null) return 'none';
  const handshake =
    plane.lastHandshake === null ? 'no handshake' : `handshake ${formatAge(plane.lastHandshake, now)} ago`;
  return [
    plane.endpoint ?? 'no endpoint',
    handshake,
    `loss ${formatLoss(plane.loss)}`,
    `${formatBytes(plane.rxBytes)} in, ${formatBytes(plane.txBytes)} out`,
  ].join('\n');
}
