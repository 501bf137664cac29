/**
 * The CustomResourceDefinition for clusters without OpenYurt, made of the one schema (resource.ts): v1beta1
 * only, no conversion. It checks structure, as OpenYurt's does, and leaves values to the agent. Pure.
 */
import * as z from 'zod';
import {
  GATEWAY_GROUP,
  GATEWAY_KIND,
  GATEWAY_PLURAL,
  GATEWAY_VERSION,
  gatewaySchema,
  REQUIRED,
  specSchema,
  statusSchema,
} from './resource.js';

/** Of apiextensions.k8s.io/v1 JSONSchemaProps, the part that is used here. */
export interface StructuralSchema {
  type: string;
  description?: string;
  properties?: Record<string, StructuralSchema>;
  required?: string[];
  items?: StructuralSchema;
  additionalProperties?: StructuralSchema;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-map-type'?: string;
}

type Json = Readonly<Record<string, unknown>>;

/** Above what endpoint a column is about: the first of the tunnel. (A filter cannot look into status.) */
const TUNNEL = '.spec.endpoints[?(@.type=="tunnel")]';

const COLUMNS = [
  {
    name: 'NAT',
    type: 'string',
    jsonPath: `${TUNNEL}.natType`,
    description: 'NAT type of the first tunnel endpoint',
  },
  {
    name: 'Hole',
    type: 'string',
    jsonPath: `${TUNNEL}.publicIP`,
    description: 'Address at which the first tunnel endpoint is reached',
  },
  {
    name: 'Port',
    type: 'integer',
    jsonPath: `${TUNNEL}.publicPort`,
    description: 'Port at which the first tunnel endpoint is reached',
  },
  {
    name: 'Active',
    type: 'string',
    jsonPath: '.status.activeEndpoints[?(@.type=="tunnel")].nodeName',
    description: 'Node that holds the tunnel now',
  },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
];

export function gatewayCrd(): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${GATEWAY_PLURAL}.${GATEWAY_GROUP}` },
    spec: {
      group: GATEWAY_GROUP,
      names: {
        kind: GATEWAY_KIND,
        listKind: `${GATEWAY_KIND}List`,
        plural: GATEWAY_PLURAL,
        singular: 'gateway',
        shortNames: ['gw'],
        categories: ['yurt'],
      },
      scope: 'Cluster',
      versions: [
        {
          name: GATEWAY_VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: COLUMNS,
          schema: { openAPIV3Schema: gatewayStructure() },
        },
      ],
    },
  };
}

export function gatewayStructure(): StructuralSchema {
  return {
    type: 'object',
    description: gatewaySchema.description ?? '',
    properties: {
      // The API server's own; it takes no more than this about them.
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: structural(z.toJSONSchema(specSchema) as Json),
      status: structural(z.toJSONSchema(statusSchema) as Json),
    },
  };
}

/**
 * JSON Schema to a structural schema. Takes only what it knows: limits of numbers and lengths, and what is
 * said of fields without a name, stay behind. Null is a file's way to say nothing; the API server drops it.
 */
function structural(json: Json): StructuralSchema {
  const { type, schema } = withoutNull(json);
  const description = schema.description ?? json.description;
  const result: StructuralSchema = {
    type,
    ...(typeof description === 'string' ? { description } : {}),
  };
  for (const extension of ['x-kubernetes-list-type', 'x-kubernetes-map-type'] as const) {
    const value = schema[extension];
    if (typeof value === 'string') result[extension] = value;
  }
  if (type === 'array') result.items = structural(schema.items as Json);
  if (type !== 'object') return result;
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Json>);
  if (properties.length === 0)
    return { ...result, additionalProperties: structural(schema.additionalProperties as Json) };
  const demanded = new Set((schema.required ?? []) as string[]);
  result.properties = {};
  for (const [name, property] of properties) {
    if (withoutNull(property).schema[REQUIRED] === true) demanded.add(name);
    result.properties[name] = structural(property);
  }
  if (demanded.size > 0) result.required = Object.keys(result.properties).filter((name) => demanded.has(name));
  return result;
}

function withoutNull(json: Json): { type: string; schema: Json } {
  const known = (each: unknown) => (each as Json).type !== 'null';
  const schema = Array.isArray(json.anyOf) ? json.anyOf.filter(known) : [json];
  const [only, ...others] = schema as Json[];
  const types = [only?.type].flat().filter((type) => type !== 'null');
  if (only === undefined || others.length > 0 || types.length !== 1 || typeof types[0] !== 'string') {
    throw new Error(`a structural schema has one type: ${JSON.stringify(json)}`);
  }
  return { type: types[0], schema: only };
}
