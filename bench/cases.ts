import { eventLoopCase, memoryCase } from './cases/agent.js';
import { directCase } from './cases/direct.js';
import { libreswanCase } from './cases/libreswan.js';
import { demandCase, edgesCase, harvestCase, loopCase, startCase } from './cases/loop.js';
import { scrapeCase } from './cases/scrape.js';
import { throughputCase } from './cases/throughput.js';
import { deltaCase, programCase, snapshotCase } from './cases/wireguard.js';
import type { Case } from './model.js';

export const CASES: readonly Case[] = [
  snapshotCase,
  deltaCase,
  programCase,
  loopCase,
  demandCase,
  harvestCase,
  edgesCase,
  startCase,
  throughputCase,
  directCase,
  libreswanCase,
  scrapeCase,
  eventLoopCase,
  memoryCase,
];
