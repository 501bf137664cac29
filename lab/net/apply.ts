/** Makes a planned lab real. Processes are few: one for all wires, then one `ip` a namespace. */
import { readdir } from 'node:fs/promises';
import { run } from '../process.js';
import { compileNetsetup, NETSETUP } from './netsetup.js';
import type { NamespacePlan, Plan } from './plan.js';

const NETNS_DIRECTORY = '/run/netns';

/** Command prefix that runs a program inside a namespace of the lab. */
export function inside(namespace: string): string[] {
  return ['nsenter', `--net=${NETNS_DIRECTORY}/${namespace}`, '--'];
}

/** Removes every network namespace: those that /run/netns shows here are a lab's own (see setting.ts). */
export async function removeNamespaces(): Promise<void> {
  const names = await readdir(NETNS_DIRECTORY).catch(() => []);
  if (names.length > 0) await run(['ip', '-all', 'netns', 'delete']);
}

export async function applyPlan(plan: Plan): Promise<void> {
  // As a rule it is there: runInside compiles it on the host.
  await compileNetsetup(() => {});
  const lines = [...plan.namespaces.keys()].map((name) => `netns add ${name}`);
  for (const { a, b } of plan.wires) {
    lines.push(`link add ${a.device} netns ${a.namespace} type veth peer name ${b.device} netns ${b.namespace}`);
  }
  await run(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
  await Promise.all(shares([...plan.namespaces.values()]).map(setUp));
}

/** An equal share of the namespaces for each processor that the micro-VM has. */
function shares(plans: readonly NamespacePlan[]): NamespacePlan[][] {
  return [0, 1].map((share) => plans.filter((_, index) => index % 2 === share)).filter((some) => some.length > 0);
}

async function setUp(plans: readonly NamespacePlan[]): Promise<void> {
  await run([NETSETUP], { input: plans.map(scriptOf).join('') });
}

/** In netsetup's words. */
function scriptOf(plan: NamespacePlan): string {
  const block = (word: string, text: string): string =>
    text === '' ? '' : `${word} ${Buffer.byteLength(text) + 1}\n${text}\n`;
  const sysctls = plan.sysctls.map(([path, value]) => `sysctl ${path} ${value}\n`);
  return [
    `netns ${plan.name}\n`,
    ...sysctls,
    block('ip', plan.ip.join('\n')),
    block('tc', plan.tc.join('\n')),
    block('nft', plan.nft),
  ].join('');
}
