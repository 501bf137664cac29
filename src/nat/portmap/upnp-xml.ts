/** The XML of UPnP: the router's description and the answers of its WAN connection service. Strict, and bounded. */
import { parseXml, type XmlElement } from '@rgrove/parse-xml';

const MAX_CHARACTERS = 100_000;

/** In the order of preference (IGD:2 and IGD:1). */
const SERVICES = [
  'urn:schemas-upnp-org:service:WANIPConnection:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1',
  'urn:schemas-upnp-org:service:WANPPPConnection:1',
] as const;

export interface WanService {
  readonly type: string;
  /** As the description has it: relative, as a rule. */
  readonly controlUrl: string;
}

/** The service that maps ports; null where the description has none, or is none. */
export function parseDescription(text: string): WanService | null {
  const root = parse(text);
  if (root === null || localName(root) !== 'root') return null;
  const services = descendants(root, 'service').flatMap((service): WanService[] => {
    const [type, controlUrl] = [childText(service, 'serviceType'), childText(service, 'controlURL')];
    return type === null || controlUrl === null ? [] : [{ type, controlUrl }];
  });
  for (const type of SERVICES) {
    const found = services.find((service) => service.type === type);
    if (found !== undefined) return found;
  }
  return null;
}

export type ActionAnswer =
  | { readonly kind: 'done'; readonly values: ReadonlyMap<string, string> }
  /** UDA 1.1, 3.2.2: an error of the action itself. */
  | { readonly kind: 'fault'; readonly code: number; readonly description: string };

/** Null where the text is no answer to the action. */
export function parseActionAnswer(text: string, action: string): ActionAnswer | null {
  const envelope = parse(text);
  if (envelope === null || localName(envelope) !== 'Envelope') return null;
  const body = children(envelope, 'Body')[0];
  if (body === undefined) return null;
  const answer = children(body, `${action}Response`)[0];
  if (answer !== undefined) {
    const values = elements(answer).map((element) => [localName(element), element.text.trim()] as const);
    return { kind: 'done', values: new Map(values) };
  }
  const fault = children(body, 'Fault')[0];
  const error = fault === undefined ? undefined : descendants(fault, 'UPnPError')[0];
  const code = error === undefined ? null : childText(error, 'errorCode');
  if (error === undefined || code === null || !/^\d{3}$/.test(code)) return null;
  // It ends up on terminals and in logs.
  const description = (childText(error, 'errorDescription') ?? '').replace(/[^\x20-\x7e]/g, '').slice(0, 120);
  return { kind: 'fault', code: Number(code), description };
}

/** UDA 1.1, 3.2.1 */
export function actionRequest(
  service: string,
  action: string,
  values: ReadonlyArray<readonly [string, string]>,
): string {
  const inner = values.map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`).join('');
  return [
    '<?xml version="1.0"?>',
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">',
    `<s:Body><u:${action} xmlns:u="${escapeXml(service)}">${inner}</u:${action}></s:Body></s:Envelope>`,
  ].join('');
}

/** Null for what is not well-formed. A document type is refused: nothing here needs one, and entities may explode. */
function parse(text: string): XmlElement | null {
  if (text.length > MAX_CHARACTERS || text.includes('<!DOCTYPE')) return null;
  try {
    return parseXml(text.trim()).root;
  } catch {
    return null;
  }
}

function localName({ name }: XmlElement): string {
  return name.slice(name.indexOf(':') + 1);
}

function elements(parent: XmlElement): XmlElement[] {
  return parent.children.filter((child): child is XmlElement => child.type === 'element');
}

function children(parent: XmlElement, name: string): XmlElement[] {
  return elements(parent).filter((child) => localName(child) === name);
}

function descendants(parent: XmlElement, name: string): XmlElement[] {
  return elements(parent).flatMap((child) => [
    ...(localName(child) === name ? [child] : []),
    ...descendants(child, name),
  ]);
}

function childText(parent: XmlElement, name: string): string | null {
  return children(parent, name)[0]?.text.trim() ?? null;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
