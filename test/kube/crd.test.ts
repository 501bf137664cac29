/** The CRD in a real API server: what is valid under OpenYurt's is valid under ours, and comes back as it went in. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseGateway } from '#src/model/gateway.js';
import { type ApiServer, GATEWAYS, startGatewayApi } from './api-server.js';
import { OPENYURT_GATEWAYS } from './openyurt-gateways.js';

const [whole] = OPENYURT_GATEWAYS;

describe('the CRD, in a real API server', () => {
  let api: ApiServer;

  before(async () => {
    api = await startGatewayApi();
  });

  after(() => api?.stop());

  for (const { name, object, read } of OPENYURT_GATEWAYS) {
    test(`valid under OpenYurt's: ${name}`, async () => {
      const { status, ...rest } = object;
      const options = '?fieldValidation=Strict';
      const created = await api.must('POST', `${GATEWAYS}${options}`, { body: rest });
      assert.equal(created.status, undefined, 'a status is not created with the object');
      if (status !== undefined) {
        const body = { ...created, status };
        await api.must('PUT', `${GATEWAYS}/${object.metadata.name}/status${options}`, { body });
      }
      const served = await api.must('GET', `${GATEWAYS}/${object.metadata.name}`);
      assert.deepEqual(served.spec, object.spec, 'spec comes back as it went in');
      assert.deepEqual(served.status, status, 'status comes back as it went in');

      const parsed = parseGateway(served);
      if (read === null) {
        assert.equal(parsed.ok, false);
        return;
      }
      assert.ok(parsed.ok, parsed.ok ? '' : parsed.reason);
      const { gateway } = parsed;
      assert.deepEqual(
        {
          active: gateway.activeNodes,
          subnets: gateway.subnets,
          endpoints: gateway.endpoints.map(({ nodeName, underNat, natType, hole }) => ({
            nodeName,
            underNat,
            natType,
            hole,
          })),
        },
        read,
      );
    });
  }

  /** Each is refused by the structure, as by OpenYurt's. */
  const invalid: [what: string, spec: unknown][] = [
    ['an endpoint without a node', { endpoints: [{ type: 'tunnel' }] }],
    ['an endpoint without a type', { endpoints: [{ nodeName: 'edge-a' }] }],
    ['publicPort as text (the proposal)', { endpoints: [{ nodeName: 'a', type: 'tunnel', publicPort: '4500' }] }],
    ['port as a fraction', { endpoints: [{ nodeName: 'a', type: 'tunnel', port: 4500.5 }] }],
    ['underNAT as text', { endpoints: [{ nodeName: 'a', type: 'tunnel', underNAT: 'true' }] }],
    ['a config value that is a number', { endpoints: [{ nodeName: 'a', type: 'tunnel', config: { publicKey: 1 } }] }],
    ['endpoints as a map', { endpoints: { nodeName: 'a', type: 'tunnel' } }],
    ['tunnelConfig without Replicas', { tunnelConfig: {} }],
    ['Replicas as text', { proxyConfig: { Replicas: '1' } }],
    ['a selector without an operator', { nodeSelector: { matchExpressions: [{ key: 'a' }] } }],
    ['a port list as numbers', { proxyConfig: { Replicas: 1, proxyHTTPPort: 10255 } }],
  ];
  for (const [what, spec] of invalid) {
    test(`refused: ${what}`, async () => {
      const body = { ...whole?.object, metadata: { name: 'refused' }, status: undefined, spec };
      const { status, body: answer } = await api.request('POST', `${GATEWAYS}?dryRun=All`, { body });
      assert.equal(status, 422, JSON.stringify(answer));
      assert.match(answer.message, /spec\./);
    });
  }

  test("as wide as OpenYurt's: values that only the agent refuses", async () => {
    const body = {
      ...whole?.object,
      metadata: { name: 'wide' },
      status: undefined,
      spec: {
        exposeType: 'Nobody knows',
        tunnelConfig: { Replicas: -1 },
        endpoints: [
          { nodeName: 'NOT A NAME', type: 'other', port: 70_000, publicPort: -5, publicIP: 'x', natType: 'y' },
          { nodeName: 'a', type: 'tunnel', config: { anything: 'goes' } },
        ],
      },
    };
    await api.must('POST', `${GATEWAYS}?dryRun=All&fieldValidation=Strict`, { body });
  });

  test('what a file may leave empty is nothing to the API', async () => {
    const body = {
      ...whole?.object,
      metadata: { name: 'empty' },
      status: undefined,
      spec: { nodeSelector: null, endpoints: [{ nodeName: 'a', type: 'tunnel', natType: null, config: null }] },
    };
    const { spec } = await api.must('POST', `${GATEWAYS}?dryRun=All`, { body });
    assert.deepEqual(spec, { endpoints: [{ nodeName: 'a', type: 'tunnel' }] });
  });

  test('kubectl get gw: NAT type, hole, active node, age', async () => {
    const accept = 'application/json;as=Table;g=meta.k8s.io;v=v1';
    const table = await api.must('GET', GATEWAYS, { headers: { accept } });
    const names: string[] = table.columnDefinitions.map(({ name }: { name: string }) => name);
    assert.deepEqual(names, ['Name', 'NAT', 'Hole', 'Port', 'Active', 'Age']);
    const rows: unknown[][] = table.rows.map(({ cells }: { cells: unknown[] }) => cells);
    const row = rows.find(([name]) => name === 'gw-every-field') ?? [];
    assert.deepEqual(row.slice(0, 5), ['gw-every-field', 'Full cone NAT', '203.0.113.10', 4501, 'edge-a']);
    assert.match(String(row[5]), /^\d+s$/);
    const bare = rows.find(([name]) => name === 'gw-bare') ?? [];
    assert.deepEqual(bare.slice(0, 5), ['gw-bare', null, null, null, null]);
  });

  test('short name, scope and status subresource', async () => {
    const { resources } = await api.must('GET', '/apis/raven.openyurt.io/v1beta1');
    const found = resources.map(
      ({ name, shortNames, namespaced, kind }: Record<string, unknown>) =>
        `${name} ${shortNames ?? ''} ${namespaced} ${kind}`,
    );
    assert.deepEqual(found, ['gateways gw false Gateway', 'gateways/status  false Gateway']);
  });
});
