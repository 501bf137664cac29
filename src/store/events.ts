/** What a person reads of a gateway where Gateways live (`kubectl describe gateway`). */

export interface GatewayEvent {
  /** The gateway that it is about. */
  readonly gateway: string;
  /** Normal: all is well. Warning: somebody may want to look. */
  readonly type: 'Normal' | 'Warning';
  /** One word for machines, in CamelCase: "HoleChanged". */
  readonly reason: string;
  /** What was done, in CamelCase: "Publish". */
  readonly action: string;
  /** One sentence. */
  readonly note: string;
}

/** Never throws, never waits, and may tell less often than it is told. */
export interface EventRecorder {
  record(event: GatewayEvent): void;
  stop(): Promise<void>;
}
