/** The API server's own record of who asked for what: counts requests without a word from those who made them. */
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Of audit.k8s.io/v1 Event, what the tests read. */
export interface AuditEvent {
  readonly stage: string;
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly requestURI: string;
  readonly responseStatus?: { readonly code?: number };
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
}

export class AuditLog {
  readonly #folder = mkdtempSync(join(tmpdir(), 'corax-audit-'));
  readonly #events: AuditEvent[] = [];
  /** Bytes of the log that were read. */
  #read = 0;

  constructor() {
    const policy = {
      apiVersion: 'audit.k8s.io/v1',
      kind: 'Policy',
      // A watch is heard of when it begins; all else when it is done.
      omitStages: ['RequestReceived', 'Panic'],
      rules: [{ level: 'Metadata' }],
    };
    writeFileSync(join(this.#folder, 'policy.yaml'), JSON.stringify(policy));
  }

  /** For {@link ApiServerOptions.flags}. */
  get flags(): string[] {
    const path = (name: string) => join(this.#folder, name);
    return [
      `--audit-policy-file=${path('policy.yaml')}`,
      `--audit-log-path=${path('log')}`,
      '--audit-log-mode=blocking',
    ];
  }

  /** Requests of a service account since the start, in the order in which they were answered, each once. */
  of(account: { readonly namespace: string; readonly name: string }): AuditEvent[] {
    const username = `system:serviceaccount:${account.namespace}:${account.name}`;
    return this.all().filter(({ user, stage, verb }) => {
      return user.username === username && stage === (verb === 'watch' ? 'ResponseStarted' : 'ResponseComplete');
    });
  }

  all(): readonly AuditEvent[] {
    const file = openSync(join(this.#folder, 'log'), 'r');
    try {
      const news = Buffer.alloc(fstatSync(file).size - this.#read);
      const length = readSync(file, news, 0, news.length, this.#read);
      // The last line may be half written
      const end = news.subarray(0, length).lastIndexOf('\n') + 1;
      const lines = news.toString('utf8', 0, end).split('\n').slice(0, -1);
      this.#read += end;
      for (const line of lines) this.#events.push(JSON.parse(line) as AuditEvent);
      return this.#events;
    } finally {
      closeSync(file);
    }
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const READING = new Set(['get', 'list', 'watch']);

export function isWrite({ verb }: AuditEvent): boolean {
  return !READING.has(verb);
}

export function isLease({ objectRef }: AuditEvent): boolean {
  return objectRef?.resource === 'leases';
}

export function isGatewayWrite(event: AuditEvent): boolean {
  return isWrite(event) && event.objectRef?.resource === 'gateways';
}
