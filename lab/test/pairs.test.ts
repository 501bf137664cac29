/** WireGuard through every pair of NATs. */
import { testPairs } from './pairs.js';

testPairs('wireguard');
