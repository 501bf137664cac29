/** What the controller reads of a Gateway: whom it selects, who may hold its tunnel, and the status it has. */
import { isDnsName } from '../model/gateway.js';
import { formatPath, printable, quote } from '../model/quote.js';
import { type EndpointObject, gatewaySchema, type StatusObject } from '../model/resource.js';
import { parseSelector, type Selector } from './selector.js';

/** A node with this label belongs to the gateway that it names, as in OpenYurt; it counts before selectors. */
export const GATEWAY_LABEL = 'raven.openyurt.io/gateway';

export interface SiteSpec {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Unix milliseconds. */
  readonly created: number;
  /** Beside the label; null: the label alone. */
  readonly selector: Selector | null;
  /** How many tunnel endpoints may be active. */
  readonly replicas: number;
  /** Of type tunnel, in the order of spec, the first of each node. */
  readonly endpoints: readonly EndpointObject[];
  /** As served; null where there is none. */
  readonly status: StatusObject | null;
}

/** A string: why the gateway is left alone. */
export function parseSite(object: unknown): SiteSpec | string {
  const parsed = gatewaySchema.safeParse(object);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return printable(`${formatPath(issue?.path ?? [])}: ${issue?.message ?? 'unreadable'}`);
  }
  const { metadata, spec, status } = parsed.data;
  if (!isDnsName(metadata.name)) return `metadata.name ${quote(metadata.name)}: is not a DNS-1123 subdomain`;
  const selector = parseSelector(spec?.nodeSelector);
  if (typeof selector === 'string') return `spec.nodeSelector: ${selector}`;
  const endpoints = new Map<string, EndpointObject>();
  for (const endpoint of spec?.endpoints ?? []) {
    if (endpoint.type === 'tunnel' && !endpoints.has(endpoint.nodeName)) endpoints.set(endpoint.nodeName, endpoint);
  }
  return {
    name: metadata.name,
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    created: Date.parse(metadata.creationTimestamp ?? '') || 0,
    selector,
    replicas: Math.max(0, spec?.tunnelConfig?.Replicas ?? 1),
    endpoints: [...endpoints.values()],
    status: status ?? null,
  };
}
