/**
 * Libreswan through every pair of NATs: direct where WireGuard is direct. With CORAX_LAB_BRIEF one pair for each way it
 * can go (two cones, beside whom paths.test.ts has two port-restricted; a lone symmetric end on either side; none).
 */
import { testPairs } from '../test/pairs.js';

const BRIEF = [
  ['linux', 'linux'],
  ['symmetric', 'full-cone'],
  ['restricted-cone', 'symmetric'],
  ['port-restricted', 'symmetric'],
] as const;

testPairs('libreswan', process.env.CORAX_LAB_BRIEF === '1' ? BRIEF : undefined);
