/** The status page: wires the stream to what is shown. */
import { showHead } from './about.js';
import { announce, clock, showChanges } from './changes.js';
import { connect } from './connection.js';
import { byId, setAttribute, setText } from './dom.js';
import { PageState } from './state.js';
import { Table } from './table.js';

const state = new PageState();
const table = new Table(state);
/** A burst of parts, or a tab in the background, is drawn once. */
let drawing = false;

function draw(): void {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    if (state.head !== null) showHead(state.head, state.now);
    table.show();
  });
}

connect({
  reset(message) {
    const restarted = state.reset(message);
    if (restarted) setText(byId('announce'), 'The agent was restarted');
    showChanges(state.changes);
  },
  part: (message) => state.part(message),
  delta(message) {
    const fresh = state.delta(message);
    if (fresh.length > 0) {
      showChanges(state.changes);
      announce(fresh);
    }
    draw();
  },
  state(lost) {
    const link = byId('link');
    setAttribute(link, 'data-state', lost === null ? 'live' : 'lost');
    setText(link, lost === null ? 'live' : `${lost}; shown is ${shownOf()}`);
  },
});

function shownOf(): string {
  return state.now === 0 ? 'nothing yet' : clock(new Date(state.now * 1000));
}
