import type { TreeNode } from "../format/node.js";
import { TreeEncoder } from "../format/tree.js";
import { Arrival } from "./arrival.js";

/** A node that is there, or one that is being made. */
export type ComingNode = TreeNode | Arrival;

/**
 * So many nodes wait before those that are there are encoded. Most directories have fewer, whose nodes are encoded at
 * their end. As JSON a node takes some 400 bytes in place of a kilobyte and more of objects.
 */
const ENCODE_FROM = 1024;

/** The tree of a directory whose nodes come one after the other, in their order, and may be there only later. */
export class ComingTree {
  #waiting: ComingNode[] = [];
  #encodeAt = ENCODE_FROM;
  #encoder: TreeEncoder | undefined;
  #count = 0;

  /** Nodes that were pushed. */
  get count(): number {
    return this.#count;
  }

  /** @throws {FormatError} if the nodes are not in the order of their names, or here or in `finish` what one failed with */
  push(node: ComingNode): void {
    this.#count++;
    this.#waiting.push(node);
    if (this.#waiting.length >= this.#encodeAt) this.#encodeSettled();
  }

  /** Waits for the nodes that are not there. @returns the tree @throws what one of them failed with */
  async finish(): Promise<Buffer> {
    const encoder = this.#encoder ?? new TreeEncoder();
    for (const node of this.#waiting) {
      if (node instanceof Arrival && !node.isSettled) await node.settled();
      add(encoder, node);
    }
    this.#waiting = [];
    return encoder.finish();
  }

  #encodeSettled(): void {
    this.#encoder ??= new TreeEncoder();
    let settled = 0;
    for (const node of this.#waiting) {
      if (node instanceof Arrival && !node.isSettled) break;
      add(this.#encoder, node);
      settled++;
    }
    this.#waiting.splice(0, settled);
    // Where the first of many is late, it is not looked at for each that comes.
    this.#encodeAt = this.#waiting.length + ENCODE_FROM;
  }
}

function add(encoder: TreeEncoder, coming: ComingNode): void {
  const node = coming instanceof Arrival ? coming.node : coming;
  if (node) encoder.add(node);
}
