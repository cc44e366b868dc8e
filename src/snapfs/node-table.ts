/**
 * What the kernel remembers of us: a row for each object it was told of, found by number (NodeId) or by place (the
 * directory's number and the position in its tree). A row takes about 40 bytes and goes when the kernel has given
 * back all it was handed and no row below is left. What an object *is* stands in no row, but in its tree.
 *
 * The number of a freed row is given out again. That is safe: the kernel forgets a number only when nothing of it
 * uses it any more.
 */

import { NotFoundError } from "../errors.js";
import { type NodeId, ROOT_NODE } from "../fuse/filesystem.js";
import type { Place } from "./place.js";

const FREE = 0;
const FIRST_ROWS = 1024;
/** Position of objects that stand in no tree. */
export const NO_POSITION = 0xffffffff;

export interface FreedNode {
  readonly node: NodeId;
  readonly place: Place | undefined;
}

export class NodeTable {
  #parents = new Uint32Array(FIRST_ROWS);
  #positions = new Uint32Array(FIRST_ROWS);
  /** How many the kernel was handed and has not given back. */
  #lookups = new Uint32Array(FIRST_ROWS);
  /** Rows whose parent this is; they keep it. */
  #children = new Uint32Array(FIRST_ROWS);
  #inos = new BigUint64Array(FIRST_ROWS);
  /** Open addressing by (parent, position); half empty at least. */
  #slots = new Uint32Array(2 * FIRST_ROWS);
  /** Of directories and of what stands in no tree. */
  readonly #places = new Map<number, Place>();
  readonly #virtual = new Map<string, NodeId>();
  readonly #freed: number[] = [];
  #rows = ROOT_NODE + 1;
  #used = 1;

  constructor(root: Place, rootIno: bigint) {
    this.#parents[ROOT_NODE] = ROOT_NODE;
    this.#positions[ROOT_NODE] = NO_POSITION;
    this.#lookups[ROOT_NODE] = 1;
    this.#inos[ROOT_NODE] = rootIno;
    this.#places.set(ROOT_NODE, root);
  }

  /** Rows in use, the root included. */
  get size(): number {
    return this.#used;
  }

  /** Hands out the object at a position of a tree once more. */
  enter(parent: NodeId, position: number, ino: bigint): NodeId {
    let slot = this.#slotOf(parent, position);
    let node = this.#slots[slot]!;
    if (node === FREE) {
      node = this.#newRow(parent, position, ino);
      // The new row may have made the table larger.
      slot = this.#slotOf(parent, position);
      this.#slots[slot] = node;
    }
    this.#lookups[node]!++;
    return node as NodeId;
  }

  /** Hands out an object of a virtual directory once more. `key` tells apart what is of the same name. */
  enterVirtual(parent: NodeId, key: string, ino: bigint, place: Place): NodeId {
    const fullKey = `${parent}/${key}`;
    let node = this.#virtual.get(fullKey);
    if (node === undefined) {
      node = this.#newRow(parent, NO_POSITION, ino) as NodeId;
      this.#virtual.set(fullKey, node);
      this.#places.set(node, { ...place, key: fullKey });
    }
    this.#lookups[node]!++;
    return node;
  }

  setPlace(node: NodeId, place: Place): void {
    this.#places.set(node, place);
  }

  place(node: NodeId): Place | undefined {
    return this.#places.get(node);
  }

  parent(node: NodeId): NodeId {
    this.#check(node);
    return this.#parents[node]! as NodeId;
  }

  position(node: NodeId): number {
    this.#check(node);
    return this.#positions[node]!;
  }

  ino(node: NodeId): bigint {
    this.#check(node);
    return this.#inos[node]!;
  }

  /** Takes back `count` of what was handed out. @returns the rows that are free now */
  forget(node: NodeId, count: number): FreedNode[] {
    const freed: FreedNode[] = [];
    if (node === ROOT_NODE || !this.#isUsed(node)) return freed;
    this.#lookups[node] = Math.max(0, this.#lookups[node]! - count);
    for (let at = node; at !== ROOT_NODE && this.#lookups[at] === 0 && this.#children[at] === 0; ) {
      const parent = this.#parents[at]! as NodeId;
      freed.push({ node: at, place: this.#places.get(at) });
      this.#remove(at);
      this.#children[parent]!--;
      at = parent;
    }
    return freed;
  }

  #remove(node: NodeId): void {
    const place = this.#places.get(node);
    if (this.#positions[node] === NO_POSITION) {
      if (place?.key !== undefined) this.#virtual.delete(place.key);
    } else {
      this.#removeSlot(this.#slotOf(this.#parents[node]!, this.#positions[node]!));
    }
    this.#places.delete(node);
    this.#parents[node] = FREE;
    this.#freed.push(node);
    this.#used--;
  }

  #newRow(parent: number, position: number, ino: bigint): number {
    const node = this.#freed.pop() ?? this.#appendRow();
    this.#parents[node] = parent;
    this.#positions[node] = position;
    this.#lookups[node] = 0;
    this.#children[node] = 0;
    this.#inos[node] = ino;
    this.#children[parent]!++;
    this.#used++;
    return node;
  }

  #appendRow(): number {
    if (this.#rows === this.#parents.length) this.#grow();
    return this.#rows++;
  }

  #grow(): void {
    const rows = 2 * this.#parents.length;
    this.#parents = grown(this.#parents, new Uint32Array(rows));
    this.#positions = grown(this.#positions, new Uint32Array(rows));
    this.#lookups = grown(this.#lookups, new Uint32Array(rows));
    this.#children = grown(this.#children, new Uint32Array(rows));
    this.#inos = grown(this.#inos, new BigUint64Array(rows));
    const old = this.#slots;
    this.#slots = new Uint32Array(2 * rows);
    for (const node of old) {
      if (node !== FREE) this.#slots[this.#slotOf(this.#parents[node]!, this.#positions[node]!)] = node;
    }
  }

  /** The slot that holds (parent, position), or the free one where it belongs. */
  #slotOf(parent: number, position: number): number {
    const mask = this.#slots.length - 1;
    let slot = this.#home(parent, position);
    for (let node = this.#slots[slot]!; node !== FREE; node = this.#slots[slot]!) {
      if (this.#parents[node] === parent && this.#positions[node] === position) return slot;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #home(parent: number, position: number): number {
    const mixed = Math.imul(parent ^ Math.imul(position + 1, 0x9e3779b1 | 0), 0x85ebca6b | 0);
    return (mixed ^ (mixed >>> 15)) & (this.#slots.length - 1);
  }

  /** Moves the following ones up, so that no search ends at the hole too early (Knuth 6.4, algorithm R). */
  #removeSlot(slot: number): void {
    const mask = this.#slots.length - 1;
    let hole = slot;
    for (let next = (hole + 1) & mask; this.#slots[next] !== FREE; next = (next + 1) & mask) {
      const node = this.#slots[next]!;
      const home = this.#home(this.#parents[node]!, this.#positions[node]!);
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      this.#slots[hole] = node;
      hole = next;
    }
    this.#slots[hole] = FREE;
  }

  #isUsed(node: number): boolean {
    return node > 0 && node < this.#rows && this.#parents[node] !== FREE;
  }

  #check(node: NodeId): void {
    if (this.#isUsed(node)) return;
    throw new NotFoundError(`Cannot look up node ${node}: it is not known any more`);
  }
}

function grown<T extends Uint32Array | BigUint64Array>(from: T, to: T): T {
  to.set(from as Uint32Array & BigUint64Array);
  return to;
}
