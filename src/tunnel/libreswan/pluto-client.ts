/** One pluto by its socket: in its own words where they are known, else through its whack. */
import { dirname, join } from 'node:path';
import { CoraxError } from '../../errors.js';
import { openPluto, type Pluto, type PlutoCommand, type PlutoReply, plutoLayouts } from '../../native.js';
import { askWhack } from './whack.js';

/** Codes of pluto's replies that are refusals (RC_* in its whack.h). */
const REFUSALS = [20, 99] as const;
/** Nothing to delete. */
const UNKNOWN_NAME = 21;

export class PlutoClient {
  readonly #socket: string;
  readonly #whack: string;
  readonly #pluto: Pluto;
  readonly #layouts: readonly string[];
  #version: string | null = null;

  /** `program`: pluto's, beside which whack is; `layouts`: of versions whose messages are known. */
  constructor(socket: string, program: string, layouts: readonly string[] = plutoLayouts()) {
    this.#socket = socket;
    this.#whack = join(dirname(program), 'whack');
    this.#pluto = openPluto(socket);
    this.#layouts = layouts;
  }

  /** Asks which version it is: to be done whenever another pluto may have taken the socket. */
  async greet(): Promise<void> {
    this.#version = null;
    const { version } = await this.#pluto.version();
    this.#version = version;
  }

  /** What a person should know of how it is spoken to; null when all is well. */
  get warning(): string | null {
    if (this.#version === null || this.#layouts.includes(this.#version)) return null;
    const known = this.#layouts.join(', ');
    return `the control messages of pluto ${this.#version} are not known (known: ${known}): ${this.#whack} is run for each, which is slow`;
  }

  /** @throws CORAX_PLUTO where there is no answer */
  async send(command: PlutoCommand): Promise<PlutoReply> {
    const version = this.#version;
    if (version === null) throw new CoraxError('CORAX_PLUTO', 'pluto does not answer');
    if (this.#layouts.includes(version)) return this.#pluto.send(version, command);
    return askWhack(this.#whack, version, this.#socket, command);
  }

  close(): void {
    this.#pluto.close();
  }
}

/** Why pluto said no to a command, in its own words; null where it did not. */
export function refusalIn({ lines }: PlutoReply): string | null {
  const [from, to] = REFUSALS;
  const refusal = lines.find(({ code }) => code >= from && code <= to && code !== UNKNOWN_NAME);
  return refusal === undefined ? null : refusal.text;
}
