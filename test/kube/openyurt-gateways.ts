/** Gateways as OpenYurt has them: every field at least once, written from its documentation. */

interface Fixture {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: as a person or yurt-manager writes it
  readonly object: any;
  /** What the agent reads; null: refused. */
  readonly read: object | null;
}

const KEY = Buffer.alloc(32, 7).toString('base64');
const gateway = (name: string, spec: object | undefined, status?: object) => ({
  apiVersion: 'raven.openyurt.io/v1beta1',
  kind: 'Gateway',
  metadata: { name },
  ...(spec === undefined ? {} : { spec }),
  ...(status === undefined ? {} : { status }),
});

const EDGE = {
  nodeName: 'edge-a',
  type: 'tunnel',
  port: 4500,
  underNAT: true,
  natType: 'Full cone NAT',
  publicIP: '203.0.113.10',
  publicPort: 4501,
  config: { publicKey: KEY, probeAddress: '10.244.1.1', corax: '0.1.0', 'someone-else': 'kept' },
};

export const OPENYURT_GATEWAYS: readonly Fixture[] = [
  {
    name: 'every field',
    object: gateway(
      'gw-every-field',
      {
        exposeType: 'PublicIP',
        nodeSelector: {
          matchLabels: { 'raven.openyurt.io/gateway': 'gw-every-field' },
          matchExpressions: [
            { key: 'region', operator: 'In', values: ['north', 'south'] },
            { key: 'retired', operator: 'DoesNotExist' },
          ],
        },
        proxyConfig: { Replicas: 1, proxyHTTPPort: '10255,9445', proxyHTTPSPort: '10250,9100' },
        tunnelConfig: { Replicas: 1 },
        endpoints: [
          { nodeName: 'edge-a', type: 'proxy', port: 10263, underNAT: true, publicIP: '203.0.113.10' },
          EDGE,
          { nodeName: 'edge-b', type: 'tunnel' },
        ],
      },
      {
        nodes: [
          { nodeName: 'edge-a', privateIP: '192.168.1.2', subnets: ['10.244.1.0/24', 'fd00:10:244:1::/64'] },
          { nodeName: 'edge-b', privateIP: '192.168.1.3', subnets: [] },
        ],
        activeEndpoints: [
          { nodeName: 'edge-a', type: 'proxy', port: 10263, underNAT: true, publicIP: '203.0.113.10' },
          EDGE,
        ],
      },
    ),
    read: {
      active: ['edge-a'],
      subnets: ['10.244.1.0/24', 'fd00:10:244:1::/64'],
      endpoints: [
        {
          nodeName: 'edge-a',
          underNat: true,
          natType: 'Full cone NAT',
          hole: { ip: '203.0.113.10', port: 4501 },
        },
        { nodeName: 'edge-b', underNat: false, natType: null, hole: null },
      ],
    },
  },
  {
    name: 'the cloud end, behind a load balancer',
    object: gateway(
      'gw-cloud',
      {
        exposeType: 'LoadBalancer',
        nodeSelector: { matchLabels: { 'raven.openyurt.io/gateway': 'gw-cloud' } },
        proxyConfig: { Replicas: 0 },
        tunnelConfig: { Replicas: 2 },
        endpoints: [
          { nodeName: 'cloud-1', type: 'tunnel', natType: 'Undefined', publicIP: '203.0.113.1', publicPort: 4500 },
          { nodeName: 'cloud-2', type: 'tunnel', underNAT: false, publicIP: '203.0.113.2', publicPort: 4500 },
        ],
      },
      {
        nodes: [{ nodeName: 'cloud-1', privateIP: '10.0.0.1', subnets: ['10.244.0.0/25', '10.244.0.128/25'] }],
        activeEndpoints: [
          { nodeName: 'cloud-2', type: 'tunnel', publicIP: '203.0.113.2', publicPort: 4500 },
          { nodeName: 'cloud-1', type: 'tunnel', publicIP: '203.0.113.1', publicPort: 4500 },
        ],
      },
    ),
    read: {
      active: ['cloud-2', 'cloud-1'],
      subnets: ['10.244.0.0/24'],
      endpoints: [
        {
          nodeName: 'cloud-1',
          underNat: false,
          natType: 'Undefined',
          hole: { ip: '203.0.113.1', port: 4500 },
        },
        { nodeName: 'cloud-2', underNat: false, natType: null, hole: { ip: '203.0.113.2', port: 4500 } },
      ],
    },
  },
  {
    name: 'a proxy only, and nobody active',
    object: gateway(
      'gw-proxy',
      {
        proxyConfig: { Replicas: 1 },
        tunnelConfig: { Replicas: 0 },
        endpoints: [{ nodeName: 'edge-p', type: 'proxy', config: {} }],
      },
      { nodes: [{ nodeName: 'edge-p', privateIP: '192.168.7.2', subnets: ['10.244.7.0/24'] }], activeEndpoints: [] },
    ),
    read: { active: [], subnets: ['10.244.7.0/24'], endpoints: [] },
  },
  { name: 'nothing but a name', object: gateway('gw-bare', undefined), read: null },
  { name: 'empty maps', object: gateway('gw-empty', { nodeSelector: {}, endpoints: [] }), read: null },
];
