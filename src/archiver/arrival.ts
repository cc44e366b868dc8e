import type { TreeNode } from "../format/node.js";

/**
 * A node that is being made, for the one tree that waits for it. A promise would do the same and cost a backup of
 * 79,000 files a second: by the time a tree is made nearly all of its nodes are there, and nobody has to wait.
 */
export class Arrival {
  #node: TreeNode | undefined;
  #failure: { readonly error: unknown } | undefined;
  #isSettled = false;
  #wake: (() => void) | undefined;

  /** @param node `undefined` when it is left out */
  arrive(node: TreeNode | undefined): void {
    this.#node = node;
    this.#settle();
  }

  fail(error: unknown): void {
    this.#failure = { error };
    this.#settle();
  }

  /** False as long as `node` cannot be asked for. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** To be called by one only, and only before it is settled. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** @throws what it failed with */
  get node(): TreeNode | undefined {
    if (this.#failure) throw this.#failure.error;
    return this.#node;
  }

  #settle(): void {
    this.#isSettled = true;
    this.#wake?.();
  }
}
