/** What of the agent's story is told on the Gateways themselves, in words for whoever runs the cluster. */
import type { PathMemory } from '../decide/path.js';
import { formatHostPort, parseIp } from '../model/address.js';
import { MAPPING_TITLES, type PortMapping } from '../model/port-mapping.js';
import type { PublishDeed } from '../model/step.js';
import type { EventRecorder } from '../store/events.js';

export interface StoryEvents {
  transition(gateway: string, from: PathMemory | null, to: PathMemory): void;
  published(deed: PublishDeed): void;
  refused(gateway: string, reason: string): void;
  mapped(mapping: PortMapping | null): void;
}

export const NO_EVENTS: StoryEvents = {
  transition: () => undefined,
  published: () => undefined,
  refused: () => undefined,
  mapped: () => undefined,
};

export interface Teller {
  readonly node: string;
  /** Name of this node's gateway; null while it is in none. */
  readonly own: () => string | null;
  /** All agents refuse the same gateway: a relay says so, and whoever's it is. */
  readonly isRelay: () => boolean;
}

export function createEvents(recorder: EventRecorder, { node, own, isRelay }: Teller): StoryEvents {
  return {
    transition(gateway, from, to) {
      const about = own();
      if (about === null || from?.state === to.state) return;
      const note = `${node} to ${gateway}: ${to.reason}`;
      if (to.state === 'direct') {
        recorder.record({ gateway: about, type: 'Normal', reason: 'Direct', action: 'ChangePath', note });
      } else if (from?.state === 'direct') {
        recorder.record({ gateway: about, type: 'Warning', reason: 'BackToRelay', action: 'ChangePath', note });
      }
    },

    published({ gateway, nodeName, fields }) {
      const { publicIP, publicPort, natType } = fields;
      if (publicIP !== undefined || publicPort !== undefined) {
        const note = `${nodeName} is seen at ${where(publicIP, publicPort)}`;
        recorder.record({ gateway, type: 'Normal', reason: 'HoleChanged', action: 'Publish', note });
      }
      if (natType !== undefined && natType !== 'Undefined') {
        const note = `${nodeName} is under a ${natType}`;
        recorder.record({ gateway, type: 'Normal', reason: 'NatTypeFound', action: 'Publish', note });
      }
    },

    mapped(mapping) {
      const about = own();
      if (about === null) return;
      const told = { gateway: about, action: 'MapPort' } as const;
      if (mapping === null) {
        recorder.record({
          ...told,
          type: 'Normal',
          reason: 'PortUnmapped',
          note: `${node} has no port mapping any more`,
        });
        return;
      }
      const { router, protocol, external } = mapping;
      const note = `router ${router} maps ${formatHostPort(external)} to ${node} by ${MAPPING_TITLES[protocol]}`;
      recorder.record({ ...told, type: 'Normal', reason: 'PortMapped', note });
    },

    refused(gateway, reason) {
      if (gateway !== own() && !isRelay()) return;
      recorder.record({ gateway, type: 'Warning', reason: 'Refused', action: 'Admit', note: `refused: ${reason}` });
    },
  };
}

function where(publicIp: string | undefined, port: number | undefined): string {
  const ip = parseIp(publicIp ?? '');
  if (ip === null) return `port ${port}`;
  return port === undefined ? ip : formatHostPort({ ip, port });
}
