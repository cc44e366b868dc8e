import type { TreeNode } from "../format/node.js";

/**
 * The nodes of a directory in the parent snapshot, asked for in the order of names: both sides are sorted, so
 * a finger moves along. Names asked for out of order are still found, only slower.
 */
export class PreviousTree {
  static readonly EMPTY = new PreviousTree([]);
  readonly #nodes: readonly TreeNode[];
  #finger = 0;

  constructor(nodes: readonly TreeNode[]) {
    this.#nodes = nodes;
  }

  get nodes(): readonly TreeNode[] {
    return this.#nodes;
  }

  find(name: Buffer): TreeNode | undefined {
    const nodes = this.#nodes;
    if (this.#finger > 0 && Buffer.compare(nodes[this.#finger - 1]!.name, name) >= 0) this.#finger = 0;
    while (this.#finger < nodes.length) {
      const order = Buffer.compare(nodes[this.#finger]!.name, name);
      if (order === 0) return nodes[this.#finger];
      if (order > 0) return undefined;
      this.#finger++;
    }
    return undefined;
  }
}
