import { LRUCache } from "lru-cache";
import { type Id, idKey } from "../bytes/id.js";
import { CompactTree } from "../cache/compact-tree.js";
import { throwIfAborted, YoreError } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import { decodeLoadedTree } from "../repository/load-tree.js";
import type { Repository } from "../repository/repository.js";

/** What is looked for below a tree. */
export interface TreeQuery<T> {
  /** `hits` looks at every node, so that trees are decoded without trying to do without. */
  readonly needsNodes: boolean;
  /**
   * Asked for each node.
   *
   * @param path raw bytes, "/" in front
   * @param node decodes the whole tree when it is first called, so whoever can say no by the path does
   * @param tree the tree that the node stands in
   * @returns what is kept of it, usually nothing
   * @throws what `node` throws
   */
  hits(path: Buffer, node: () => TreeNode, tree: Id): readonly T[];
  /** Asked for each directory: `false` leaves out what is below. */
  descends(path: Buffer): boolean;
}

/** Counters that the search adds to. */
export interface SearchProgress {
  /** Trees loaded. */
  trees: number;
  /** No more than this; 0 before it is known. */
  treesTotal: number;
}

export interface TreeSearchOptions {
  readonly progress?: SearchProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of each tree that cannot be loaded, once; what is below is left out. */
  readonly onError: (tree: Id, path: Buffer, error: YoreError) => void;
}

/** A tree that waits to be loaded, and the places where it stands. */
interface Waiting<T> {
  readonly id: Id;
  readonly places: { readonly path: Buffer; readonly found: Found<T> }[];
}

/** What was found in a directory and below it. */
export class Found<T> implements Iterable<T> {
  /** In the order of the tree; what lies below a directory stands behind it. */
  items: (T | Found<T>)[] = [];

  *[Symbol.iterator](): IterableIterator<T> {
    const levels: Iterator<T | Found<T>>[] = [this.items.values()];
    for (let level = levels.at(-1); level; level = levels.at(-1)) {
      const { value, done } = level.next();
      if (done) levels.pop();
      else if (value instanceof Found) levels.push(value.items.values());
      else yield value;
    }
  }
}

/** Trees kept as they were loaded: one that stands at several places is searched for each, but loaded once. */
const KEPT_BYTES = 32 * 1024 * 1024;

/**
 * Searches trees, those of one snapshot after the other. A directory that did not change is neither loaded nor
 * searched again: what was found below a tree at a path is kept, and handed out again when another snapshot has the
 * same tree there. So the memory grows with the directories (about 200 bytes each) and the hits, not with the files.
 *
 * Trees are loaded level by level, so that those which lie side by side in a pack come with one request.
 */
export class TreeSearch<T> {
  readonly #repository: Repository;
  readonly #query: TreeQuery<T>;
  readonly #options: TreeSearchOptions;
  /** By tree and path. */
  readonly #known = new Map<string, Found<T>>();
  readonly #blobs = new LRUCache<string, Uint8Array>({
    maxSize: KEPT_BYTES,
    maxEntrySize: KEPT_BYTES,
    sizeCalculation: (blob) => blob.length + 1,
  });
  readonly #lost = new Set<string>();
  #waiting = new Map<string, Waiting<T>>();

  constructor(repository: Repository, query: TreeQuery<T>, options: TreeSearchOptions) {
    this.#repository = repository;
    this.#query = query;
    this.#options = options;
  }

  /** All hits below a tree; they belong to the search and must not be changed. */
  async search(root: Id): Promise<Found<T>> {
    const searched: Found<T>[] = [];
    const result = this.#foundAt(root, Buffer.alloc(0));
    while (this.#waiting.size > 0) {
      throwIfAborted(this.#options.signal);
      const level = this.#waiting;
      this.#waiting = new Map();
      for (const { places } of level.values()) for (const { found } of places) searched.push(found);
      await this.#searchLevel(level);
    }
    // From the deepest level up, directories without a hit below them are let go of.
    for (const found of searched.reverse())
      found.items = found.items.filter((item) => !(item instanceof Found) || item.items.length > 0);
    return result;
  }

  #foundAt(tree: Id, path: Buffer): Found<T> {
    const treeKey = idKey(tree);
    const key = treeKey + path.toString("latin1");
    const known = this.#known.get(key);
    if (known) return known;
    const found = new Found<T>();
    this.#known.set(key, found);
    let waiting = this.#waiting.get(treeKey);
    if (!waiting) {
      waiting = { id: tree, places: [] };
      this.#waiting.set(treeKey, waiting);
    }
    waiting.places.push({ path, found });
    return found;
  }

  async #searchLevel(level: ReadonlyMap<string, Waiting<T>>): Promise<void> {
    const toLoad: Id[] = [];
    for (const [key, waiting] of level) {
      const blob = this.#blobs.get(key);
      if (blob) this.#searchTree(waiting, blob);
      else if (!this.#lost.has(key)) toLoad.push(waiting.id);
    }
    if (toLoad.length === 0) return;
    const on = (id: Id, result: { readonly plaintext: Uint8Array } | { readonly error: unknown }) => {
      const key = idKey(id);
      const waiting = level.get(key)!;
      if ("error" in result) this.#lose(key, waiting, result.error);
      else this.#searchLoaded(key, waiting, result.plaintext);
    };
    await this.#repository.loadBlobs("tree", toLoad, on, this.#options.signal);
  }

  #searchLoaded(key: string, waiting: Waiting<T>, blob: Uint8Array): void {
    this.#blobs.set(key, blob);
    if (this.#options.progress) this.#options.progress.trees++;
    this.#searchTree(waiting, blob);
  }

  #searchTree(waiting: Waiting<T>, blob: Uint8Array): void {
    const { id, places } = waiting;
    try {
      const compact = this.#query.needsNodes ? undefined : CompactTree.fromPlain(blob);
      const tree = new SearchedTree(id, blob, compact);
      for (const { path, found } of places) this.#searchAt(path, tree, found);
    } catch (error) {
      this.#lose(idKey(id), waiting, error);
    }
  }

  #searchAt(directory: Buffer, tree: SearchedTree, found: Found<T>): void {
    for (let i = 0; i < tree.length; i++) {
      const path = Buffer.concat([directory, SLASH, tree.name(i)]);
      found.items.push(...this.#query.hits(path, () => tree.node(i), tree.id));
      const subtree = tree.subtree(i);
      if (subtree && this.#query.descends(path)) found.items.push(this.#foundAt(subtree, path));
    }
  }

  #lose(key: string, { id, places }: Waiting<T>, error: unknown): void {
    throwIfAborted(this.#options.signal);
    if (!(error instanceof YoreError)) throw error;
    this.#lost.add(key);
    this.#options.onError(id, places[0]!.path, error);
  }
}

const SLASH = Buffer.from("/");

/**
 * The nodes of a tree, decoded when somebody wants one. Names and subtrees come from the compact form of the addon where
 * it knows the tree: decoding everything to look at names was a third of the time of `find`.
 */
class SearchedTree {
  readonly id: Id;
  readonly length: number;
  readonly #blob: Uint8Array;
  readonly #compact: CompactTree | undefined;
  #nodes: readonly TreeNode[] | undefined;

  /** @throws {FormatError} if there is no compact form, and it is no tree */
  constructor(id: Id, blob: Uint8Array, compact: CompactTree | undefined) {
    this.id = id;
    this.#blob = blob;
    this.#compact = compact;
    this.length = compact?.length ?? this.#decoded().length;
  }

  name(position: number): Buffer {
    return this.#compact?.name(position) ?? this.node(position).name;
  }

  subtree(position: number): Id | undefined {
    if (this.#compact) return this.#compact.subtree(position);
    const node = this.node(position);
    return node.type === "dir" ? node.subtree : undefined;
  }

  node(position: number): TreeNode {
    return this.#decoded()[position]!;
  }

  #decoded(): readonly TreeNode[] {
    this.#nodes ??= decodeLoadedTree(this.id, this.#blob);
    return this.#nodes;
  }
}
