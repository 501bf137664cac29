/**
 * Every error of corax's own has a stable code, listed here and nowhere else: scripts, alerts and the
 * runbook lean on the codes, never on the words.
 */
export const ERROR_CODES = {
  CORAX_ADDON: 'The native addon could not be loaded.',
  CORAX_CONFIG: 'A flag, environment variable or configuration file is wrong.',
  CORAX_PSK: 'No usable pre-shared key was given.',
  CORAX_KEY: 'The private key file is unreadable or damaged.',
  CORAX_PERMISSION: 'The process lacks a capability (NET_ADMIN, NET_RAW).',
  CORAX_LOCKED: 'Another agent runs on this node.',
  CORAX_STORE: 'The store of Gateways could not be read or written.',
  CORAX_GATEWAY: 'A Gateway was refused.',
  CORAX_CONFLICT: 'A Gateway changed between reading and writing it.',
  CORAX_PATH: 'Something is wrong with a path to a gateway.',
  CORAX_STUN: 'STUN discovery failed.',
  CORAX_SOCKET: 'A socket could not be used, or nobody answers on it.',
  CORAX_NETLINK: 'The kernel refused a netlink request.',
  CORAX_NFT: 'The kernel or libnftables refused a firewall transaction.',
  CORAX_PLUTO: 'pluto could not be spoken to, or its answer is none.',
  CORAX_ROGUE: 'Somebody without the pre-shared key, or with an ID of nobody, was refused.',
  CORAX_CLOSED: 'The native engine is closed.',
  CORAX_QUEUE_FULL: 'The native engine has too much to do.',
  CORAX_LAB: 'The lab could not be built or run.',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** An error that a person is meant to read: the message says what is wrong and what to do. */
export class CoraxError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CoraxError';
    this.code = code;
  }
}

/** The code of any thrown value: ours, Node's (ENOENT), or null. */
export function codeOf(error: unknown): string | null {
  if (typeof error !== 'object' || error === null) return null;
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? code : null;
}

/** One line for a log or a person, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
