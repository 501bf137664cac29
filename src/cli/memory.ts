/** What runs for months on small machines is to take little memory. */
import { setFlagsFromString } from 'node:v8';

/**
 * The heap may grow by half between two collections of the whole. By itself V8 lets it grow up to fourfold where the
 * machine has memory: with 5,000 Gateways 270 MiB in place of 190, for 2 % less processor time in the collector.
 */
const GROWTH_PERCENT = 50;

/** For commands that go on; what is short-lived never collects the whole. */
export function collectOften(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
