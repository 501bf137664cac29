/** What is said of openings, to people. */
import type { OpeningMemory, Refusal } from '../model/opening.js';
import { isActive } from './opening-input.js';

export const NO_HANDSHAKE = 'a way was found, but no handshake came through it';

export const UNTOLD = 'where the ports of the NAT stand could not be told';

export const REFUSED: Readonly<Record<Refusal, string>> = {
  pair: 'as it knows the two NATs there is nothing to open',
  off: 'it is switched off there (--hard-nat off)',
  busy: 'it has another try going on',
  spent: 'its budget of probes is spent',
  direct: 'its path is still direct',
  near: 'the relay is as good',
  place: 'it does not know both holes yet',
  missed: 'no probe found one of its mappings',
  ports: 'it does not know yet how both NATs give out ports',
  odds: 'as the two NATs give out ports too few tries would succeed',
};

/** For `status`: how it stands, in a few words; null where there is nothing to say. */
export function describeOpening(memory: OpeningMemory): string | null {
  if (isActive(memory)) return 'trying now';
  const { failures, failure } = memory;
  if (failure === null) return null;
  return failures > 1 ? `${failures} tries failed, the latest: ${failure}` : `the latest try failed: ${failure}`;
}
