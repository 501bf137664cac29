/** Where `corax status --watch` writes: in place on a terminal, page after page elsewhere. */
import type { WriteStream } from 'node:tty';
import { standardTerminal } from './output.js';
import { renderStatus } from './status-view.js';
import { type Heard, notice, type Output, renderFrame } from './watch.js';

/** ECMA-48 and xterm: the other screen, the cursor, and lines that are cut rather than broken. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

/** On a screen of its own; what was seen last stays behind. */
export function onTerminal(stream: WriteStream, intervalMs: number): Output {
  let latest: Heard | null = null;
  const frame = (known: Heard, now: number) =>
    renderFrame(known, standardTerminal(), stream.rows || 24, intervalMs, now);
  const draw = (known: Heard, now: number) => {
    const lines = frame(known, now).map((line) => `${line}${CLEAR_LINE}`);
    stream.write(`${HOME}${lines.join('\n')}${CLEAR_BELOW}`);
  };
  const onResize = () => {
    if (latest !== null) draw(latest, Date.now() / 1000);
  };
  return {
    show(known, now) {
      if (latest === null) {
        stream.write(ENTER);
        stream.on('resize', onResize);
      }
      latest = known;
      draw(known, now);
    },
    end() {
      if (latest === null) return;
      stream.off('resize', onResize);
      stream.write(`${LEAVE}${frame(latest, Date.now() / 1000).join('\n')}\n`);
    },
  };
}

/** Page after page, each with its time; while the agent is away, one line. */
export function onPipe(write: (text: string) => void): Output {
  let away = false;
  return {
    show(known, now) {
      const news = notice(known, now);
      if (known.lost !== null) {
        if (!away) write(`--- ${new Date(now * 1000).toISOString()} ${news}\n`);
      } else {
        const told = news === null ? '' : ` ${news}`;
        write(
          `--- ${new Date(now * 1000).toISOString()}${told}\n${renderStatus(known.status, standardTerminal(), now)}\n`,
        );
      }
      away = known.lost !== null;
    },
    end: () => undefined,
  };
}

/** One JSON document a line; what is not the agent's word goes to `tell`. */
export function asJson(write: (text: string) => void, tell: (text: string) => void): Output {
  let told: string | null = null;
  return {
    show(known, now) {
      const news = notice(known, now);
      const about = known.lost === null ? `restarted ${known.restartedAt}` : `lost ${known.lost.since}`;
      if (news !== null && told !== about) {
        tell(`corax: ${news}\n`);
        told = about;
      }
      if (known.lost === null) write(`${JSON.stringify(known.raw)}\n`);
    },
    end: () => undefined,
  };
}
