import { eventLoopCase, memoryCase } from './cases/agent.js';
import { edgesCase, harvestCase, loopCase } from './cases/loop.js';
import { throughputCase } from './cases/throughput.js';
import { deltaCase, programCase, snapshotCase } from './cases/wireguard.js';
import type { Case } from './model.js';

export const CASES: readonly Case[] = [
  snapshotCase,
  deltaCase,
  programCase,
  loopCase,
  harvestCase,
  edgesCase,
  throughputCase,
  eventLoopCase,
  memoryCase,
];
