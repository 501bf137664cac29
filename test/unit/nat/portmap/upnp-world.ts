/** A router's UPnP over real HTTP on loopback, in miniupnpd 2.3.1's own words. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

const device = (type: string, services: string, inner = '') =>
  `<device><deviceType>urn:schemas-upnp-org:device:${type}</deviceType><friendlyName>x</friendlyName><serviceList>${services}</serviceList>${inner === '' ? '' : `<deviceList>${inner}</deviceList>`}</device>`;
const service = (type: string, control: string) =>
  `<service><serviceType>urn:schemas-upnp-org:service:${type}</serviceType><serviceId>urn:upnp-org:serviceId:x</serviceId><SCPDURL>/x.xml</SCPDURL><controlURL>${control}</controlURL><eventSubURL>/evt</eventSubURL></service>`;

export function description(control = '/ctl/IPConn', type = 'WANIPConnection:2'): string {
  const connection = device('WANConnectionDevice:2', service(type, control));
  const wan = device('WANDevice:2', service('WANCommonInterfaceConfig:1', '/ctl/CmnIfCfg'), connection);
  const root = device('InternetGatewayDevice:2', service('Layer3Forwarding:1', '/ctl/L3F'), wan);
  return `<?xml version="1.0"?>\n<root xmlns="urn:schemas-upnp-org:device-1-0" configId="1337"><specVersion><major>1</major><minor>1</minor></specVersion>${root}</root>\r\n`;
}

const envelope = (body: string) =>
  `<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>${body}</s:Body></s:Envelope>\r\n`;

export function answered(action: string, values = ''): string {
  const type = 'urn:schemas-upnp-org:service:WANIPConnection:2';
  return envelope(`<u:${action}Response xmlns:u="${type}">${values}</u:${action}Response>`);
}

export function fault(code: number, words: string): string {
  return envelope(
    `<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>${code}</errorCode><errorDescription>${words}</errorDescription></UPnPError></detail></s:Fault>`,
  );
}

/** What its mappings are, outside port → "client port seconds"; and what it is to refuse. */
export interface World {
  readonly entries: Map<number, string>;
  readonly taken: Set<number>;
  permanentOnly: boolean;
  refuseAll: boolean;
  /** Actions, in order. */
  readonly actions: string[];
  readonly url: URL;
}

export async function upnpWorld(t: TestContext): Promise<World> {
  const server = createServer(async (request, answer) => {
    const body = await bodyOf(request);
    if (request.method === 'GET') return answer.end(description());
    const said = act(world, /#(\w+)"/.exec(String(request.headers.soapaction))?.[1] ?? '', body);
    answer.statusCode = said.includes('<s:Fault>') ? 500 : 200;
    answer.end(said);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const world: World = {
    entries: new Map(),
    taken: new Set(),
    permanentOnly: false,
    refuseAll: false,
    actions: [],
    url: new URL(`http://127.0.0.1:${port}/rootDesc.xml`),
  };
  return world;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function act(world: World, action: string, body: string): string {
  const value = (name: string) => new RegExp(`<${name}>(.*?)</${name}>`).exec(body)?.[1] ?? '';
  const port = Number(value('NewExternalPort'));
  const lifetime = value('NewLeaseDuration');
  world.actions.push(action);
  if (action === 'GetExternalIPAddress')
    return answered(action, '<NewExternalIPAddress>198.51.100.7</NewExternalIPAddress>');
  if (action === 'AddPortMapping') {
    if (world.refuseAll) return fault(606, 'Action not authorized');
    if (world.taken.has(port)) return fault(718, 'ConflictInMappingEntry');
    if (world.permanentOnly && lifetime !== '0') return fault(725, 'OnlyPermanentLeasesSupported');
    world.entries.set(port, `${value('NewInternalClient')} ${value('NewInternalPort')} ${lifetime}`);
    return answered(action);
  }
  const entry = world.entries.get(port);
  if (entry === undefined) return fault(714, 'NoSuchEntryInArray');
  if (action === 'DeletePortMapping') {
    world.entries.delete(port);
    return answered(action);
  }
  const [client, internal] = entry.split(' ');
  return answered(
    action,
    `<NewInternalPort>${internal}</NewInternalPort><NewInternalClient>${client}</NewInternalClient>`,
  );
}
