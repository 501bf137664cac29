/**
 * What raven-agent does on a node with its libreswan driver, by `whack`: as relay or as edge. It looks at the Gateways when
 * it is told to, and knows nothing of corax.
 */
import { announce, type RavenSite, sitesOf } from '../cluster/raven-sites.js';
import { type Lab, PSK } from '../lab.js';
import type { LabNode } from '../node.js';
import { whack } from './sas.js';

/** One end's words of a connection. */
interface End {
  /** The node's private address: its name. */
  readonly name: string;
  readonly host: string;
  readonly subnet: string;
  readonly underNat: boolean;
}

export class FakePlutoRaven {
  readonly #lab: Lab;
  readonly node: LabNode;

  constructor(lab: Lab, node: LabNode) {
    this.#lab = lab;
    this.node = node;
  }

  /** There are no keys to tell. */
  announce(natType: string): void {
    announce(this.#lab, this.node, natType, {});
  }

  /** Starts pluto, and makes of the node what the Gateways say that it is. */
  async apply(): Promise<void> {
    const sites = sitesOf(this.#lab);
    const own = sites.find(({ name }) => name === this.node.plan.gateway);
    if (own === undefined) throw new Error(`${this.node.name} has no gateway`);
    await this.#start();
    for (const [left, right] of connections(own, sites)) {
      const name = `${left.name}-${right.name}-${left.subnet}-${right.subnet}`;
      const ends = [...words(left, right), '--to', ...words(right, left)];
      await this.#say('--psk', '--encrypt', '--forceencaps', '--name', name, ...ends);
      // Only who is under NAT begins.
      if (!left.underNat) continue;
      await this.#say('--route', '--name', name);
      await this.#say('--initiate', '--asynchronous', '--name', name);
    }
  }

  async #say(...what: string[]): Promise<void> {
    const said = await whack(this.node, ...what);
    // Codes from 20 on that are no news of a negotiation are complaints (whack(8)).
    if (/^03\d /m.test(said)) throw new Error(`pluto on ${this.node.name} says to ${what.join(' ')}: ${said}`);
  }

  async #start(): Promise<void> {
    this.node.killPluto();
    const cluster = '10.244.0.0/16';
    const script = `rm -rf pluto && mkdir -p pluto/run pluto/nss pluto/ipsec.d && cd pluto
certutil -N -d sql:nss --empty-password
printf '%%any %%any : PSK "${PSK}"\\n' >secrets
chmod 600 secrets
/usr/libexec/ipsec/pluto --rundir $PWD/run --dumpdir $PWD/run --nssdir $PWD/nss --secretsfile $PWD/secrets --ipsecdir $PWD/ipsec.d --logfile $PWD/log --no-dnssec --keep-alive 5
nft insert rule ip cni postrouting ip saddr ${cluster} ip daddr ${cluster} accept
`;
    await this.node.exec(['sh', '-e'], { input: `cd ${this.node.stateDirectory}\n${script}` });
    await this.#lab.waitFor(async () => (await whack(this.node, '--listen')).includes('listening for IKE messages'), {
      what: `pluto of ${this.node.name} listens`,
      timeoutMs: 60_000,
    });
  }
}

/** A connection for each pair of subnets that have to be told apart: what edges send each other is the relay's to carry. */
function connections(own: RavenSite, sites: readonly RavenSite[]): Array<[End, End]> {
  const remotes = sites.filter((site) => site !== own);
  const relays = remotes.filter(({ active }) => !active.underNAT);
  const edges = remotes.filter(({ active }) => active.underNAT);
  const pairs = (left: RavenSite, lefts: readonly string[], right: RavenSite, rights: readonly string[]) =>
    lefts.flatMap((l) => rights.map((r): [End, End] => [endOf(left, l, false), endOf(right, r, true)]));
  if (own.active.underNAT) {
    const beyond = edges.flatMap(({ subnets }) => subnets);
    return relays.flatMap((relay) => pairs(own, own.subnets, relay, [...relay.subnets, ...beyond]));
  }
  return edges.flatMap((edge) => {
    const others = edges.filter((other) => other !== edge).flatMap(({ subnets }) => subnets);
    return pairs(own, [...own.subnets, ...others], edge, edge.subnets);
  });
}

function endOf({ active, nodes }: RavenSite, subnet: string, isRemote: boolean): End {
  const name = nodes.find(({ nodeName }) => nodeName === active.nodeName)?.privateIP ?? '';
  const underNat = active.underNAT === true;
  const host = isRemote ? (underNat ? '%any' : (active.publicIP ?? '')) : name;
  return { name, host, subnet, underNat };
}

function words(end: End, other: End): string[] {
  const port = end.underNat ? [] : ['--ikeport', '4500'];
  return ['--id', `@${end.name}-${end.subnet}-${other.subnet}`, '--host', end.host, '--client', end.subnet, ...port];
}
