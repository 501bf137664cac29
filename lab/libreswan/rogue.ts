/** Somebody who is not of the cluster, with a pluto of his own in the STUN server's namespace. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../lab.js';
import { inside } from '../net/apply.js';
import type { LabNode } from '../node.js';
import { run, spawnBound } from '../process.js';
import { LONG_MS } from '../test/agents.js';

const PROGRAMS = '/usr/libexec/ipsec';

export interface Disguise {
  readonly name: string;
  readonly psk: string;
  /** What it says it is. */
  readonly id: string;
}

export class Rogue {
  readonly #socket: string;
  readonly #name: string;

  private constructor(socket: string, name: string) {
    this.#socket = socket;
    this.#name = name;
  }

  /** It has the connection of `edge` to `relay`, but for the key or the ID. */
  static async start(lab: Lab, { name, psk, id }: Disguise, edge: LabNode, relay: LabNode): Promise<Rogue> {
    const folder = join(lab.directory, name);
    for (const part of ['run', 'nss', 'ipsec.d']) mkdirSync(join(folder, part), { recursive: true });
    await run(['certutil', '-N', '-d', `sql:${folder}/nss`, '--empty-password']);
    writeFileSync(join(folder, 'secrets'), `%any %any : PSK "${psk}"\n`, { mode: 0o600 });
    const flags = ['--rundir', `${folder}/run`, '--dumpdir', `${folder}/run`, '--nssdir', `${folder}/nss`];
    flags.push('--secretsfile', `${folder}/secrets`, '--ipsecdir', `${folder}/ipsec.d`, '--logfile', `${folder}/log`);
    spawnBound([...inside('stun'), `${PROGRAMS}/pluto`, '--nofork', '--no-dnssec', ...flags]);
    const rogue = new Rogue(`${folder}/run/pluto.ctl`, name);
    await lab.waitFor(() => run(rogue.#words('--briefstatus')), {
      what: 'the rogue pluto answers',
      timeoutMs: LONG_MS,
    });
    await rogue.#whack('--listen');
    const [{ podSubnet }, hub] = [edge.plan, relay.plan];
    const words = ['--psk', '--encrypt', '--forceencaps', '--dpddelay', '5', '--dpdaction', 'clear'];
    words.push('--name', name, '--id', id, '--host', rogueAddress(lab), '--client', podSubnet, '--updown', '', '--to');
    words.push('--id', `@${hub.address}-0.0.0.0/0-${podSubnet}`, '--host', hub.publicAddress, '--client', '0.0.0.0/0');
    await rogue.#whack(...words, '--ikeport', '4500', '--updown', '');
    return rogue;
  }

  async knock(): Promise<void> {
    await run(this.#words('--initiate', '--asynchronous', '--name', this.#name), { allowFailure: true });
  }

  async end(): Promise<void> {
    await this.#whack('--shutdown');
  }

  /** Throws where pluto, or the connection, is not there. */
  async #whack(...words: string[]): Promise<void> {
    await run(this.#words(...words));
  }

  #words(...words: string[]): string[] {
    return [...inside('stun'), `${PROGRAMS}/whack`, '--ctlsocket', this.#socket, ...words];
  }
}

export function rogueAddress(lab: Lab): string {
  return lab.plan.stun?.addresses[0] as string;
}
