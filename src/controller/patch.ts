/** The JSON patch (RFC 6902) that makes a status what it should be, and tests what it replaces. Pure. */
import type { Status } from './elect.js';
import type { SiteSpec } from './site.js';

export interface Operation {
  readonly op: 'test' | 'add' | 'replace';
  readonly path: string;
  readonly value: unknown;
}

/** For the subresource "status". */
export function statusPatch({ uid, resourceVersion, status }: SiteSpec, wanted: Status): Operation[] {
  // Not of a Gateway that was made anew under the same name
  const patch: Operation[] = [{ op: 'test', path: '/metadata/uid', value: uid }];
  if (status === null) {
    // That something is not there can only be tested by the version
    patch.push({ op: 'test', path: '/metadata/resourceVersion', value: resourceVersion });
    patch.push({ op: 'add', path: '/status', value: wanted });
    return patch;
  }
  for (const field of ['nodes', 'activeEndpoints'] as const) {
    const present = status[field];
    if (present === undefined || present === null) {
      patch.push({ op: 'add', path: `/status/${field}`, value: wanted[field] });
    } else if (JSON.stringify(present) !== JSON.stringify(wanted[field])) {
      patch.push({ op: 'test', path: `/status/${field}`, value: present });
      patch.push({ op: 'replace', path: `/status/${field}`, value: wanted[field] });
    }
  }
  return patch;
}
