/** What is read of the node at a scrape rather than told as it happens. */
import { Counter, Gauge, type Registry } from 'prom-client';

export interface NodeState {
  readonly node: string;
  /** Its own gateway's name; null while it belongs to none. */
  readonly gateway: string | null;
  readonly role: 'edge' | 'relay' | 'member' | 'idle';
  /** Of the tunnel devices, bytes; null while the node holds no tunnel. */
  readonly tunnelMtu: number | null;
  readonly store: {
    readonly synced: boolean;
    /** It can be read and watched now. */
    readonly ok: boolean;
    /** Why not, where it is known to be about certificates, tokens or permissions. */
    readonly refusedUs: boolean;
    /** Unix milliseconds; null = never. */
    readonly lastSync: number | null;
    readonly refused: number;
    readonly reads: number;
    readonly writes: number;
  };
  /** Initiations of others that this node has not answered, or has refused. */
  readonly handshakesUnanswered: number;
}

export function nodeGauges(registry: Registry, state: () => NodeState): void {
  const registers = [registry];
  const gauge = (name: string, help: string, value: (state: NodeState) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value(state()));
      },
    });
  const counter = (name: string, help: string, value: (state: NodeState) => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(value(state()));
      },
    });
  new Gauge({
    name: 'corax_node_info',
    help: 'Always 1; whose metrics these are, is in the labels.',
    labelNames: ['node_name', 'gateway', 'role'],
    registers,
    collect() {
      const { node, gateway, role } = state();
      this.reset();
      this.set({ node_name: node, gateway: gateway ?? '', role }, 1);
    },
  });
  gauge('corax_tunnel_mtu_bytes', 'MTU of the tunnel devices; 0 = this node holds no tunnel.', (now) => {
    return now.tunnelMtu ?? 0;
  });
  gauge('corax_store_synced', '1 where the store was read in whole at least once.', ({ store }) => {
    return Number(store.synced);
  });
  gauge('corax_store_up', '1 where the store can be read and watched now.', ({ store }) => Number(store.ok));
  gauge('corax_store_access_denied', '1 where the store refuses a certificate, a token or a permission.', (now) => {
    return Number(now.store.refusedUs);
  });
  gauge('corax_store_last_sync_timestamp_seconds', 'When the store was last seen in whole, 0 = never.', (now) => {
    return (now.store.lastSync ?? 0) / 1000;
  });
  gauge('corax_store_refused_gateways', 'Gateways that are not believed.', ({ store }) => store.refused);
  counter('corax_store_reads_total', 'Objects read from the store.', ({ store }) => store.reads);
  counter('corax_store_writes_total', 'Objects written to the store.', ({ store }) => store.writes);
  counter(
    'corax_handshakes_unanswered_total',
    "Others' initiations that this node has not answered, or has refused.",
    (now) => {
      return now.handshakesUnanswered;
    },
  );
}
