/**
 * Which local port the direct plane uses towards whom, where that is not the tunnel's: a map and a set of the corax table
 * (firewall.ts has the rules that look there). What stands is read back when an agent starts: tunnels outlive it.
 */
import { isIpv4, parseIp } from '../model/address.js';
import type { OutsidePortItem } from '../model/item.js';
import { isPort } from '../model/names.js';

/** ip of the remote . its port → local port; and the same three for what comes in. */
export const OUTSIDE_MAP = 'outside';
export const INSIDE_SET = 'inside';

type Json = Readonly<Record<string, unknown>>;

/** Elements of the map and of the set; both change in one transaction. */
export function outsideElements(items: Iterable<OutsidePortItem>): { outside: Json[]; inside: Json[] } {
  const outside: Json[] = [];
  const inside: Json[] = [];
  for (const { remote, localPort } of items) {
    const place = [remote.ip, remote.port];
    outside.push([{ concat: place }, localPort] as unknown as Json);
    inside.push({ concat: [...place, localPort] });
  }
  return { outside, inside };
}

export function outsidePortChange(op: 'add' | 'delete', table: Json, items: readonly OutsidePortItem[]): Json[] {
  const { outside, inside } = outsideElements(items);
  // A map's elements are deleted by their keys alone, too, but nft(8) before 1.0.6 wants the data as well.
  return [
    { [op]: { element: { ...table, name: OUTSIDE_MAP, elem: outside } } },
    { [op]: { element: { ...table, name: INSIDE_SET, elem: inside } } },
  ];
}

/** What stands, from the answer to a question for the map; what is none of ours is passed over. */
export function outsidePortsIn(answer: string): OutsidePortItem[] {
  const { nftables } = JSON.parse(answer) as { nftables?: unknown };
  if (!Array.isArray(nftables)) return [];
  return nftables.flatMap((object: { map?: { name?: unknown; elem?: unknown } } | null) => {
    const map = object?.map;
    if (map?.name !== OUTSIDE_MAP || !Array.isArray(map.elem)) return [];
    return map.elem.flatMap(itemIn);
  });
}

function itemIn(element: unknown): OutsidePortItem[] {
  if (!Array.isArray(element)) return [];
  const [key, localPort] = element as [{ concat?: unknown } | null, unknown];
  const place: unknown = key?.concat;
  if (!Array.isArray(place) || place.length !== 2 || typeof place[0] !== 'string') return [];
  const ip = parseIp(place[0]);
  if (ip === null || !isIpv4(ip) || !isPort(place[1]) || !isPort(localPort)) return [];
  return [{ kind: 'outside-port', remote: { ip, port: place[1] }, localPort }];
}
