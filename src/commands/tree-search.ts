import { type Id, idFromBytes, idKey } from "../bytes/id.js";
import { bytesOfText } from "../bytes/utf8.js";
import { throwIfAborted, YoreError } from "../errors.js";
import type { Repository } from "../repository/repository.js";
import { type SkimmedNode, SkimmedTree } from "./skimmed-tree.js";

/** What is looked for below a tree. */
export interface TreeQuery<T> {
  /**
   * Asked for each node.
   *
   * @param path as `textKeepingBytes` makes it, "/" in front
   * @param tree the tree that the node stands in
   * @returns what is kept of it, usually nothing
   * @throws what `node.decode` throws
   */
  hits(path: string, node: SkimmedNode, tree: Id): readonly T[];
  /** Asked for each directory: `false` leaves out what is below. */
  descends(path: string): boolean;
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
  readonly places: { readonly path: string; readonly found: Found<T> }[];
}

/** A directory to search. */
class Below {
  readonly tree: Id;
  readonly path: string;

  constructor(tree: Id, path: string) {
    this.tree = tree;
    this.path = path;
  }
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

/**
 * Searches trees, those of one snapshot after the other. A directory that did not change is neither loaded nor
 * searched again: what was found below a tree at a path is kept, and handed out again when another snapshot has the
 * same tree there. So the memory grows with the directories (about 200 bytes each) and the hits, not with the files.
 *
 * Trees are loaded level by level, so that those which lie side by side in a pack come with one request, and one that
 * stands at several places with one for each level. None is kept: fresh memory for 35 MB of them took as long as a fifth of
 * the whole search of 79,000 files.
 */
export class TreeSearch<T> {
  readonly #repository: Repository;
  readonly #query: TreeQuery<T>;
  readonly #options: TreeSearchOptions;
  /** By tree and path. */
  readonly #known = new Map<string, Found<T>>();
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
    const result = this.#foundAt(root, "");
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

  #foundAt(tree: Id, path: string): Found<T> {
    const treeKey = idKey(tree);
    const key = treeKey + path;
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
    for (const [key, waiting] of level) if (!this.#lost.has(key)) toLoad.push(waiting.id);
    if (toLoad.length === 0) return;
    const on = (id: Id, result: { readonly plaintext: Uint8Array } | { readonly error: unknown }) => {
      const key = idKey(id);
      const waiting = level.get(key)!;
      if ("error" in result) this.#lose(key, waiting, result.error);
      else this.#searchTree(waiting, result.plaintext);
    };
    await this.#repository.loadBlobs("tree", toLoad, on, this.#options.signal);
  }

  #searchTree(waiting: Waiting<T>, blob: Uint8Array): void {
    const { id, places } = waiting;
    if (this.#options.progress) this.#options.progress.trees++;
    const tree = new SkimmedTree(id, blob);
    try {
      const items = places.map(({ path }) => this.#searchAt(path, tree));
      // Nothing is found in a tree that ends in something else.
      for (const [i, { found }] of places.entries()) found.items = items[i]!.map((item) => this.#place(item));
    } catch (error) {
      this.#lose(idKey(id), waiting, error);
    } finally {
      tree.close();
    }
  }

  #searchAt(directory: string, tree: SkimmedTree): (T | Below)[] {
    const items: (T | Below)[] = [];
    for (const node of tree) {
      const path = `${directory}/${node.nameText}`;
      for (const hit of this.#query.hits(path, node, tree.id)) items.push(hit);
      const { subtree } = node;
      // A view would keep its neighbours in memory.
      if (subtree && this.#query.descends(path))
        items.push(new Below(idFromBytes(Buffer.from(subtree)), path));
    }
    return items;
  }

  #place(item: T | Below): T | Found<T> {
    return item instanceof Below ? this.#foundAt(item.tree, item.path) : item;
  }

  #lose(key: string, { id, places }: Waiting<T>, error: unknown): void {
    throwIfAborted(this.#options.signal);
    if (!(error instanceof YoreError)) throw error;
    this.#lost.add(key);
    this.#options.onError(id, bytesOfText(places[0]!.path), error);
  }
}
