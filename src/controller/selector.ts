/** Label selectors, as Kubernetes has them (apimachinery's LabelSelector). Pure. */
import { printable, quote } from '../model/quote.js';
import type { SelectorObject } from '../model/resource.js';

export type Labels = Readonly<Record<string, string>>;

export interface Selector {
  /** One label that every selected object has, for an index; null where the selector names none. */
  readonly pivot: readonly [key: string, value: string] | null;
  /** Two selectors with the same text select the same. */
  readonly text: string;
  matches(labels: Labels): boolean;
}

type Requirement = (labels: Labels) => boolean;

/** Null: nothing is selected, since no requirement is made. A string: why it is no selector. */
export function parseSelector(object: SelectorObject | null | undefined): Selector | null | string {
  const equal = Object.entries(object?.matchLabels ?? {}).map(([key, value]) => [key, value ?? ''] as const);
  const requirements: Requirement[] = equal.map(
    ([key, value]) =>
      (labels) =>
        labelOf(labels, key) === value,
  );
  let pivot = equal[0] ?? null;
  for (const { key, operator, values } of object?.matchExpressions ?? []) {
    const requirement = expression(key, operator, values ?? []);
    if (typeof requirement === 'string') return requirement;
    requirements.push(requirement);
    const [only, ...others] = values ?? [];
    if (operator === 'In' && only !== undefined && others.length === 0) pivot ??= [key, only];
  }
  if (requirements.length === 0) return null;
  return {
    pivot,
    text: JSON.stringify([object?.matchLabels, object?.matchExpressions]),
    matches: (labels) => requirements.every((met) => met(labels)),
  };
}

function expression(key: string, operator: string, values: readonly string[]): Requirement | string {
  const needsValues = operator === 'In' || operator === 'NotIn';
  if (needsValues !== values.length > 0) {
    const rule = needsValues ? 'needs values' : 'takes no values';
    return `${printable(key)}: the operator ${quote(operator)} ${rule}`;
  }
  const set = new Set(values);
  switch (operator) {
    case 'In':
      return (labels) => isOneOf(labels, key, set);
    case 'NotIn':
      // An object without the label is selected, too
      return (labels) => !isOneOf(labels, key, set);
    case 'Exists':
      return (labels) => labelOf(labels, key) !== undefined;
    case 'DoesNotExist':
      return (labels) => labelOf(labels, key) === undefined;
    default:
      return `${printable(key)}: the operator ${quote(operator)} is none of In, NotIn, Exists and DoesNotExist`;
  }
}

function isOneOf(labels: Labels, key: string, values: ReadonlySet<string>): boolean {
  const value = labelOf(labels, key);
  return value !== undefined && values.has(value);
}

function labelOf(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}
