import { equalIds, formatShortId, type Id, idKey } from "../bytes/id.js";
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
  /** Whether a directory may be empty afterwards, or else is left out; all may when left out. */
  readonly keepsEmpty?: ((path: Buffer) => boolean) | undefined;
}

/** A tree that was rewritten, and what is in it and below. */
export interface RewrittenTree {
  readonly id: Id;
  readonly files: number;
  /** Of the files. */
  readonly bytes: number;
}

/** Counters of a command that rewrites snapshots. */
export interface RewriteProgress {
  snapshots: number;
  snapshotsTotal: number;
  /** Loaded, and about the most that there can be. */
  trees: number;
  treesTotal: number;
}

export function newRewriteProgress(): RewriteProgress {
  return { snapshots: 0, snapshotsTotal: 0, trees: 0, treesTotal: 0 };
}

export interface TreeRewriterOptions {
  /** Only find out what would come of it; nothing is saved. */
  readonly dryRun: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Of which it adds to the trees. */
  readonly progress?: RewriteProgress | undefined;
  /** The rules look at paths: a tree that stands at several is rewritten for each. False when left out. */
  readonly byPath?: boolean | undefined;
  /** Refuse to change a tree whose JSON has what would be lost when it is encoded again. False when left out. */
  readonly refuseLoss?: boolean | undefined;
}

/**
 * Makes new trees out of old ones. A tree in which nothing changes keeps its ID, whatever its JSON looks like: it is not
 * encoded again. A tree that several snapshots share is rewritten once, and told of under its first path.
 */
export class TreeRewriter {
  readonly #repository: Repository;
  readonly #rules: RewriteRules;
  readonly #options: TreeRewriterOptions;
  /** What became of trees that were seen: 160 bytes each, and their paths where those matter. */
  readonly #done = new Map<string, RewrittenTree | undefined>();

  constructor(repository: Repository, rules: RewriteRules, options: TreeRewriterOptions) {
    this.#repository = repository;
    this.#rules = rules;
    this.#options = options;
  }

  /** @returns the new tree, which is saved but not flushed; `undefined` when nothing is left of it */
  async rewrite(id: Id, path: Buffer = Buffer.alloc(0)): Promise<RewrittenTree | undefined> {
    const key = this.#options.byPath ? idKey(id) + path.toString("latin1") : idKey(id);
    if (this.#done.has(key)) return this.#done.get(key);
    const loaded = await this.#load(id);
    // Told of under each path: whoever looks at one snapshot wants to know what it has lost.
    if ("error" in loaded) return this.#replaceDamaged(path, loaded.error);
    const rewritten = await this.#rewriteNodes(id, loaded, path);
    this.#done.set(key, rewritten);
    return rewritten;
  }

  async #load(id: Id): Promise<Loaded | { readonly error: YoreError }> {
    const { signal, progress } = this.#options;
    throwIfAborted(signal);
    if (progress) progress.trees++;
    try {
      const json = await this.#repository.inOrder.loadBlob("tree", id, signal);
      return { json, nodes: decodeLoadedTree(id, json) };
    } catch (error) {
      throwIfAborted(signal);
      // A disk that does not answer has lost nothing yet.
      if (!(error instanceof YoreError) || !["damaged", "not-found"].includes(error.code)) throw error;
      return { error };
    }
  }

  async #rewriteNodes(id: Id, { json, nodes }: Loaded, path: Buffer): Promise<RewrittenTree | undefined> {
    const kept: TreeNode[] = [];
    let isChanged = false;
    let files = 0;
    let bytes = 0;
    for (const node of nodes) {
      const nodePath = joinPath(path, node.name);
      const ruled = this.#rules.node(node, nodePath);
      const below = ruled?.type === "dir" ? await this.#rewriteDirectory(ruled, nodePath) : undefined;
      const rewritten = ruled?.type === "dir" ? below && withSubtree(ruled, below.id) : ruled;
      if (rewritten !== node) isChanged = true;
      if (!rewritten) continue;
      kept.push(rewritten);
      files += below?.files ?? (rewritten.type === "file" ? 1 : 0);
      bytes += below?.bytes ?? (rewritten.type === "file" ? rewritten.size : 0);
    }
    if (kept.length === 0 && this.#rules.keepsEmpty?.(path) === false) return undefined;
    if (!isChanged) return { id, files, bytes };
    if (this.#options.refuseLoss && !encodeTree(nodes).equals(json))
      throw new YoreError(
        "not-supported",
        `Cannot rewrite tree ${formatShortId(id)} at "/${path}": it has fields that would be lost`,
      );
    return { id: await this.#save(kept), files, bytes };
  }

  #rewriteDirectory(node: TreeNode, path: Buffer): Promise<RewrittenTree | undefined> {
    if (node.subtree) return this.rewrite(node.subtree, path);
    return this.#replaceDamaged(path, new YoreError("damaged", "the directory has no tree"));
  }

  async #replaceDamaged(path: Buffer, error: YoreError): Promise<RewrittenTree | undefined> {
    const nodes = this.#rules.damagedTree(path, error);
    if (!nodes) return undefined;
    const files = nodes.filter(({ type }) => type === "file");
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    return { id: await this.#save(nodes), files: files.length, bytes };
  }

  async #save(nodes: readonly TreeNode[]): Promise<Id> {
    const bytes = encodeTree(nodes.toSorted((a, b) => Buffer.compare(a.name, b.name)));
    if (this.#options.dryRun) return this.#repository.engine.hash(bytes);
    return (await this.#repository.saveBlob("tree", bytes)).id;
  }
}

interface Loaded {
  readonly json: Uint8Array;
  readonly nodes: readonly TreeNode[];
}

function withSubtree(node: TreeNode, subtree: Id): TreeNode {
  return node.subtree && equalIds(subtree, node.subtree) ? node : { ...node, subtree };
}
