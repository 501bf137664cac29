/** Has a router lost its mappings? Its clock tells: it starts over when they are gone. Times in seconds. */

export type EpochRule = (before: EpochSeen, now: EpochSeen) => boolean;

export interface EpochSeen {
  /** What the router said. */
  readonly server: number;
  /** When, on a clock of this node that is never set. */
  readonly client: number;
}

/** RFC 6887 8.5: the two clocks may differ by a sixteenth, and by two seconds. */
export const pcpEpochIsValid: EpochRule = (before, now) => {
  if (now.server + 1 < before.server) return false;
  const [client, server] = [now.client - before.client, now.server - before.server];
  return client + 2 >= server - server / 16 && server + 2 >= client - client / 16;
};

/** RFC 6886 3.6: at least seven eighths of the time passed there, less two seconds. */
export const natPmpEpochIsValid: EpochRule = (before, now) =>
  now.server + 2 >= before.server + ((now.client - before.client) * 7) / 8;

/** Of one router. */
export class Epoch {
  readonly #isValid: EpochRule;
  #before: EpochSeen | null = null;

  constructor(isValid: EpochRule) {
    this.#isValid = isValid;
  }

  /** Takes what the router says now. @returns whether it still has what it had */
  observe(server: number, client: number): boolean {
    const [before, now] = [this.#before, { server, client }];
    this.#before = now;
    return before === null || this.#isValid(before, now);
  }
}
