/** The live stream: comes again by itself, and notices a stream that is open and says nothing. */
import type { Delta, Reset } from '../view.js';

export interface Listener {
  reset(message: Reset): void;
  part(message: Delta): void;
  delta(message: Delta): void;
  /** Null: live. Else why not, and it is tried again. */
  state(lost: string | null): void;
}

/** A word comes every second; a busy agent with ten thousand peers takes a few. */
const SILENCE_MS = 15_000;
const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 5_000;

export function connect(listener: Listener): void {
  let pause = FIRST_PAUSE_MS;
  let silence: number | undefined;

  const open = () => {
    const source = new EventSource('/events');
    const again = (why: string) => {
      source.close();
      clearTimeout(silence);
      listener.state(why);
      setTimeout(open, pause);
      pause = Math.min(pause * 2, LAST_PAUSE_MS);
    };
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => again('The agent says nothing'), SILENCE_MS);
    };
    const on = <T>(event: string, act: (message: T) => void) =>
      source.addEventListener(event, (message) => {
        heard();
        act(JSON.parse((message as MessageEvent<string>).data) as T);
      });
    on<Reset>('reset', (message) => {
      pause = FIRST_PAUSE_MS;
      listener.reset(message);
      listener.state(null);
    });
    on<Delta>('part', (message) => listener.part(message));
    on<Delta>('delta', (message) => listener.delta(message));
    // The browser's own way of coming again gives up on an answer like 503
    source.onerror = () => again('The agent does not answer');
    heard();
  };
  open();
}
