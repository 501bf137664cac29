import { deltaCase, programCase, snapshotCase } from './cases/wireguard.js';
import type { Case } from './model.js';

export const CASES: readonly Case[] = [snapshotCase, deltaCase, programCase];
