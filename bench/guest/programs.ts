/** The contenders that are programs of their own: those of bench/peers, and wg(8) forked from Node. */
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run } from '../../lab/process.js';
import { encode, hundredth, peer, population, wgText, wgWords } from '../peers/records.js';
import { type Contender, millisecondsSince, settle, type Work } from './contender.js';
import { DEVICE } from './device.js';

/** The guest's memory: nothing that is timed waits for the host's files. */
const FOLDER = '/run/corax-bench';

/** Read into the guest's memory. */
function here(path: string): string {
  mkdirSync(FOLDER, { recursive: true });
  const copy = join(FOLDER, basename(path));
  if (!existsSync(copy)) copyFileSync(path, copy);
  return copy;
}

/** Two populations for work that has to differ from time to time. */
const MOVES = [101, 102] as const;

function movedPeers(count: number, move: number) {
  return hundredth(count).map((index) => peer(index, move));
}

function peersOf(work: Work): ReturnType<typeof population> {
  return work.what === 'put' ? population(work.peers) : hundredth(work.peers).map((index) => peer(index));
}

/** Files of records, written once. */
function filesFor(work: Work): string[] {
  mkdirSync(FOLDER, { recursive: true });
  const file = (name: string, data: () => Buffer): string => {
    const path = join(FOLDER, `${name}-${work.peers}`);
    if (!existsSync(path)) writeFileSync(path, data());
    return path;
  };
  switch (work.what) {
    case 'snapshot':
      return [];
    case 'put':
    case 'remove': {
      const { what } = work;
      return [file(what, () => encode(peersOf(work), what))];
    }
    case 'move':
      return MOVES.map((move) => file(`move-${move}`, () => encode(movedPeers(work.peers, move), 'move')));
  }
}

/** A program that takes what raw.c says, and prints nanoseconds and peers. */
export class Program implements Contender {
  readonly #path: string;

  constructor(path: string) {
    this.#path = here(path);
  }

  async run(work: Work): Promise<number[]> {
    const verb = work.what === 'snapshot' ? 'snapshot' : 'apply';
    const files = filesFor(work);
    await settle();
    const { stdout } = await run([this.#path, verb, DEVICE, String(work.times), ...files]);
    const lines = stdout.trim().split('\n');
    const expected = work.what === 'snapshot' || work.what === 'put' ? work.peers : hundredth(work.peers).length;
    return lines.map((line) => {
      const [nanoseconds, peers] = line.split(' ').map(Number);
      if (peers !== expected) throw new Error(`${this.#path} ${verb}: ${line}; ${expected} peers were expected`);
      return Number(nanoseconds) / 1e6;
    });
  }
}

/** wg(8), forked for each job: its start, its parsing and the reading of its output are what it costs. */
export class ForkedWg implements Contender {
  readonly #wg = here('/usr/bin/wg');

  async run(work: Work): Promise<number[]> {
    const commands = this.#commands(work);
    const times: number[] = [];
    await settle();
    for (let time = 0; time < work.times; time++) {
      const start = process.hrtime.bigint();
      const { stdout } = await run(commands[time % commands.length] as string[]);
      const peers = work.what === 'snapshot' ? parseDump(stdout).length : work.peers;
      times.push(millisecondsSince(start));
      if (peers !== work.peers) throw new Error(`wg show dump: ${peers} peers; ${work.peers} were expected`);
    }
    return times;
  }

  #commands(work: Work): string[][] {
    switch (work.what) {
      case 'snapshot':
        return [[this.#wg, 'show', DEVICE, 'dump']];
      case 'put': {
        const path = join(FOLDER, `wg-${work.peers}.conf`);
        mkdirSync(FOLDER, { recursive: true });
        if (!existsSync(path)) writeFileSync(path, population(work.peers).map(wgText).join(''), { mode: 0o600 });
        return [[this.#wg, 'addconf', DEVICE, path]];
      }
      case 'move':
        return MOVES.map((move) => [
          ...[this.#wg, 'set', DEVICE],
          ...movedPeers(work.peers, move).flatMap((each) => wgWords(each, 'move')),
        ]);
      case 'remove':
        return [[this.#wg, 'set', DEVICE, ...peersOf(work).flatMap((each) => wgWords(each, 'remove'))]];
    }
  }
}

/** As an agent that shells out has to. */
function parseDump(text: string) {
  return text
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => {
      const [publicKey, , endpoint, allowedIps, handshake, rx, tx, keepalive] = line.split('\t');
      return {
        publicKey,
        endpoint: endpoint === '(none)' ? null : endpoint,
        allowedIps: allowedIps === '(none)' ? [] : (allowedIps ?? '').split(','),
        lastHandshake: Number(handshake),
        rxBytes: Number(rx),
        txBytes: Number(tx),
        keepalive: keepalive === 'off' ? 0 : Number(keepalive),
      };
    });
}
