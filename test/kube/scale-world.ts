/** Thousands of Nodes and Gateways, written straight into etcd, and what a process costs that reads them. */
import { readFileSync } from 'node:fs';
import type { GatewayFile } from '../unit/store/recorder.js';
import type { ApiServer } from './api-server.js';

const number = (index: number) => String(index).padStart(5, '0');
const base64 = (text: string) => Buffer.from(text).toString('base64');

export const nodeName = (index: number) => `node-${number(index)}`;
export const gatewayName = (index: number) => `gw-${number(index)}`;

/** As large as a kubelet makes it, images and all. */
function nodeObject(index: number) {
  const cidr = `10.${64 + (index >> 8)}.${index & 255}.0/24`;
  const now = new Date().toISOString().replace(/\.\d+/, '');
  const condition = (type: string, status: string) => ({
    type,
    status,
    lastHeartbeatTime: now,
    lastTransitionTime: now,
    reason: 'Kubelet',
    message: 'the kubelet says so',
  });
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: nodeName(index),
      uid: `00000000-0000-0000-0000-${String(index).padStart(12, '0')}`,
      creationTimestamp: now,
      labels: { site: number(index), 'kubernetes.io/hostname': nodeName(index), 'kubernetes.io/os': 'linux' },
    },
    spec: { podCIDR: cidr, podCIDRs: [cidr] },
    status: {
      addresses: [{ type: 'InternalIP', address: `192.168.${index >> 8}.${index & 255}` }],
      conditions: [
        condition('MemoryPressure', 'False'),
        condition('DiskPressure', 'False'),
        condition('Ready', 'True'),
      ],
      images: Array.from({ length: 20 }, (_, image) => ({
        names: [`registry.example.org/image-${image}@sha256:${'0'.repeat(64)}`],
        sizeBytes: 1000,
      })),
    },
  };
}

/** Nodes with a pod subnet and a label `site` each. */
export async function seedNodes(api: ApiServer, count: number): Promise<void> {
  for (let from = 0; from < count; from += 500) {
    const success = Array.from({ length: Math.min(500, count - from) }, (_, offset) => {
      const object = nodeObject(from + offset);
      const key = base64(`/registry/minions/${object.metadata.name}`);
      return { requestPut: { key, value: base64(JSON.stringify(object)) } };
    });
    await api.etcdCall('kv/txn', { success });
  }
}

/** The label that a gateway selects its Node by. */
export const siteLabel = (index: number) => ({ site: number(index) });

/** What the kernel would know the edge's peer by: 32 bytes, no two alike. */
export function edgeKey(index: number): string {
  const bytes = Buffer.alloc(32, 7);
  bytes.writeUInt32BE(index, 0);
  return bytes.toString('base64');
}

/** An edge that its agent, a relay and yurt-manager have written all of theirs into. */
export function publishedEdge(index: number): GatewayFile {
  const subnet = `10.${64 + (index >> 8)}.${index & 255}`;
  const node = nodeName(index);
  const endpoint = {
    nodeName: node,
    type: 'tunnel',
    port: 4500,
    underNAT: true,
    natType: 'Port Restricted cone NAT',
    publicIP: `198.51.100.${1 + (index % 250)}`,
    publicPort: 10_000,
    config: { publicKey: edgeKey(index), corax: '0.1.0', probeAddress: `${subnet}.0` },
  };
  const managedFields = ['corax', 'yurt-manager'].map((manager) => ({
    manager,
    operation: 'Update',
    apiVersion: 'raven.openyurt.io/v1beta1',
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:spec': { 'f:endpoints': {} }, 'f:status': { 'f:nodes': {}, 'f:activeEndpoints': {} } },
  }));
  return {
    apiVersion: 'raven.openyurt.io/v1beta1',
    kind: 'Gateway',
    metadata: { name: gatewayName(index), managedFields },
    spec: { nodeSelector: { matchLabels: siteLabel(index) }, endpoints: [endpoint] },
    status: {
      nodes: [{ nodeName: node, privateIP: '192.168.1.2', subnets: [`${subnet}.0/24`] }],
      activeEndpoints: [{ nodeName: node, type: 'tunnel' }],
    },
  };
}

/** What a relay's Gateway says before its agent has written anything; at 203.0.113.1. */
export function newRelay(): GatewayFile {
  const endpoint = { nodeName: 'relay', type: 'tunnel', port: 4500, underNAT: false };
  return {
    apiVersion: 'raven.openyurt.io/v1beta1',
    kind: 'Gateway',
    metadata: { name: 'gw-relay' },
    spec: { endpoints: [endpoint] },
    status: {
      nodes: [{ nodeName: 'relay', privateIP: '203.0.113.1', subnets: ['10.200.0.0/24'] }],
      activeEndpoints: [endpoint],
    },
  };
}

export interface Costs {
  /** Seconds of processor time. */
  readonly cpu: number;
  /** The most that it had, MiB. */
  readonly memory: number;
}

export function costs(pid: number): Costs {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { cpu: (Number(stat[11]) + Number(stat[12])) / 100, memory: Number(peak) / 1024 };
}
