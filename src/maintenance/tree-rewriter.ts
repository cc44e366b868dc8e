import { equalIds, type Id, idKey } from "../bytes/id.js";
import { throwIfAborted, YoreError } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import { encodeTree } from "../format/tree.js";
import { decodeLoadedTree } from "../repository/load-tree.js";
import type { Repository } from "../repository/repository.js";
import { joinPath } from "../repository/tree-cursor.js";

/** What becomes of the nodes of a tree. Paths are raw bytes, names joined by `/`; that of the root is empty. */
export interface RewriteRules {
  /** The node that takes the place of another, which may be the same; `undefined` leaves it out. */
  readonly node: (node: TreeNode, path: Buffer) => TreeNode | undefined;
  /** The nodes that take the place of a tree that is lost or damaged; `undefined` when there is nothing to be had. */
  readonly damagedTree: (path: Buffer, error: YoreError) => readonly TreeNode[] | undefined;
}

export interface TreeRewriterOptions {
  /** Only find out what would come of it; nothing is saved. */
  readonly dryRun: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes new trees out of old ones. A tree in which nothing changes keeps its ID, whatever its JSON looks like: it is not
 * encoded again. A tree that several snapshots share is rewritten once, and told of under its first path.
 */
export class TreeRewriter {
  readonly #repository: Repository;
  readonly #rules: RewriteRules;
  readonly #options: TreeRewriterOptions;
  /** What became of trees that were seen: 120 bytes each. */
  readonly #done = new Map<string, Id | undefined>();

  constructor(repository: Repository, rules: RewriteRules, options: TreeRewriterOptions) {
    this.#repository = repository;
    this.#rules = rules;
    this.#options = options;
  }

  /** @returns the ID of the new tree, which is saved but not flushed; `undefined` when nothing is left of it */
  async rewrite(id: Id, path: Buffer = Buffer.alloc(0)): Promise<Id | undefined> {
    const key = idKey(id);
    if (this.#done.has(key)) return this.#done.get(key);
    const loaded = await this.#load(id);
    // Told of under each path: whoever looks at one snapshot wants to know what it has lost.
    if ("error" in loaded) return this.#replaceDamaged(path, loaded.error);
    const rewritten = await this.#rewriteNodes(id, loaded.nodes, path);
    this.#done.set(key, rewritten);
    return rewritten;
  }

  async #load(id: Id): Promise<{ readonly nodes: readonly TreeNode[] } | { readonly error: YoreError }> {
    const { signal } = this.#options;
    throwIfAborted(signal);
    try {
      return { nodes: decodeLoadedTree(id, await this.#repository.loadBlobAhead("tree", id, signal)) };
    } catch (error) {
      throwIfAborted(signal);
      // A disk that does not answer has lost nothing yet.
      if (!(error instanceof YoreError) || !["damaged", "not-found"].includes(error.code)) throw error;
      return { error };
    }
  }

  async #rewriteNodes(id: Id, nodes: readonly TreeNode[], path: Buffer): Promise<Id | undefined> {
    const kept: TreeNode[] = [];
    let isChanged = false;
    for (const node of nodes) {
      const nodePath = joinPath(path, node.name);
      const ruled = this.#rules.node(node, nodePath);
      const rewritten = ruled?.type === "dir" ? await this.#rewriteDirectory(ruled, nodePath) : ruled;
      if (rewritten !== node) isChanged = true;
      if (rewritten) kept.push(rewritten);
    }
    return isChanged ? this.#save(kept) : id;
  }

  async #rewriteDirectory(node: TreeNode, path: Buffer): Promise<TreeNode | undefined> {
    const subtree = node.subtree
      ? await this.rewrite(node.subtree, path)
      : await this.#replaceDamaged(path, new YoreError("damaged", "the directory has no tree"));
    if (!subtree) return undefined;
    return node.subtree && equalIds(subtree, node.subtree) ? node : { ...node, subtree };
  }

  async #replaceDamaged(path: Buffer, error: YoreError): Promise<Id | undefined> {
    const nodes = this.#rules.damagedTree(path, error);
    return nodes && this.#save(nodes);
  }

  async #save(nodes: readonly TreeNode[]): Promise<Id> {
    const bytes = encodeTree(nodes.toSorted((a, b) => Buffer.compare(a.name, b.name)));
    if (this.#options.dryRun) return this.#repository.engine.hash(bytes);
    return (await this.#repository.saveBlob("tree", bytes)).id;
  }
}
