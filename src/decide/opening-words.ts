/** What is said of openings, to people. */
import type { OpeningMemory, Refusal } from '../model/opening.js';

export const NO_HANDSHAKE = 'a way was found, but no handshake came through it';

export const REFUSED: Readonly<Record<Refusal, string>> = {
  pair: 'as it knows the two NATs there is nothing to open',
  off: 'it is switched off there (--hard-nat off)',
  busy: 'it has another try going on',
  spent: 'its budget of probes is spent',
  direct: 'its path is still direct',
  near: 'the relay is as good',
  place: 'it does not know both holes yet',
  missed: 'no probe found one of its mappings',
};

/** For `status`: how it stands, in a few words; null where there is nothing to say. */
export function describeOpening({ phase, failures, failure }: OpeningMemory): string | null {
  if (phase === 'asking' || phase === 'fanned' || phase === 'spraying') return 'trying now';
  if (failure === null) return null;
  return failures > 1 ? `${failures} tries failed, the latest: ${failure}` : `the latest try failed: ${failure}`;
}
