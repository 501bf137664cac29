/** Libreswan through every pair of NATs: direct where WireGuard is direct. */
import { testPairs } from '../test/pairs.js';

testPairs('libreswan');
