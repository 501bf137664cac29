/** The Binding transaction over bytes (RFC 8489 6): what to send, and what an answer says. Pure but for randomness. */
import { randomBytes } from 'node:crypto';
import { type HostPort, isIpv4, isPrivate, isUnicast } from '../model/address.js';
import { type DecodedMessage, decodeMessage, encodeMessage, type StunMessage, TRANSACTION_ID_BYTES } from './codec.js';

export type BindingAnswer =
  | {
      readonly kind: 'success';
      /** Where the server saw the request come from. */
      readonly mapped: HostPort;
      /** OTHER-ADDRESS (RFC 5780 7.4) as the server gave it, unchecked against the server's own address. */
      readonly other: HostPort | null;
    }
  /** An error response, RFC 8489 14.8: code 300–699. */
  | { readonly kind: 'error'; readonly code: number; readonly reason: string }
  | { readonly kind: 'invalid'; readonly problem: string };

/** 96 random bits (RFC 8489 5): what keeps somebody off the path from answering in the server's name. */
export function newTransactionId(): Uint8Array {
  return randomBytes(TRANSACTION_ID_BYTES);
}

/** What a request asks for beside the answer (RFC 5780 7.2, 7.5). */
export type BindingExtras = Pick<StunMessage, 'changeRequest' | 'responsePort'>;

/** A Binding request, 20 bytes, and 8 for each extra. */
export function bindingRequest(transactionId: Uint8Array, extras: BindingExtras = {}): Uint8Array {
  return encodeMessage({ kind: 'request', transactionId, ...extras });
}

/** Reads an answer to the request with this transaction id. Never throws. */
export function parseBindingResponse(bytes: Uint8Array, transactionId: Uint8Array): BindingAnswer {
  const message = decodeMessage(bytes);
  if (message === null) return { kind: 'invalid', problem: 'not a well-formed STUN Binding message' };
  if (Buffer.compare(message.transactionId, transactionId) !== 0) {
    return { kind: 'invalid', problem: 'the transaction id is not that of the request' };
  }
  if (message.kind === 'request') return { kind: 'invalid', problem: 'a request instead of a response' };
  if (message.unknownRequired.length > 0) {
    // RFC 8489 6.3.3 and 6.3.4: such a response is discarded.
    const types = message.unknownRequired.map((type) => `0x${type.toString(16).padStart(4, '0')}`);
    return { kind: 'invalid', problem: `unknown comprehension-required attributes ${types.join(', ')}` };
  }
  return message.kind === 'error' ? readError(message) : readSuccess(message);
}

function readError(message: DecodedMessage): BindingAnswer {
  if (message.error === undefined) return { kind: 'invalid', problem: 'an error response without an error code' };
  return { kind: 'error', ...message.error };
}

function readSuccess(message: DecodedMessage): BindingAnswer {
  // NATs that rewrite addresses in payloads spoil MAPPED-ADDRESS: the XORed form comes first (RFC 8489 14.2).
  const mapped = message.xorMappedAddress ?? message.mappedAddress;
  if (mapped === undefined) return { kind: 'invalid', problem: 'a success response without a mapped address' };
  return { kind: 'success', mapped, other: message.otherAddress ?? null };
}

/** Can this be our address as the server saw it? Loopback counts only where the server is on loopback itself. */
export function isPlausibleMapping(mapped: HostPort, server: HostPort): boolean {
  return isIpv4(mapped.ip) === isIpv4(server.ip) && (isUnicast(mapped.ip) || isLoopback(server));
}

/**
 * OTHER-ADDRESS, if the tests can use it: another address and another port (RFC 5780 6). A public server
 * may not make this node knock at addresses inside the node's own network.
 */
export function usableOther(other: HostPort | null, server: HostPort): HostPort | null {
  if (other === null || !isIpv4(other.ip) || other.ip === server.ip || other.port === server.port) return null;
  if (isLoopback(other)) return isLoopback(server) ? other : null;
  if (!isUnicast(other.ip)) return null;
  const serverIsInside = isPrivate(server.ip) || isLoopback(server);
  return isPrivate(other.ip) && !serverIsInside ? null : other;
}

function isLoopback({ ip }: HostPort): boolean {
  return ip.startsWith('127.');
}
