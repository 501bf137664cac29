/**
 * The Gateway (`raven.openyurt.io/v1beta1`) as it is served: names, types and what must be there, as wide as
 * OpenYurt has it. The one source of the types, of what the parser (gateway.ts) and the controller start
 * from, and of the CRD (crd.ts); what a value may be is the parser's to say.
 */
import * as z from 'zod';

export const GATEWAY_GROUP = 'raven.openyurt.io';
export const GATEWAY_VERSION = 'v1beta1';
export const GATEWAY_API_VERSION = `${GATEWAY_GROUP}/${GATEWAY_VERSION}` as const;
export const GATEWAY_KIND = 'Gateway';
export const GATEWAY_PLURAL = 'gateways';

// Go leaves out what is empty, YAML writes null where nothing follows a colon.
const string = z.string('must be text');
const text = (description: string) => string.describe(description);
const integer = (description: string) => z.int('must be an integer').describe(description);
const flag = (description: string) => z.boolean('must be true or false').describe(description);
const texts = (description: string) =>
  z.record(z.string(), string.nullish(), 'must be a map of texts').describe(description);
const list = <T extends z.ZodType>(of: T, description: string, meta: object = {}) =>
  z.array(of, 'must be a list').meta({ description, ...meta });
/** Fields that are not named are let through. */
const map = <T extends z.ZodRawShape>(shape: T, description: string, meta: object = {}) =>
  z.looseObject(shape, 'must be a map').meta({ description, ...meta });

/** Of a list or map that is one value: server-side apply replaces it in whole. */
const ATOMIC_LIST = { 'x-kubernetes-list-type': 'atomic' };
const ATOMIC_MAP = { 'x-kubernetes-map-type': 'atomic' };
/** Must be there where it is served; a person who writes a file may leave it out. */
export const REQUIRED = 'x-corax-required';

export const endpointSchema = map(
  {
    nodeName: text('Node that holds the endpoint.'),
    type: text('tunnel (layer 3) or proxy (layer 7).'),
    port: integer('Port that the node exposes.').nullish(),
    underNAT: flag('Whether the node is behind a NAT.').nullish(),
    natType: text(
      'Full cone NAT, Restricted cone NAT, Port Restricted cone NAT, Symmetric NAT or Undefined. Written by the agent.',
    ).nullish(),
    publicIP: text('Where others reach the node: of a node under NAT, the address of its hole.').nullish(),
    publicPort: integer('Port beside publicIP: of a node under NAT, the port of its hole.').nullish(),
    config: texts(
      "What the node's agent has to say: publicKey, probeAddress, corax, coraxPublicIP, coraxIPv6, coraxPortMapping.",
    ).nullish(),
  },
  'A node that can hold the tunnel, or the proxy, of its gateway.',
);

const requirementSchema = map(
  {
    key: text('Label that the requirement is about.'),
    operator: text('In, NotIn, Exists or DoesNotExist.'),
    values: list(string, 'One of them, or none: for In and NotIn only.', ATOMIC_LIST).nullish(),
  },
  'One requirement on a label.',
);

export const selectorSchema = map(
  {
    matchLabels: texts('Labels that a node must have, with these values.').nullish(),
    matchExpressions: list(requirementSchema, 'Requirements that must all be met.', ATOMIC_LIST).nullish(),
  },
  'Nodes of the gateway; they share a layer-3 network.',
  ATOMIC_MAP,
);

const replicas = (what: string) => integer(`How many endpoints may be active for the ${what}.`);

export const specSchema = map(
  {
    nodeSelector: selectorSchema.nullish(),
    exposeType: text('How the gateway is reached: PublicIP or LoadBalancer.').nullish(),
    tunnelConfig: map({ Replicas: replicas('tunnel') }, 'The layer-3 tunnel.').nullish(),
    proxyConfig: map(
      {
        Replicas: replicas('proxy'),
        proxyHTTPPort: text('Ports of HTTP requests that the proxy takes.').nullish(),
        proxyHTTPSPort: text('Ports of HTTPS requests that the proxy takes.').nullish(),
      },
      'The layer-7 proxy.',
    ).nullish(),
    endpoints: list(endpointSchema, 'Nodes that can hold the tunnel or the proxy.').nullish(),
  },
  'What the gateway should be.',
);

export const siteNodeSchema = map(
  {
    nodeName: text('Name of the node.'),
    privateIP: text('InternalIP of the node.'),
    subnets: list(string, "Prefixes of the node's pods, in CIDR notation.", { [REQUIRED]: true }).nullish(),
  },
  'A node of the gateway.',
);

export const statusSchema = map(
  {
    nodes: list(siteNodeSchema, 'The nodes of the gateway.').nullish(),
    activeEndpoints: list(endpointSchema, 'The endpoints that hold the tunnel or the proxy now.').nullish(),
  },
  'What the gateway is. Written by yurt-manager, or by corax controller where there is none.',
);

export const gatewaySchema = map(
  {
    apiVersion: z.literal(GATEWAY_API_VERSION, `must be ${GATEWAY_API_VERSION}`).nullish(),
    kind: z.literal(GATEWAY_KIND, `must be ${GATEWAY_KIND}`).nullish(),
    metadata: z.looseObject(
      {
        name: string,
        uid: string.nullish(),
        creationTimestamp: string.nullish(),
        resourceVersion: string.nullish(),
        labels: z.record(z.string(), string.nullish(), 'must be a map of texts').nullish(),
      },
      'must be a map',
    ),
    spec: specSchema.nullish(),
    status: statusSchema.nullish(),
  },
  'A site: its nodes, their pod subnets, and the nodes that can hold its tunnels.',
);

export type GatewayObject = z.infer<typeof gatewaySchema>;
export type EndpointObject = z.infer<typeof endpointSchema>;
export type SelectorObject = z.infer<typeof selectorSchema>;
export type SiteNodeObject = z.infer<typeof siteNodeSchema>;
export type StatusObject = z.infer<typeof statusSchema>;
