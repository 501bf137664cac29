import { ipToBytes, isIpv4, type Prefix, prefixAddress, prefixLength } from '../model/address.js';

interface Branch {
  readonly children: [Branch | null, Branch | null];
  /** Who holds exactly this prefix. */
  holder: string | null;
}

const branch = (): Branch => ({ children: [null, null], holder: null });

/** Who holds which prefix, as a binary trie: the cost of a look-up is the prefix's length, whatever is held. */
export class PrefixIndex {
  readonly #roots = { v4: branch(), v6: branch() };

  /** Whoever holds a prefix that shares an address with this one, or null. */
  holderOf(prefix: Prefix): string | null {
    const { bytes, length } = bitsOf(prefix);
    let node = this.#root(prefix);
    for (let index = 0; index < length; index++) {
      if (node.holder !== null) return node.holder;
      const next = node.children[bitAt(bytes, index)];
      if (next === null) return null;
      node = next;
    }
    return firstHolder(node);
  }

  /** The prefix must not overlap one that is held ({@link holderOf}). */
  add(prefix: Prefix, holder: string): void {
    const { bytes, length } = bitsOf(prefix);
    let node = this.#root(prefix);
    for (let index = 0; index < length; index++) {
      const bit = bitAt(bytes, index);
      node.children[bit] ??= branch();
      node = node.children[bit];
    }
    node.holder = holder;
  }

  delete(prefix: Prefix): void {
    const { bytes, length } = bitsOf(prefix);
    const path: [Branch, 0 | 1][] = [];
    let node: Branch | null = this.#root(prefix);
    for (let index = 0; index < length; index++) {
      const bit = bitAt(bytes, index);
      path.push([node, bit]);
      node = node.children[bit];
      if (node === null) return;
    }
    node.holder = null;
    for (const [parent, bit] of path.reverse()) {
      const child = parent.children[bit];
      if (child === null || child.holder !== null || child.children[0] !== null || child.children[1] !== null) return;
      parent.children[bit] = null;
    }
  }

  #root(prefix: Prefix): Branch {
    return isIpv4(prefix) ? this.#roots.v4 : this.#roots.v6;
  }
}

function bitsOf(prefix: Prefix): { readonly bytes: Uint8Array; readonly length: number } {
  return { bytes: ipToBytes(prefixAddress(prefix)), length: prefixLength(prefix) };
}

function bitAt(bytes: Uint8Array, index: number): 0 | 1 {
  return (((bytes[index >> 3] as number) >> (7 - (index & 7))) & 1) as 0 | 1;
}

function firstHolder(node: Branch): string | null {
  if (node.holder !== null) return node.holder;
  for (const child of node.children) {
    const holder = child === null ? null : firstHolder(child);
    if (holder !== null) return holder;
  }
  return null;
}
