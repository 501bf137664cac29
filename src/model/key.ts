/** WireGuard public keys: Curve25519 points (RFC 7748), in base64 as wg(8) prints them. */
declare const publicKeyBrand: unique symbol;

/** 32 bytes in canonical base64 (44 characters, RFC 4648 4), not all zero. */
export type PublicKey = string & { readonly [publicKeyBrand]: true };

export const KEY_BYTES = 32;

/** Null where the text is no key: other lengths, the URL alphabet, stray bits at the end, the all-zero key. */
export function parsePublicKey(text: string): PublicKey | null {
  if (text.length !== 44) return null;
  const bytes = Buffer.from(text, 'base64');
  // Buffer's decoder forgives; only what encodes back to itself is canonical.
  if (bytes.length !== KEY_BYTES || bytes.toString('base64') !== text) return null;
  return bytes.every((byte) => byte === 0) ? null : (text as PublicKey);
}

/** Null where there are not 32 bytes or all of them are zero. */
export function publicKeyFromBytes(bytes: Uint8Array): PublicKey | null {
  if (bytes.length !== KEY_BYTES) return null;
  return parsePublicKey(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'));
}

/** 32 bytes. */
export function publicKeyToBytes(key: PublicKey): Uint8Array {
  return new Uint8Array(Buffer.from(key, 'base64'));
}
