import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { type Ip, parseIp } from '#src/model/address.js';
import { fetchFromRouter } from '#src/nat/portmap/http.js';
import { parseSearchAnswer, routerUrl, searchRequest } from '#src/nat/portmap/ssdp.js';
import { UpnpClient } from '#src/nat/portmap/upnp.js';
import { actionRequest, parseActionAnswer, parseDescription } from '#src/nat/portmap/upnp-xml.js';
import { answered, description, fault, upnpWorld } from './upnp-world.js';

const ROUTER = parseIp('127.0.0.1') as Ip;
const OWN = '192.168.1.2';
const WISH = { internalPort: 4500, externalPort: 50_000 };
const never = new AbortController().signal;

async function setUp(t: TestContext) {
  const world = await upnpWorld(t);
  const found: (URL | null)[] = [];
  const client = new UpnpClient({
    router: ROUTER,
    now: () => 0,
    ownAddress: async () => OWN,
    discover: async () => (found.length === 0 ? world.url : (found.shift() ?? null)),
  });
  return { world, client, found };
}

describe('UPnP', () => {
  it('maps, renews, looks and gives back', async (t) => {
    const { world, client } = await setUp(t);
    const external = { ip: parseIp('198.51.100.7'), port: 50_000 };
    for (let time = 0; time < 2; time += 1)
      assert.deepEqual(await client.map(WISH, never), { kind: 'granted', external, lifetimeS: 3600 });
    assert.deepEqual([...world.entries], [[50_000, `${OWN} 4500 3600`]]);
    assert.equal(await client.check(WISH, never), 'kept');
    world.entries.set(50_000, '192.168.1.77 4500 3600');
    assert.equal(await client.check(WISH, never), 'lost', "it is another's by now");
    world.entries.clear();
    assert.equal(await client.check(WISH, never), 'lost');
    await client.map(WISH, never);
    await client.release();
    assert.equal(world.entries.size, 0);
  });

  it('takes another port where the first is taken, and what lasts for ever where there is nothing else', async (t) => {
    const { world, client } = await setUp(t);
    world.taken.add(50_000);
    world.permanentOnly = true;
    const outcome = await client.map(WISH, never);
    const [[port, entry] = []] = world.entries;
    assert.equal(entry, `${OWN} 4500 0`);
    assert.equal(outcome.kind === 'granted' && outcome.external.port, port);
    assert.ok(port !== undefined && port >= 49_152 && port !== 50_000);
  });

  it('tells a refusal, and asks no other port then', async (t) => {
    const { world, client } = await setUp(t);
    world.refuseAll = true;
    assert.deepEqual(await client.map(WISH, never), { kind: 'refused', reason: 'error 606 Action not authorized' });
    assert.equal(world.actions.filter((action) => action === 'AddPortMapping').length, 1);
  });

  it('looks for a router again that is elsewhere after a restart', async (t) => {
    const { client, found } = await setUp(t);
    found.push(new URL('http://127.0.0.1:9/gone.xml'));
    assert.equal((await client.map(WISH, never)).kind, 'silent');
    assert.equal((await client.map(WISH, never)).kind, 'granted');
  });
});

describe('a description', () => {
  it('has its service found wherever it is', () => {
    const type = 'urn:schemas-upnp-org:service:WANIPConnection:2';
    assert.deepEqual(parseDescription(description()), { type, controlUrl: '/ctl/IPConn' });
    const ppp = parseDescription(description('ctl', 'WANPPPConnection:1'));
    assert.deepEqual(ppp, { type: 'urn:schemas-upnp-org:service:WANPPPConnection:1', controlUrl: 'ctl' });
  });

  const none: [string, string][] = [
    ['another service', description('/c', 'ContentDirectory:1')],
    ['no end', description().slice(0, -20)],
    ['another root', description().replaceAll('root', 'boot')],
    ['a document type', description().replace('\n', '<!DOCTYPE root [<!ENTITY a "b">]>')],
    ['a thousand levels too many', `${'<root>'.repeat(9000)}${'</root>'.repeat(9000)}`],
    ['more than anybody needs', description(`/${'x'.repeat(100_000)}`)],
  ];
  for (const [name, text] of none) it(`is none with ${name}`, () => assert.equal(parseDescription(text), null));
});

describe('the answer to an action', () => {
  it('is its values or its fault', () => {
    const values = new Map([['NewA', 'a & b']]);
    assert.deepEqual(parseActionAnswer(answered('Get', '<NewA>a &amp; b</NewA>'), 'Get'), { kind: 'done', values });
    const refused = { kind: 'fault', code: 714, description: 'No[2JSuch' };
    assert.deepEqual(parseActionAnswer(fault(714, 'No\u009b[2JSuch'), 'Get'), refused);
  });

  it('is none where it answers another action, or nothing', () => {
    for (const text of [answered('Set'), fault(7, 'x'), '', 'x', '<a/>', answered('Get').replace('Body', 'Bodo')])
      assert.equal(parseActionAnswer(text, 'Get'), null, text);
  });

  it('survives whatever it is', () => {
    const pieces = [
      '<',
      '>',
      '</',
      '/>',
      'root',
      'service',
      'Body',
      ' x="1"',
      '&#0;',
      '&amp;',
      '<![CDATA[',
      ']]>',
      '<!--',
    ];
    const text = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom(...pieces)).map((parts) => parts.join('')),
    );
    const spoilt = fc
      .tuple(
        fc.constantFrom(description(), answered('Get'), fault(714, 'x')),
        fc.nat(2000),
        fc.string({ maxLength: 9 }),
      )
      .map(([whole, at, put]) => whole.slice(0, at) + put + whole.slice(at + put.length));
    fc.assert(
      fc.property(fc.oneof(text, spoilt), (any) => {
        const found = parseDescription(any);
        if (found !== null) assert.match(found.type, /^urn:schemas-upnp-org:service:WAN(?:IP|PPP)Connection:[12]$/);
        const answer = parseActionAnswer(any, 'Get');
        if (answer?.kind === 'fault') assert.ok(answer.code >= 0 && answer.code <= 999);
      }),
      { numRuns: 2000 },
    );
  });

  it('is asked for with what could be markup as text', () => {
    assert.match(actionRequest('urn:x', 'Set', [['NewA', '<b>&"']]), /<NewA>&lt;b>&amp;&quot;<\/NewA>/);
  });
});

describe('SSDP', () => {
  const said = (location: string, more = '') =>
    Buffer.from(
      `HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nEXT:\r\nLocation:  ${location}\r\n${more}\r\n`,
    );
  const router = parseIp('192.168.1.1') as Ip;

  it('asks the router, and everybody with a time to answer', () => {
    assert.match(
      searchRequest('192.168.1.1'),
      /^M-SEARCH \* HTTP\/1\.1\r\nHOST: 192\.168\.1\.1:1900\r\n(?!(?:.|\s)*MX)/,
    );
    assert.match(searchRequest('239.255.255.250'), /\r\nMX: 1\r\n/);
  });

  it('takes a description on the router itself', () => {
    const url = parseSearchAnswer(said('http://192.168.1.1:33475/rootDesc.xml'), router);
    assert.equal(url?.href, 'http://192.168.1.1:33475/rootDesc.xml');
  });

  const refused: [string, Buffer][] = [
    ['on another host', said('http://192.168.1.7/rootDesc.xml')],
    ['on a host that has a name', said('http://router.example/rootDesc.xml')],
    ['with somebody else behind the @', said('http://192.168.1.1@192.0.2.1/x')],
    ['that is a file', said('file:///etc/passwd')],
    ['that is given twice', said('http://192.168.1.1/a', 'LOCATION: http://192.168.1.1/b\r\n')],
    [
      'of another kind of device',
      Buffer.from(String(said('http://192.168.1.1/a')).replace('InternetGateway', 'Media')),
    ],
    ['that was not found', Buffer.from(String(said('http://192.168.1.1/a')).replace('200 OK', '404 Not Found'))],
    ['that goes on and on', said(`http://192.168.1.1/${'a'.repeat(2048)}`)],
  ];
  for (const [name, bytes] of refused) {
    it(`takes no description ${name}`, () => assert.equal(parseSearchAnswer(bytes, router), null));
  }

  it('leads to the router or nowhere, whatever is said', () => {
    const location = fc.oneof(
      fc.webUrl(),
      fc.string(),
      fc.string().map((text) => `http://192.168.1.1${text}`),
    );
    fc.assert(
      fc.property(location, fc.string(), (text, more) => {
        for (const url of [parseSearchAnswer(said(text, more), router), routerUrl(text, router)])
          assert.equal(url?.hostname ?? '192.168.1.1', '192.168.1.1');
      }),
      { numRuns: 2000 },
    );
  });
});

describe('HTTP', () => {
  it('follows nobody elsewhere, and stops reading what is too long or was cut', async (t) => {
    const server = createServer((request, answer) => {
      if (request.url === '/moved') answer.writeHead(302, { location: 'http://127.0.0.1:9/' }).end();
      else if (request.url === '/cut')
        answer.writeHead(200, { 'content-length': 100 }).end('short', () => answer.destroy());
      else answer.end('x'.repeat(200_000));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const url = (path: string) => new URL(path, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    assert.deepEqual(await fetchFromRouter({ url: url('/moved') }), { status: 302, body: '' });
    assert.equal(await fetchFromRouter({ url: url('/cut') }), null);
    assert.equal(await fetchFromRouter({ url: url('/long') }), null);
    assert.equal(await fetchFromRouter({ url: url('/moved'), signal: AbortSignal.abort() }), null);
  });
});
