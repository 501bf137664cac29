import type { SeenNode } from '#src/controller/node.js';
import type { SiteSpec } from '#src/controller/site.js';
import { type Ip, parseIp, parsePrefix } from '#src/model/address.js';
import type { EndpointObject, StatusObject } from '#src/model/resource.js';

/** Of the name "n<number>": 192.168.0.<number>, 10.244.<number>.0/24. */
export function node(name: string, more: Partial<SeenNode> = {}): SeenNode {
  const number = Number(/\d+/.exec(name)?.[0] ?? 0);
  return {
    name,
    labels: {},
    privateIp: parseIp(`192.168.0.${number}`) as Ip,
    subnets: [parsePrefix(`10.244.${number}.0/24`)].filter((prefix) => prefix !== null),
    ready: true,
    ...more,
  };
}

export function tunnel(nodeName: string, more: Partial<EndpointObject> = {}): EndpointObject {
  return { nodeName, type: 'tunnel', ...more };
}

export function site(endpoints: readonly EndpointObject[], more: Partial<SiteSpec> = {}): SiteSpec {
  return {
    name: 'gw',
    uid: 'uid-gw',
    resourceVersion: '1',
    created: 0,
    selector: null,
    replicas: 1,
    endpoints,
    status: null,
    ...more,
  };
}

export function held(...names: string[]): StatusObject {
  return { nodes: [], activeEndpoints: names.map((name) => tunnel(name)) };
}
