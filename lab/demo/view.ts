/** The demo as a person watches it: steps with their time, what was found, one living line of pings. */
import { NAT_TITLES, type NatKind } from '../net/nat.js';
import type { DemoEvent, EdgeView, PairResult } from './events.js';

const ESCAPE = '\u001b[';
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

export class DemoView {
  readonly #out: NodeJS.WriteStream;
  readonly #live: boolean;
  readonly #startedAt = performance.now();
  #step: { text: string; at: number } | null = null;
  #line = '';
  #frame = 0;
  #timer: NodeJS.Timeout | null = null;
  readonly #known = new Map<string, EdgeView>();
  readonly #holes = new Map<string, string>();

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.#out = out;
    this.#live = out.isTTY === true;
  }

  begin(natA: NatKind, natB: NatKind): void {
    const width = Math.max(NAT_TITLES[natA].length, NAT_TITLES[natB].length) + 2;
    const box = (kind: NatKind): string => `[${NAT_TITLES[kind]}]`.padEnd(width, '─');
    this.#print(this.#bold('corax lab demo'));
    this.#print('');
    this.#print(`  pod ─ edge-a ─ ${box(natA)}─┐`);
    this.#print(`                 ${' '.repeat(width)} ├─ internet ─ relay-1 ─ pod`);
    this.#print(`  pod ─ edge-b ─ ${box(natB)}─┘`);
    this.#print('');
    if (this.#live) {
      this.#timer = setInterval(() => this.#draw(), 120);
      this.#timer.unref();
    }
  }

  /** Something takes a while from here on; the step before it is done. */
  step(text: string): void {
    this.#endStep('✔');
    this.#step = { text, at: performance.now() };
    this.#line = '';
    if (!this.#live) this.#print(`  … ${text}`);
    this.#draw();
  }

  take(event: DemoEvent): void {
    switch (event.type) {
      case 'step':
        this.step(event.text);
        break;
      case 'edge':
        this.#edge(event.edge, event.harvested);
        break;
      case 'pings':
        this.#line = `${event.received} pings answered, ${event.rttMs.toFixed(1)} ms ${way(event.path)}`;
        this.#draw();
        break;
      case 'result':
        this.#endStep('✔');
        this.#result(event.result);
        break;
      case 'keep':
        this.#print('');
        for (const line of event.lines) this.#print(`  ${line}`);
        this.#print('');
        break;
    }
  }

  /** Whatever a program inside printed. */
  note(text: string): void {
    this.#print(`  ${this.#dim(text)}`);
  }

  end(ok: boolean): void {
    this.#endStep(ok ? '✔' : '✘');
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  #edge(edge: EdgeView, hole: string | null): void {
    const before = this.#known.get(edge.name);
    if (edge.natType !== null && edge.natType !== before?.natType) {
      this.#fact('NAT type', `${edge.name} is behind a ${edge.natType} (STUN, RFC 5780)`);
    }
    if (hole !== null && hole !== this.#holes.get(edge.name)) {
      this.#fact('hole', `${edge.name}'s tunnel port is ${hole} to the relay, which publishes it`);
      this.#holes.set(edge.name, hole);
    }
    if (edge.path !== null && edge.path !== before?.path) {
      const words = `${edge.name} sends ${way(edge.path)}${edge.reason ? `: ${edge.reason}` : ''}`;
      this.#fact('path', edge.path === 'direct' ? this.#green(words) : words);
    }
    this.#known.set(edge.name, edge);
  }

  #result(result: PairResult): void {
    const ms = (value: number | null): string => (value === null ? '–' : `${value.toFixed(1)} ms`);
    const row = (name: string, value: string): void => this.#print(`  ${name.padEnd(22)}${value}`);
    this.#print('');
    row('RTT by the relay', ms(result.rttRelayMs));
    row('RTT direct', ms(result.rttDirectMs) + this.#saved(result));
    const time = result.timeToDirectMs;
    row('time to direct', time === null ? '–' : `${(time / 1000).toFixed(1)} s after the first ping by the relay`);
    row(
      'pings, pod to pod',
      `${result.sent} sent, ${result.lost === 0 ? this.#green('0 lost') : this.#red(`${result.lost} lost`)}`,
    );
    this.#print('');
    this.#print(`  ${this.#bold(this.#verdict(result))}`);
    this.#print('');
  }

  #saved({ rttRelayMs, rttDirectMs }: PairResult): string {
    if (rttRelayMs === null || rttDirectMs === null || rttDirectMs >= rttRelayMs) return '';
    return `   ${Math.round((1 - rttDirectMs / rttRelayMs) * 100)} % less`;
  }

  #verdict({ path, allowed, reason }: PairResult): string {
    if (path === 'direct') return this.#green('The edges talk directly, and the relay stays as the way back.');
    if (path === null) return this.#red('The pods did not reach each other.');
    if (allowed) return this.#red(`The path stayed on the relay, though these NATs allow a direct one: ${reason}`);
    return `These two NATs let no direct path through; the relay carries the traffic: ${reason}`;
  }

  #fact(name: string, text: string): void {
    this.#print(`    ${this.#dim(name.padEnd(9))} ${text}`);
  }

  #endStep(mark: string): void {
    if (!this.#step) return;
    const seconds = `${((performance.now() - this.#step.at) / 1000).toFixed(1)} s`;
    const { text } = this.#step;
    this.#step = null;
    if (this.#live)
      this.#print(`  ${mark === '✔' ? this.#green(mark) : this.#red(mark)} ${text} ${this.#dim(seconds)}`);
  }

  /** The line at the bottom that lives while a step goes on. */
  #draw(): void {
    if (!this.#live || !this.#step) return;
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const seconds = ((performance.now() - this.#step.at) / 1000).toFixed(0);
    const text = `  ${FRAMES[this.#frame]} ${this.#step.text}${this.#line === '' ? '' : `: ${this.#line}`} (${seconds} s)`;
    this.#out.write(`\r${ESCAPE}K${text.slice(0, (this.#out.columns || 80) - 1)}`);
  }

  #print(text: string): void {
    const stamp = ((performance.now() - this.#startedAt) / 1000).toFixed(1).padStart(6);
    if (this.#live) this.#out.write(`\r${ESCAPE}K${text}\n`);
    else this.#out.write(text === '' ? '\n' : `${stamp} ${text}\n`);
    this.#draw();
  }

  #paint(code: number, text: string): string {
    return this.#live && !process.env.NO_COLOR ? `${ESCAPE}${code}m${text}${ESCAPE}0m` : text;
  }
  #bold(text: string): string {
    return this.#paint(1, text);
  }
  #dim(text: string): string {
    return this.#paint(2, text);
  }
  #green(text: string): string {
    return this.#paint(32, text);
  }
  #red(text: string): string {
    return this.#paint(31, text);
  }
}

function way(path: string): string {
  return path === 'direct' ? 'directly' : 'by the relay';
}
