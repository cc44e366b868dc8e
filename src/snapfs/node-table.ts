/**
 * What the kernel remembers of us: a row for each object it was told of, found by number (NodeId) or by place (the
 * directory's row and the position in its tree). A row takes about 45 bytes and goes when the kernel has given back
 * all it was handed and no row below is left. What an object *is* stands in no row, but in its tree.
 *
 * ```text
 * NodeId (53 bits):   generation of the row (25) | row (28)
 * ```
 *
 * A freed row is used again under the next generation, so a NodeId never comes to mean another object: an NFS server
 * keeps them longer than the kernel does.
 */

import { NotFoundError } from "../errors.js";
import { type NodeId, ROOT_NODE } from "../fuse/filesystem.js";
import type { Place } from "./place.js";

const FREE = 0;
const FIRST_ROWS = 1024;
/** Position of objects that stand in no tree. */
const NO_POSITION = 0xffffffff;

export interface FreedNode {
  readonly node: NodeId;
  readonly place: Place | undefined;
}

const ROWS = 2 ** 28;
const GENERATIONS = 2 ** 25;

export class NodeTable {
  /** Row of the parent; FREE for a row that is not in use. */
  #parents = new Uint32Array(FIRST_ROWS);
  #positions = new Uint32Array(FIRST_ROWS);
  #generations = new Uint32Array(FIRST_ROWS);
  /** How many the kernel was handed and has not given back. */
  #lookups = new Uint32Array(FIRST_ROWS);
  /** Rows whose parent this is; they keep it. */
  #children = new Uint32Array(FIRST_ROWS);
  #inos = new BigUint64Array(FIRST_ROWS);
  /** Rows by (parent, position), open addressing; half empty at least. */
  #slots = new Uint32Array(2 * FIRST_ROWS);
  /** Of directories and of what stands in no tree, by row. */
  readonly #places = new Map<number, Place>();
  readonly #virtual = new Map<string, number>();
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
    const parentRow = this.#rowOf(parent);
    let row = this.#slots[this.#slotOf(parentRow, position)]!;
    if (row === FREE) {
      row = this.#newRow(parentRow, position, ino);
      // Looked for again: the new row may have made the table larger.
      this.#slots[this.#slotOf(parentRow, position)] = row;
    }
    this.#lookups[row]!++;
    return this.#idOf(row);
  }

  /** The object at a position of a tree, if the kernel was handed it and has not given it back. */
  handedOut(parent: NodeId, position: number): NodeId | undefined {
    const row = this.#slots[this.#slotOf(this.#rowOf(parent), position)]!;
    return row === FREE || this.#lookups[row] === 0 ? undefined : this.#idOf(row);
  }

  /** Hands out an object of a virtual directory once more. `key` tells apart what is of the same name. */
  enterVirtual(parent: NodeId, key: string, ino: bigint, place: Place): NodeId {
    const parentRow = this.#rowOf(parent);
    const fullKey = `${parentRow}/${key}`;
    let row = this.#virtual.get(fullKey);
    if (row === undefined) {
      row = this.#newRow(parentRow, NO_POSITION, ino);
      this.#virtual.set(fullKey, row);
      this.#places.set(row, { ...place, key: fullKey });
    }
    this.#lookups[row]!++;
    return this.#idOf(row);
  }

  /** Hands out an object whose number is known once more. */
  enterAgain(node: NodeId): void {
    this.#lookups[this.#rowOf(node)]!++;
  }

  isKnown(node: NodeId): boolean {
    const row = node % ROWS;
    return this.#isUsed(row) && this.#idOf(row) === node;
  }

  /** @throws {NotFoundError} for a number that is not known any more, as all that follow */
  setPlace(node: NodeId, place: Place): void {
    this.#places.set(this.#rowOf(node), place);
  }

  place(node: NodeId): Place | undefined {
    return this.#places.get(this.#rowOf(node));
  }

  parent(node: NodeId): NodeId {
    return this.#idOf(this.#parents[this.#rowOf(node)]!);
  }

  position(node: NodeId): number {
    return this.#positions[this.#rowOf(node)]!;
  }

  ino(node: NodeId): bigint {
    return this.#inos[this.#rowOf(node)]!;
  }

  /** Takes back `count` of what was handed out. @returns what is free now */
  forget(node: NodeId, count: number): FreedNode[] {
    const freed: FreedNode[] = [];
    let row = node % ROWS;
    if (row === ROOT_NODE || !this.#isUsed(row) || this.#idOf(row) !== node) return freed;
    this.#lookups[row] = Math.max(0, this.#lookups[row]! - count);
    while (row !== ROOT_NODE && this.#lookups[row] === 0 && this.#children[row] === 0) {
      const parent = this.#parents[row]!;
      freed.push({ node: this.#idOf(row), place: this.#places.get(row) });
      this.#remove(row);
      this.#children[parent]!--;
      row = parent;
    }
    return freed;
  }

  #remove(row: number): void {
    const key = this.#places.get(row)?.key;
    if (key !== undefined) this.#virtual.delete(key);
    if (this.#positions[row] !== NO_POSITION)
      this.#removeSlot(this.#slotOf(this.#parents[row]!, this.#positions[row]!));
    this.#places.delete(row);
    this.#parents[row] = FREE;
    this.#generations[row] = (this.#generations[row]! + 1) % GENERATIONS;
    this.#freed.push(row);
    this.#used--;
  }

  #newRow(parent: number, position: number, ino: bigint): number {
    const row = this.#freed.pop() ?? this.#appendRow();
    this.#parents[row] = parent;
    this.#positions[row] = position;
    this.#lookups[row] = 0;
    this.#children[row] = 0;
    this.#inos[row] = ino;
    this.#children[parent]!++;
    this.#used++;
    return row;
  }

  #appendRow(): number {
    if (this.#rows === this.#parents.length) this.#grow();
    return this.#rows++;
  }

  #grow(): void {
    const rows = 2 * this.#parents.length;
    this.#parents = grown(this.#parents, new Uint32Array(rows));
    this.#positions = grown(this.#positions, new Uint32Array(rows));
    this.#generations = grown(this.#generations, new Uint32Array(rows));
    this.#lookups = grown(this.#lookups, new Uint32Array(rows));
    this.#children = grown(this.#children, new Uint32Array(rows));
    this.#inos = grown(this.#inos, new BigUint64Array(rows));
    const old = this.#slots;
    this.#slots = new Uint32Array(2 * rows);
    for (const row of old) {
      if (row !== FREE) this.#slots[this.#slotOf(this.#parents[row]!, this.#positions[row]!)] = row;
    }
  }

  /** The slot that holds (parent, position), or the free one where it belongs. */
  #slotOf(parent: number, position: number): number {
    const mask = this.#slots.length - 1;
    let slot = this.#home(parent, position);
    for (let row = this.#slots[slot]!; row !== FREE; row = this.#slots[slot]!) {
      if (this.#parents[row] === parent && this.#positions[row] === position) return slot;
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
      const row = this.#slots[next]!;
      const home = this.#home(this.#parents[row]!, this.#positions[row]!);
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      this.#slots[hole] = row;
      hole = next;
    }
    this.#slots[hole] = FREE;
  }

  #isUsed(row: number): boolean {
    return row > 0 && row < this.#rows && this.#parents[row] !== FREE;
  }

  #idOf(row: number): NodeId {
    return (row + this.#generations[row]! * ROWS) as NodeId;
  }

  #rowOf(node: NodeId): number {
    if (this.isKnown(node)) return node % ROWS;
    throw new NotFoundError(`Cannot look up node ${node}: it is not known any more`);
  }
}

function grown<T extends Uint32Array | BigUint64Array>(from: T, to: T): T {
  to.set(from as Uint32Array & BigUint64Array);
  return to;
}
