/** What a test asks of the agent that has {@link WireguardDriver} of this folder, over Node's channel, and its answers. */

export type Deed =
  /** What the event loop's turns took until now; it is measured no longer. */
  | { readonly kind: 'meter' }
  /** Peers of the relay plane, by public key, are seen at other ports from now on. */
  | { readonly kind: 'move'; readonly ports: readonly (readonly [key: string, port: number])[] };

/** Milliseconds; processor time of the main thread but for `delayedMs`, which is what a timer was late. */
export interface Turns {
  readonly turns: number;
  readonly longestMs: number;
  readonly totalMs: number;
  readonly delayedMs: number;
}

export type Reply = ({ readonly kind: 'meter' } & Turns) | { readonly kind: 'moved' };
