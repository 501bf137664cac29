/** What the tests of whole gateways have in common. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { writeGatewayFile } from '../gateways.js';
import type { Lab } from '../lab.js';
import { inside } from '../net/apply.js';
import type { LabNode } from '../node.js';
import { type RunResult, run } from '../process.js';

interface Endpoint {
  readonly nodeName: string;
}

/** Writes who holds the gateway's tunnel from now on (null: nobody), as yurt-manager does. @returns when, Unix milliseconds */
export function activate(lab: Lab, gateway: string, node: string | null): number {
  const file = `${gateway}.yaml`;
  const object = parse(readFileSync(join(lab.gateways, file), 'utf8'));
  const endpoints: Endpoint[] = object.spec.endpoints;
  object.status.activeEndpoints = endpoints.filter(({ nodeName }) => nodeName === node);
  writeGatewayFile(lab.gateways, file, stringify(object, { aliasDuplicateObjects: false }));
  return Date.now();
}

/** Runs a program in the node's pod. */
export function inPod(node: LabNode, command: readonly string[], input?: string): Promise<RunResult> {
  return run([...inside(node.plan.pod), ...command], { allowFailure: true, ...(input === undefined ? {} : { input }) });
}

/** Addresses that the pod gets no answer from: one ping each, all at once. */
export async function unreached(from: LabNode, addresses: readonly string[]): Promise<string[]> {
  const script = addresses.map((to) => `ping -n -q -c 1 -W 3 ${to} >/dev/null 2>&1 || echo ${to} &`).join('\n');
  const { stdout } = await inPod(from, ['sh'], `${script}\nwait\n`);
  return stdout.split('\n').filter((line) => line !== '');
}

/** Who answers when the packet's life ends after so many hops; the last is the target. Null: nobody. */
export async function hopsTo(from: LabNode, address: string, most: number): Promise<Array<string | null>> {
  const hops: Array<string | null> = [];
  for (let ttl = 1; ttl <= most; ttl += 1) {
    const { stdout } = await inPod(from, ['ping', '-n', '-c', '1', '-W', '3', '-t', String(ttl), address]);
    const who = /[Ff]rom ([\d.]+)/.exec(stdout)?.[1] ?? null;
    hops.push(who);
    if (who === address) break;
  }
  return hops;
}

/** A ping of so many bytes of IP, not to be fragmented. */
export function wholePing(from: LabNode, address: string, bytes: number): Promise<RunResult> {
  return inPod(from, ['ping', '-n', '-c', '1', '-W', '3', '-M', 'do', '-s', String(bytes - 28), address]);
}
