/**
 * Who may write what into a Gateway (docs/security.md), as a real API server decides with the manifests of
 * deploy/. Every write is a dry run of the request that an agent, or a thief of its token, would make.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  type ApiServer,
  apply,
  ensure,
  GATEWAYS,
  makeToken,
  readManifests,
  startGatewayApi,
  until,
} from './api-server.js';

const KEY = Buffer.alloc(32, 7).toString('base64');
const EDGE = { namespace: 'corax', name: 'corax-edge' };
const RELAY = { namespace: 'corax', name: 'corax-relay' };
const CONTROLLER = { namespace: 'corax', name: 'corax-controller' };

/** Two tunnel endpoints and a proxy in one gateway; index 0 is edge-a's own. */
const GW = {
  apiVersion: 'raven.openyurt.io/v1beta1',
  kind: 'Gateway',
  metadata: { name: 'gw', labels: { site: 'north' }, annotations: { note: 'mine' } },
  spec: {
    exposeType: '',
    nodeSelector: { matchLabels: { site: 'north' } },
    tunnelConfig: { Replicas: 1 },
    endpoints: [
      {
        nodeName: 'edge-a',
        type: 'tunnel',
        port: 4500,
        underNAT: true,
        publicIP: '203.0.113.10',
        publicPort: 4500,
        config: { publicKey: KEY, theirs: 'kept' },
      },
      { nodeName: 'edge-b', type: 'tunnel', underNAT: true, natType: 'written by hand', config: { publicKey: KEY } },
      { nodeName: 'edge-a', type: 'proxy', underNAT: true, publicIP: '203.0.113.10' },
      { nodeName: 'relay', type: 'tunnel', underNAT: false, publicIP: '203.0.113.1', publicPort: 4500 },
    ],
  },
};
/** One node and type twice. */
const TWINS = {
  ...GW,
  metadata: { name: 'twins' },
  spec: {
    endpoints: [
      { nodeName: 'edge-a', type: 'tunnel', underNAT: true, publicIP: '203.0.113.10' },
      { nodeName: 'edge-a', type: 'tunnel', underNAT: true, publicIP: '203.0.113.11' },
    ],
  },
};

type Operation = { op: string; path: string; value?: unknown; from?: string };
const set = (path: string, value: unknown): Operation => ({ op: 'add', path, value });
const own = (field: string, value: unknown) => [set(`/spec/endpoints/0/${field}`, value)];
const others = (field: string, value: unknown) => [set(`/spec/endpoints/1/${field}`, value)];
const relays = (field: string, value: unknown) => [set(`/spec/endpoints/3/${field}`, value)];

/** 'yes', or words of the denial. */
type Verdict = 'yes' | RegExp;
const OWN_ONLY = /an edge changes its own tunnel endpoint only/;
const RELAY_ONLY = /a relay changes its own tunnel endpoint, and holes of those under NAT/;
const FIELDS = /agents change natType, publicIP, publicPort and config of their own endpoint/;
const VALUES = /natType has to be one of raven's/;
const SPEC = /of spec agents change endpoints only/;
const ORDER = /agents add, remove, rename and reorder no endpoints/;
const META = /agents change no labels, annotations, finalizers or owners/;
const CONFIG = /of config agents change publicKey, probeAddress, corax, coraxPublicIP, coraxIPv6 and coraxPortMapping/;
const TWICE = /two endpoints have the same node and type/;
const RBAC = /cannot (?:patch|create|delete|update|deletecollection) resource/;

interface Case {
  readonly what: string;
  readonly patch: readonly Operation[];
  /** With the token of the edge on edge-a, and of the relay on the node called relay. */
  readonly edge: Verdict;
  readonly relay: Verdict;
}

const CASES: readonly Case[] = [
  // the own endpoint (edge-a's; to the relay it is another's, under NAT)
  { what: "edge-a's natType", patch: own('natType', 'Symmetric NAT'), edge: 'yes', relay: FIELDS },
  {
    what: "edge-a's hole",
    patch: [...own('publicIP', '198.51.100.7'), ...own('publicPort', 7)],
    edge: 'yes',
    relay: 'yes',
  },
  { what: "edge-a's hole, IPv6", patch: own('publicIP', '2001:db8::7'), edge: 'yes', relay: 'yes' },
  {
    what: "edge-a's publicPort taken away",
    patch: [{ op: 'remove', path: '/spec/endpoints/0/publicPort' }],
    edge: 'yes',
    relay: 'yes',
  },
  { what: "edge-a's public key", patch: own('config/publicKey', 'other'), edge: 'yes', relay: FIELDS },
  { what: "edge-a's probe address", patch: own('config/probeAddress', '10.244.1.1'), edge: 'yes', relay: FIELDS },
  { what: "edge-a's version", patch: own('config/corax', '0.2.0'), edge: 'yes', relay: FIELDS },
  {
    what: 'the address that edge-a found for itself',
    patch: own('config/coraxPublicIP', '203.0.113.9'),
    edge: 'yes',
    relay: FIELDS,
  },
  {
    what: 'where edge-a is reached by IPv6',
    patch: own('config/coraxIPv6', '[2001:db8::7]:4501'),
    edge: 'yes',
    relay: FIELDS,
  },
  {
    what: "edge-a's config, whole, what is not its own as it was",
    patch: own('config', { theirs: 'kept', corax: '1' }),
    edge: 'yes',
    relay: FIELDS,
  },
  { what: "edge-a's config, another key", patch: own('config/theirs', 'changed'), edge: CONFIG, relay: FIELDS },
  { what: "edge-a's config, a new key", patch: own('config/more', 'x'), edge: CONFIG, relay: FIELDS },
  {
    what: "edge-a's config, another key taken away",
    patch: [{ op: 'remove', path: '/spec/endpoints/0/config/theirs' }],
    edge: CONFIG,
    relay: FIELDS,
  },
  { what: "edge-a's config, a long value", patch: own('config/corax', 'x'.repeat(257)), edge: CONFIG, relay: FIELDS },
  { what: "edge-a's underNAT", patch: own('underNAT', false), edge: FIELDS, relay: RELAY_ONLY },
  {
    what: "edge-a's underNAT taken away",
    patch: [{ op: 'remove', path: '/spec/endpoints/0/underNAT' }],
    edge: FIELDS,
    relay: RELAY_ONLY,
  },
  { what: "edge-a's port", patch: own('port', 4501), edge: FIELDS, relay: FIELDS },
  { what: "edge-a's natType, no type", patch: own('natType', 'Open'), edge: VALUES, relay: FIELDS },
  { what: "edge-a's publicIP, no address", patch: own('publicIP', 'evil.example.org'), edge: VALUES, relay: VALUES },
  { what: "edge-a's publicPort, no port", patch: own('publicPort', 65_536), edge: VALUES, relay: VALUES },
  { what: "edge-a's publicPort, negative", patch: own('publicPort', -1), edge: VALUES, relay: VALUES },
  // another's
  {
    what: "edge-b's hole",
    patch: [...others('publicIP', '198.51.100.8'), ...others('publicPort', 8)],
    edge: OWN_ONLY,
    relay: 'yes',
  },
  { what: "edge-b's natType", patch: others('natType', 'Symmetric NAT'), edge: OWN_ONLY, relay: FIELDS },
  { what: "edge-b's public key", patch: others('config/publicKey', KEY.toLowerCase()), edge: OWN_ONLY, relay: FIELDS },
  {
    what: "edge-b's hole and underNAT",
    patch: [...others('publicIP', '198.51.100.8'), ...others('underNAT', false)],
    edge: OWN_ONLY,
    relay: RELAY_ONLY,
  },
  {
    what: 'both holes at once',
    patch: [...own('publicPort', 7), ...others('publicPort', 8)],
    edge: OWN_ONLY,
    relay: 'yes',
  },
  {
    what: "edge-a's proxy",
    patch: [set('/spec/endpoints/2/publicIP', '198.51.100.9')],
    edge: OWN_ONLY,
    relay: RELAY_ONLY,
  },
  // the relay's
  { what: "the relay's address", patch: relays('publicIP', '198.51.100.1'), edge: OWN_ONLY, relay: 'yes' },
  { what: "the relay's natType", patch: relays('natType', 'Undefined'), edge: OWN_ONLY, relay: 'yes' },
  { what: "the relay's config", patch: relays('config', { publicKey: KEY }), edge: OWN_ONLY, relay: 'yes' },
  { what: "the relay's underNAT", patch: relays('underNAT', true), edge: OWN_ONLY, relay: FIELDS },
  // the list
  { what: 'rename the own endpoint', patch: own('nodeName', 'edge-z'), edge: ORDER, relay: ORDER },
  { what: "take another node's name", patch: own('nodeName', 'edge-b'), edge: ORDER, relay: ORDER },
  { what: 'make the tunnel a proxy', patch: own('type', 'proxy'), edge: ORDER, relay: ORDER },
  {
    what: 'add an endpoint',
    patch: [set('/spec/endpoints/-', { nodeName: 'edge-a', type: 'other' })],
    edge: ORDER,
    relay: ORDER,
  },
  { what: 'remove the own endpoint', patch: [{ op: 'remove', path: '/spec/endpoints/0' }], edge: ORDER, relay: ORDER },
  {
    what: "remove another's endpoint",
    patch: [{ op: 'remove', path: '/spec/endpoints/1' }],
    edge: ORDER,
    relay: ORDER,
  },
  {
    what: 'reorder',
    patch: [{ op: 'move', from: '/spec/endpoints/0', path: '/spec/endpoints/1' }],
    edge: ORDER,
    relay: ORDER,
  },
  { what: 'all endpoints', patch: [{ op: 'remove', path: '/spec/endpoints' }], edge: ORDER, relay: ORDER },
  { what: 'spec', patch: [{ op: 'remove', path: '/spec' }], edge: SPEC, relay: SPEC },
  // the rest
  { what: 'nodeSelector', patch: [set('/spec/nodeSelector/matchLabels/site', 'south')], edge: SPEC, relay: SPEC },
  { what: 'nodeSelector taken away', patch: [{ op: 'remove', path: '/spec/nodeSelector' }], edge: SPEC, relay: SPEC },
  { what: 'exposeType', patch: [set('/spec/exposeType', 'PublicIP')], edge: SPEC, relay: SPEC },
  { what: 'tunnelConfig', patch: [set('/spec/tunnelConfig/Replicas', 0)], edge: SPEC, relay: SPEC },
  { what: 'proxyConfig added', patch: [set('/spec/proxyConfig', { Replicas: 1 })], edge: SPEC, relay: SPEC },
  { what: 'a label', patch: [set('/metadata/labels/site', 'south')], edge: META, relay: META },
  { what: 'a new label', patch: [set('/metadata/labels/new', 'x')], edge: META, relay: META },
  { what: 'all labels', patch: [{ op: 'remove', path: '/metadata/labels' }], edge: META, relay: META },
  { what: 'an annotation', patch: [set('/metadata/annotations/note', 'x')], edge: META, relay: META },
  { what: 'a finalizer', patch: [set('/metadata/finalizers', ['corax.example/x'])], edge: META, relay: META },
  {
    what: 'an owner',
    patch: [set('/metadata/ownerReferences', [{ apiVersion: 'v1', kind: 'Node', name: 'edge-a', uid: '1' }])],
    edge: META,
    relay: META,
  },
  {
    what: 'a good field and a label',
    patch: [...own('publicPort', 7), set('/metadata/labels/new', 'x')],
    edge: META,
    relay: META,
  },
  { what: 'nothing', patch: own('publicPort', 4500), edge: 'yes', relay: 'yes' },
];

const JSON_PATCH = 'application/json-patch+json';

describe('who may write what into a Gateway', () => {
  let api: ApiServer;
  const tokens: Record<string, string> = {};

  async function patch(token: string, operations: readonly Operation[], name = 'gw', sub = '') {
    const path = `${GATEWAYS}/${name}${sub}?dryRun=All`;
    return api.request('PATCH', path, { token, type: JSON_PATCH, body: operations });
  }

  function judge(verdict: Verdict, { status, body }: { status: number; body: { message?: string; kind?: string } }) {
    if (verdict === 'yes') {
      assert.equal(status, 200, body.message);
      return;
    }
    assert.ok(status === 403 || (status === 422 && verdict === VALUES), `${status} ${body.message ?? body.kind}`);
    assert.match(body.message ?? '', verdict);
  }

  before(async () => {
    api = await startGatewayApi();
    await ensure(api, '/api/v1/namespaces', { metadata: { name: 'corax' } });
    for (const file of ['base/rbac', 'base/policy', 'controller/rbac']) {
      for (const manifest of readManifests(`deploy/${file}.yaml`)) await apply(api, manifest);
    }
    for (const body of [GW, TWINS]) await api.must('POST', GATEWAYS, { body });
    tokens.edge = await makeToken(api, EDGE, { pod: 'edge', onNode: 'edge-a' });
    tokens.relay = await makeToken(api, RELAY, { pod: 'relay', onNode: 'relay' });
    tokens.controller = await makeToken(api, CONTROLLER, { pod: 'controller', onNode: 'edge-a' });
    tokens.unboundEdge = await makeToken(api, EDGE);
    tokens.unboundRelay = await makeToken(api, RELAY);
    tokens.nodeBoundEdge = await makeToken(api, EDGE, { node: 'edge-b' });
    // A policy takes a moment to bite, and each of the two its own
    await until('the policies bite', async () => {
      const { body } = await patch(tokens.edge ?? '', [set('/metadata/labels/new', 'x')]);
      const status = await patchAsAdminBoundTo('corax-edge', [set('/status', { nodes: [] })], '/status');
      return META.test(body.message ?? '') && status.status === 403;
    });
  });

  after(() => api?.stop());

  /** As if RBAC granted the agent everything: what is refused then is refused by the policy. */
  function patchAsAdminBoundTo(account: string, body: unknown, sub = '', method = 'PATCH') {
    const headers = {
      'Impersonate-User': `system:serviceaccount:corax:${account}`,
      'Impersonate-Group': 'system:masters',
      'Impersonate-Extra-authentication.kubernetes.io%2fnode-name': 'edge-a',
    };
    const path = `${GATEWAYS}/gw${sub}?dryRun=All`;
    return api.request(method, path, { headers, type: method === 'PATCH' ? JSON_PATCH : 'application/json', body });
  }

  describe("an edge's token", () => {
    for (const { what, patch: operations, edge } of CASES) {
      test(`${edge === 'yes' ? 'may' : 'may not'}: ${what}`, async () =>
        judge(edge, await patch(tokens.edge ?? '', operations)));
    }
  });

  describe("a relay's token", () => {
    for (const { what, patch: operations, relay } of CASES) {
      test(`${relay === 'yes' ? 'may' : 'may not'}: ${what}`, async () =>
        judge(relay, await patch(tokens.relay ?? '', operations)));
    }
  });

  describe('a token that is not bound to a node', () => {
    const UNBOUND = /this token does not say on which node it is used/;
    test("an edge's may write nothing", async () =>
      judge(UNBOUND, await patch(tokens.unboundEdge ?? '', own('publicPort', 7))));
    test("a relay's may write nothing", async () =>
      judge(UNBOUND, await patch(tokens.unboundRelay ?? '', own('publicPort', 7))));
  });

  describe('a token that is bound to a node, without a pod', () => {
    test("may write the node's endpoint", async () =>
      judge('yes', await patch(tokens.nodeBoundEdge ?? '', others('publicPort', 7))));
    test('may write no other', async () =>
      judge(OWN_ONLY, await patch(tokens.nodeBoundEdge ?? '', own('publicPort', 7))));
  });

  describe('an endpoint that is there twice', () => {
    for (const name of ['edge', 'relay']) {
      test(`${name}: may not be written`, async () =>
        judge(TWICE, await patch(tokens[name] ?? '', own('publicPort', 7), 'twins')));
      test(`${name}: may not be made the same as its twin`, async () =>
        judge(TWICE, await patch(tokens[name] ?? '', own('publicIP', '203.0.113.11'), 'twins')));
    }
  });

  describe('what RBAC grants no agent', () => {
    for (const name of ['edge', 'relay']) {
      const ask = (method: string, path: string, body?: unknown) =>
        api.request(method, path, { token: tokens[name] ?? '', body });
      test(`${name}: create`, async () =>
        judge(RBAC, await ask('POST', `${GATEWAYS}?dryRun=All`, { ...GW, metadata: { name: 'n' } })));
      test(`${name}: delete`, async () => judge(RBAC, await ask('DELETE', `${GATEWAYS}/gw?dryRun=All`)));
      test(`${name}: delete all`, async () => judge(RBAC, await ask('DELETE', `${GATEWAYS}?dryRun=All`)));
      test(`${name}: update`, async () => judge(RBAC, await ask('PUT', `${GATEWAYS}/gw?dryRun=All`, GW)));
      test(`${name}: create by server-side apply`, async () => {
        const body = { ...GW, metadata: { name: 'n' } };
        const path = `${GATEWAYS}/n?dryRun=All&fieldManager=x`;
        judge(
          RBAC,
          await api.request('PATCH', path, { token: tokens[name] ?? '', type: 'application/apply-patch+yaml', body }),
        );
      });
      test(`${name}: status`, async () =>
        judge(RBAC, await patch(tokens[name] ?? '', [set('/status', {})], 'gw', '/status')));
      test(`${name}: read Secrets, Nodes, Pods`, async () => {
        for (const path of ['secrets', 'nodes', 'pods'])
          assert.equal((await ask('GET', `/api/v1/${path}`)).status, 403);
      });
    }
    test('status in a patch of the whole object is no write', async () => {
      const { status, body } = await patch(tokens.edge ?? '', [set('/status', { activeEndpoints: [] })]);
      assert.equal(status, 200);
      assert.equal(body.status, undefined);
    });
  });

  describe('what the policy refuses even where RBAC grants everything', () => {
    const NO = /agents neither create nor delete Gateways, nor write their status/;
    for (const account of ['corax-edge', 'corax-relay']) {
      test(`${account}: status`, async () =>
        judge(NO, await patchAsAdminBoundTo(account, [set('/status', { nodes: [] })], '/status')));
      test(`${account}: delete`, async () => judge(NO, await patchAsAdminBoundTo(account, undefined, '', 'DELETE')));
    }
    test('an update that changes a label', async () => {
      const present = await api.must('GET', `${GATEWAYS}/gw`);
      const body = { ...present, metadata: { ...present.metadata, labels: {} } };
      judge(META, await patchAsAdminBoundTo('corax-edge', body, '', 'PUT'));
    });
  });

  describe("the controller's token", () => {
    const status = [set('/status', { nodes: [], activeEndpoints: [] })];
    test('may write status', async () => judge('yes', await patch(tokens.controller ?? '', status, 'gw', '/status')));
    test('may not write spec', async () => judge(RBAC, await patch(tokens.controller ?? '', own('publicPort', 7))));
    test('spec in a patch of status is no write', async () => {
      const answer = await patch(tokens.controller ?? '', [...status, ...own('publicPort', 7)], 'gw', '/status');
      judge('yes', answer);
      assert.equal(answer.body.spec.endpoints[0].publicPort, 4500);
    });
    test('may not delete', async () => {
      const answer = await api.request('DELETE', `${GATEWAYS}/gw?dryRun=All`, { token: tokens.controller ?? '' });
      judge(RBAC, answer);
    });
  });

  test('nobody else is held: an administrator writes anything', async () => {
    const operations = [set('/metadata/labels/new', 'x'), ...own('nodeName', 'edge-z'), ...others('underNAT', false)];
    judge('yes', await patch(api.adminToken, operations));
  });

  test('a whole gateway of 256 endpoints stays within what CEL may cost', async () => {
    const endpoints = Array.from({ length: 256 }, (_, index) => ({
      nodeName: `node-${index}`,
      type: 'tunnel',
      underNAT: true,
      publicIP: '203.0.113.10',
      publicPort: 4500,
      config: { publicKey: KEY, probeAddress: '10.244.1.1', corax: '0.1.0' },
    }));
    await api.must('POST', GATEWAYS, { body: { ...GW, metadata: { name: 'large' }, spec: { endpoints } } });
    const operations = Array.from({ length: 256 }, (_, index) =>
      set(`/spec/endpoints/${index}/publicPort`, 1000 + index),
    );
    judge('yes', await patch(tokens.relay ?? '', operations, 'large'));
    const last = [...operations, set('/spec/endpoints/255/underNAT', false)];
    judge(RELAY_ONLY, await patch(tokens.relay ?? '', last, 'large'));
  });
});
