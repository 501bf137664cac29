/** Addresses, routes, rules and the firewall: items to and from the kernel, over netlink. */
import { constants } from 'node:os';
import { codeOf } from '../errors.js';
import { type Ip, isGlobalIpv6, isIpv4, type Prefix, parseIp } from '../model/address.js';
import type { Underlay } from '../model/facts.js';
import {
  type AddressItem,
  type FdbItem,
  type FirewallItem,
  type Item,
  keyOf,
  type NeighbourItem,
  type OutsidePortItem,
  type OverlayItem,
  type RouteItem,
  type RuleItem,
} from '../model/item.js';
import { planeOfDevice, TABLES, TUNNEL_FWMARK } from '../model/names.js';
import { OVERLAY } from '../model/overlay.js';
import type { DeleteStep, PutStep } from '../model/step.js';
import {
  type Engine,
  type NativeError,
  type NetworkOp,
  ROUTE_PROTOCOL,
  type RouteColumns,
  type Rule,
} from '../native.js';
import {
  busyQuery,
  firewallMatches,
  firewallQuery,
  firewallRemoval,
  firewallTransaction,
  firewallUpdate,
  outsidePortQuery,
  outsidePortUpdate,
} from './firewall.js';
import { outsidePortsIn } from './outside-ports.js';
import { entryOperation, observeOverlay, putOverlay } from './overlay.js';
import { addressAt, familyAt, RTN_UNICAST, routeItems } from './routes.js';
import { busyIn } from './traffic.js';

/** Not one netlink operation each. */
type WholeItem = FirewallItem | OutsidePortItem | OverlayItem;
export type NetworkItem = AddressItem | RouteItem | RuleItem | FdbItem | NeighbourItem | WholeItem;
export type NetworkStep = PutStep<NetworkItem> | DeleteStep<NetworkItem>;

const RTN_LOCAL = 2;
const MAIN_TABLE = 254;
const SCOPE_HOST = 254;
const IPPROTO_ICMP = 1;
/** The first address of the block that global ones are of; nobody has it. */
const SOMEWHERE_GLOBAL = '2000::';
const WHOLE_MARK = 0xffffffff;

/** An address of one of the node's devices that are not ours. */
export interface NodeAddress {
  readonly device: string;
  readonly ip: Ip;
}

export class Network {
  readonly #engine: Engine;
  /** What a new table has to have from the old one. */
  readonly #outsidePorts = new Map<string, OutsidePortItem>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** What stands in the tables, rules and addresses that are ours. The firewall is not read: putting it is one transaction. */
  async observe(): Promise<Item[]> {
    const [links, addresses, rules] = [
      await this.#engine.links(),
      await this.#engine.addresses(),
      await this.#engine.rules(),
    ];
    const names = new Map(links.map((link) => [link.index, link.name]));
    const items: Item[] = [];
    for (const { ifindex, address, prefixLength } of addresses) {
      const device = names.get(ifindex);
      const ip = parseIp(address);
      if (device !== undefined && isOurs(device) && ip !== null && isIpv4(ip) && prefixLength === 32) {
        items.push({ kind: 'address', device, address: ip });
      }
    }
    items.push(...(await observeOverlay(this.#engine, links, addresses)));
    items.push(...rules.filter(isOurRule).flatMap(ruleItem));
    for (const table of Object.values(TABLES)) {
      for (const item of await routeItems(await this.#engine.routes(table), names)) items.push(item);
    }
    items.push(...(await this.#observeOutsidePorts()));
    return items;
  }

  async #observeOutsidePorts(): Promise<Item[]> {
    const answer = await this.#engine.nft(outsidePortQuery()).catch((error: unknown) => {
      if (isMissing(error)) return null;
      throw error;
    });
    const items = answer === null ? [] : outsidePortsIn(answer);
    this.#outsidePorts.clear();
    for (const item of items) this.#outsidePorts.set(keyOf(item), item);
    return items;
  }

  /** Addresses beyond the tunnels that packets went to or came from in the last seconds; none where nobody watches. */
  async busy(): Promise<Ip[]> {
    const answer = await this.#engine.nft(busyQuery()).catch((error: unknown) => {
      if (isMissing(error)) return null;
      throw error;
    });
    return answer === null ? [] : busyIn(answer);
  }

  /** Is our table there, whole? Others flush the ruleset (a firewall that restarts), and nobody tells. */
  async firewallStands(item: FirewallItem): Promise<boolean> {
    try {
      return firewallMatches(await this.#engine.nft(firewallQuery()), item);
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  /** Where the default route goes out; null without one. */
  async underlay(): Promise<Underlay | null> {
    const links = await this.#engine.links();
    const oif = defaultRoute(await this.#engine.routes(MAIN_TABLE, true))?.oif;
    const link = links.find((candidate) => candidate.index === oif);
    if (link === undefined) return null;
    const addresses = (await this.nodeAddresses()).map((address) => address.ip);
    return { device: link.name, mtu: link.mtu, addresses, ipv6: await this.#globalIpv6() };
  }

  /**
   * The address that the kernel would send the tunnel's packets from. By RFC 6724 it is none that is deprecated or not yet
   * known to be unique, and a temporary one where the node is set so: the other end's packets have to go where these come
   * from, or no firewall lets them in.
   */
  async #globalIpv6(): Promise<Ip | null> {
    const route = await this.#engine.routeTo(SOMEWHERE_GLOBAL, TUNNEL_FWMARK).catch(() => null);
    const ip = route?.type === RTN_UNICAST ? parseIp(route.source ?? '') : null;
    return ip !== null && isGlobalIpv6(ip) ? ip : null;
  }

  /** The router that the default route goes by; null without one, or where it goes straight to a device. */
  async router(): Promise<Ip | null> {
    return defaultRoute(await this.#engine.routes(MAIN_TABLE, true))?.router ?? null;
  }

  /** All addresses of the node but loopback's, link-local ones and those of our own devices. */
  async nodeAddresses(): Promise<NodeAddress[]> {
    const names = new Map((await this.#engine.links()).map((link) => [link.index, link.name]));
    return (await this.#engine.addresses()).flatMap(({ ifindex, address, scope }) => {
      const device = names.get(ifindex);
      const ip = parseIp(address);
      if (device === undefined || isOurs(device) || scope >= SCOPE_HOST || ip === null || ip.startsWith('fe80:'))
        return [];
      return [{ device, ip }];
    });
  }

  /** Would a packet to it be delivered here? */
  async isLocal(ip: Ip): Promise<boolean> {
    const route = await this.#engine.routeTo(ip).catch(() => null);
    return route?.type === RTN_LOCAL;
  }

  /** One result a step, in their order. Runs of netlink operations go to the kernel together. */
  async apply(steps: readonly NetworkStep[]): Promise<Array<Error | null>> {
    const results: Array<Error | null> = [];
    for (let index = 0; index < steps.length; ) {
      const step = steps[index] as NetworkStep;
      if (isWhole(step.item)) {
        results.push(await this.#applyWhole(step).then(() => null, asError));
        index += 1;
        continue;
      }
      const end = steps.findIndex((candidate, at) => at > index && isWhole(candidate.item));
      const run = steps.slice(index, end < 0 ? steps.length : end);
      results.push(...(await this.#engine.network(run.map(operation))));
      index += run.length;
    }
    return results;
  }

  async #applyWhole({ op, item, ...rest }: NetworkStep): Promise<void> {
    if (item.kind === 'firewall') {
      if (op === 'delete') await this.#engine.nft(firewallRemoval());
      else await this.#putFirewall(item, 'present' in rest ? rest.present : null);
    } else if (item.kind === 'outside-port') {
      await this.#setOutsidePort(op, item, 'present' in rest ? rest.present : null);
    } else if (item.kind === 'overlay') {
      if (op === 'put') await putOverlay(this.#engine, item);
      else
        for (const failure of await this.#engine.network([{ op: 'link-delete', name: item.name }]))
          if (failure) throw failure;
    }
  }

  /** Where only the own subnets differ, only they are changed: a member that joins is no work for all the others. */
  async #putFirewall(item: FirewallItem, present: NetworkItem | null): Promise<void> {
    const update = present?.kind === 'firewall' ? firewallUpdate(present, item) : null;
    if (update !== null) {
      const done = await this.#engine.nft(update).then(
        () => true,
        () => false,
      );
      if (done) return;
    }
    await this.#engine.nft(firewallTransaction(item, this.#outsidePorts.values()));
  }

  /** A key of a map has one value: what it has now goes first. */
  async #setOutsidePort(op: 'put' | 'delete', item: OutsidePortItem, present: NetworkItem | null): Promise<void> {
    const old = op === 'delete' ? item : present?.kind === 'outside-port' ? present : null;
    if (old !== null) {
      await this.#engine.nft(outsidePortUpdate('delete', old)).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
      this.#outsidePorts.delete(keyOf(old));
    }
    if (op === 'delete') return;
    await this.#engine.nft(outsidePortUpdate('add', item));
    this.#outsidePorts.set(keyOf(item), item);
  }
}

export function isNetworkItem(item: Item): item is NetworkItem {
  return NETWORK_KINDS.has(item.kind);
}

const NETWORK_KINDS: ReadonlySet<Item['kind']> = new Set<NetworkItem['kind']>([
  'address',
  'route',
  'rule',
  'fdb',
  'neighbour',
  'firewall',
  'outside-port',
  'overlay',
]);

/** Others flush the ruleset; what is gone with it needs no deleting. */
function isMissing(error: unknown): boolean {
  return codeOf(error) === 'CORAX_NFT' && (error as NativeError).errno === constants.errno.ENOENT;
}

function isWhole(item: NetworkItem): item is WholeItem {
  return item.kind === 'firewall' || item.kind === 'outside-port' || item.kind === 'overlay';
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** IPv4's default route with the least metric. */
function defaultRoute(defaults: RouteColumns) {
  const candidates = Array.from({ length: defaults.count }, (_, index) => ({
    metric: defaults.metrics[index] as number,
    oif: defaults.oifs[index] as number,
    router: addressAt(defaults.gateways, index),
    usable: familyAt(defaults, index) === 4 && defaults.types[index] === RTN_UNICAST && defaults.oifs[index] !== 0,
  }));
  return candidates.filter(({ usable }) => usable).sort((a, b) => a.metric - b.metric)[0];
}

function isOurs(device: string): boolean {
  return device === OVERLAY.device || planeOfDevice(device) !== null;
}

/**
 * raven's own rule for its table is taken over: the same rule cannot be added twice. One with selectors that ours never
 * have is somebody else's, whatever table it looks up.
 */
function isOurRule(rule: Rule): boolean {
  const foreignMark = rule.fwmask !== (rule.fwmark === 0 ? 0 : WHOLE_MARK);
  if (rule.other || foreignMark || (rule.ipProtocol !== 0 && rule.ipProtocol !== IPPROTO_ICMP)) return false;
  const tables: readonly number[] = Object.values(TABLES);
  return rule.protocol === ROUTE_PROTOCOL || tables.includes(rule.table) || rule.fwmark === TUNNEL_FWMARK;
}

/** None for a rule from a whole prefix: ours are from one address or from anywhere. */
function ruleItem(rule: Rule): RuleItem[] {
  const source = rule.source === null ? null : parseIp(rule.source.replace(/\/(32|128)$/, ''));
  if (rule.source !== null && source === null) return [];
  return [
    {
      kind: 'rule',
      priority: rule.priority,
      family: rule.family,
      table: rule.table,
      source,
      tos: rule.tos,
      fwmark: rule.fwmark,
      icmp: rule.ipProtocol === IPPROTO_ICMP,
    },
  ];
}

function operation(step: NetworkStep): NetworkOp {
  const { op, item } = step;
  switch (item.kind) {
    case 'address':
      return {
        op: op === 'put' ? 'address-add' : 'address-delete',
        device: item.device,
        address: item.address,
        prefixLength: 32,
      };
    case 'route':
      return {
        op: op === 'put' ? 'route-replace' : 'route-delete',
        table: item.table,
        destination: item.prefix satisfies Prefix,
        metric: item.metric,
        ...(item.device === null ? { type: 'unreachable' } : { device: item.device }),
        ...(item.via === null ? {} : { gateway: item.via }),
        ...(item.source === null ? {} : { source: item.source }),
      };
    case 'fdb':
    case 'neighbour':
      return entryOperation(op, item);
    case 'rule':
      return {
        op: op === 'put' ? 'rule-add' : 'rule-delete',
        family: item.family,
        priority: item.priority,
        table: item.table,
        ...(item.source === null ? {} : { source: `${item.source}/32` }),
        ...(item.tos === 0 ? {} : { tos: item.tos }),
        ...(item.fwmark === 0 ? {} : { fwmark: item.fwmark }),
        ...(item.icmp ? { ipProtocol: IPPROTO_ICMP } : {}),
      };
    case 'firewall':
    case 'outside-port':
    case 'overlay':
      throw new TypeError(`the ${item.kind} is no single netlink operation`);
  }
}
