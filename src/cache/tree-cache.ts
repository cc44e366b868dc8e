/**
 * Directories in memory: decoded, tidied and compact, bounded in bytes. Beside them it remembers how many
 * subdirectories a tree has long after the tree itself is gone, since every stat of a directory asks for that.
 */

import { setImmediate as nextTurn } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { append } from "../bytes/append.js";
import { MAX_NAME_BYTES } from "../bytes/file-name.js";
import { type Id, idKey } from "../bytes/id.js";
import { cutToBytes } from "../bytes/utf8.js";
import type { TreeNode } from "../format/node.js";
import type { BlobLoader, PackStretch } from "../repository/blob-loader.js";
import { decodeLoadedTree } from "../repository/load-tree.js";
import { CompactTree } from "./compact-tree.js";
import { SharedLoads } from "./shared-loads.js";

export interface TreeCacheOptions {
  /** Bytes of decoded trees that are kept; 16 MiB when left out. */
  readonly maxBytes?: number;
  /** Milliseconds after which a load is given up; 60,000 when left out. */
  readonly timeoutMs?: number;
  /** Another name for an entry, or the same; names that become equal are told apart by a suffix. */
  readonly rename?: (name: Buffer) => Buffer;
}

const DEFAULT_TREE_CACHE_BYTES = 16 * 1024 * 1024;

/** A sixth of the trees of a kernel's source are in one such part of a pack, 2 MiB when they are decoded. */
const STRETCH_BYTES = 512 * 1024;
/** Larger trees are loaded only when somebody asks for them. */
const MAX_NEIGHBOUR_BYTES = 512 * 1024;
/** Stretches that were asked for once. */
const MAX_STRETCHES = 256;
/** Stretches that wait to be loaded, of 512 KiB each. */
const MAX_WALKED = 32;
/** Trees of a stretch that are decoded before others have their turn. */
const TREES_A_TURN = 16;
/**
 * Trees that may be loaded beside others before somebody has to have asked for such. Whoever looks into ten thousand
 * snapshots in no order, a folder or two of each, would have all the others decoded as well, and pushed out again.
 */
const MAX_AHEAD = 4096;
/** How many more may be for each tree that had to be loaded alone, which takes as long as a dozen with others. */
const AHEAD_FOR_ASKED = 4;
/** And for each that was asked for when it was there. */
const AHEAD_FOR_USED = 8;
const MAX_COUNTS = 100_000;
/**
 * Directories larger than a quarter of the bound are kept apart, so many at most, and do not count: every stat and
 * read below such a directory needs it, and to decode a hundred thousand entries each time would never end.
 */
const MAX_LARGE_TREES = 2;
/** Old writers nested at most one such level; a loop of them must end. */
const MAX_FLATTENED_LEVELS = 4;

export class TreeCache {
  readonly #loader: BlobLoader;
  readonly #loads: SharedLoads<CompactTree>;
  readonly #trees: LRUCache<string, CompactTree>;
  readonly #largeTrees = new LRUCache<string, CompactTree>({ max: MAX_LARGE_TREES });
  readonly #largeBytes: number;
  /** With a `max`, all of its memory would be made at once: 30 ms before the first answer of a mount. */
  readonly #subdirectories = new LRUCache<string, number>({ maxSize: MAX_COUNTS, sizeCalculation: () => 1 });
  readonly #stretches = new LRUCache<number, true>({ max: MAX_STRETCHES });
  /** Stretches that somebody walks through, whose trees are still to be loaded. */
  readonly #walked = new Map<number, PackStretch>();
  #isLoadingNeighbours = false;
  /** Those of them that are in memory and were not asked for. */
  readonly #unasked = new Set<string>();
  /** How many more may be loaded. */
  #mayLoad = MAX_AHEAD;
  readonly #rename: ((name: Buffer) => Buffer) | undefined;

  constructor(loader: BlobLoader, options: TreeCacheOptions = {}) {
    this.#loader = loader;
    this.#loads = new SharedLoads(
      loader,
      "tree",
      (id, plaintext) => this.#decodeAndKeep(id, plaintext),
      options,
    );
    this.#rename = options.rename;
    const maxBytes = options.maxBytes ?? DEFAULT_TREE_CACHE_BYTES;
    this.#largeBytes = maxBytes / 4;
    this.#trees = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: (tree) => tree.bytes,
      dispose: (_tree, key) => this.#unasked.delete(key),
    });
  }

  /** The tree if it is in memory, else a promise of it. @throws what the loader and the decoder throw */
  load(id: Id): CompactTree | Promise<CompactTree> {
    const key = idKey(id);
    this.#onAsked(key);
    return this.#kept(key) ?? this.#load(id);
  }

  /** The tree, if it is in memory. */
  peek(id: Id): CompactTree | undefined {
    return this.#kept(idKey(id));
  }

  /** How many subdirectories a tree has, if that was ever seen. */
  subdirectories(id: Id): number | undefined {
    const key = idKey(id);
    this.#onAsked(key);
    return this.#subdirectories.get(key);
  }

  /**
   * Loads trees that will be asked for soon. Never fails.
   *
   * @param beside whether what lies beside them is a guess worth making, as it is for directories of one tree
   */
  async loadAhead(ids: readonly Id[], beside = true): Promise<void> {
    const wanted = ids.filter((id) => !this.#subdirectories.has(idKey(id)));
    if (wanted.length === 0) return;
    const loaded = this.#loads.loadAhead(wanted);
    if (beside) this.#loadNeighbours(wanted);
    await loaded;
  }

  #load(id: Id): Promise<CompactTree> {
    const loaded = this.#loads.load(id);
    // Asked for behind it, but not only when it has come: a distant repository takes its time for each answer.
    this.#loadNeighbours([id]);
    return loaded;
  }

  #onAsked(key: string): void {
    if (this.#unasked.delete(key)) this.#mayLoadMore(AHEAD_FOR_USED);
  }

  #mayLoadMore(count: number): void {
    this.#mayLoad = Math.min(this.#mayLoad + count, MAX_AHEAD);
  }

  /**
   * Trees beside these in stretches of packs that are asked for more than once: writers put the trees of neighbouring
   * directories there side by side, so whoever walks through a snapshot finds most of them loaded.
   */
  #loadNeighbours(ids: readonly Id[]): void {
    this.#mayLoadMore(AHEAD_FOR_ASKED * ids.length);
    for (const id of ids) {
      const stretch = this.#loader.stretch?.("tree", id, STRETCH_BYTES);
      if (!stretch) continue;
      if (!this.#stretches.has(stretch.key)) {
        this.#stretches.set(stretch.key, true);
        continue;
      }
      this.#stretches.delete(stretch.key);
      this.#walked.set(stretch.key, stretch);
      // A walker who is faster has been there already.
      if (this.#walked.size > MAX_WALKED) this.#walked.delete(this.#walked.keys().next().value!);
    }
    // What fails here fails again for whoever really wants it.
    if (this.#walked.size > 0 && !this.#isLoadingNeighbours) void this.#loadWalked().catch(() => undefined);
  }

  /**
   * One stretch after the other, and of each a few trees a turn of the event loop: those who walk must not wait for what they
   * have not come to.
   */
  async #loadWalked(): Promise<void> {
    this.#isLoadingNeighbours = true;
    let count = 0;
    const onDecoded = () => (++count % TREES_A_TURN === 0 ? nextTurn() : undefined);
    try {
      for (const [key, stretch] of this.#walked) {
        this.#walked.delete(key);
        const ids = stretch.ids(MAX_NEIGHBOUR_BYTES).filter((id) => !this.#trees.has(idKey(id)));
        if (ids.length > this.#mayLoad) continue;
        this.#mayLoad -= ids.length;
        const keys = ids.map(idKey);
        for (const key of keys) this.#unasked.add(key);
        await this.#loads.loadAhead(ids, onDecoded);
        for (const key of keys) if (!this.#trees.has(key)) this.#unasked.delete(key);
      }
    } finally {
      this.#isLoadingNeighbours = false;
    }
  }

  #kept(key: string): CompactTree | undefined {
    return this.#trees.get(key) ?? this.#largeTrees.get(key);
  }

  /** Most trees need neither objects nor tidying. */
  #decodeAndKeep(id: Id, plaintext: Uint8Array): CompactTree | Promise<CompactTree> {
    const key = idKey(id);
    const tree = this.#rename ? undefined : CompactTree.fromPlain(plaintext);
    return tree ? this.#keep(key, tree) : this.#tidyAndKeep(key, decodeLoadedTree(id, plaintext));
  }

  async #tidyAndKeep(key: string, stored: readonly TreeNode[]): Promise<CompactTree> {
    const nodes = await this.#flatten(stored, 0);
    return this.#keep(key, CompactTree.from(tidy(nodes, this.#rename)));
  }

  #keep(key: string, tree: CompactTree): CompactTree {
    (tree.bytes > this.#largeBytes ? this.#largeTrees : this.#trees).set(key, tree);
    this.#subdirectories.set(key, tree.subdirectories);
    return tree;
  }

  /** Puts the entries of directories called "." and "/" in their place, as old writers meant them. */
  async #flatten(nodes: readonly TreeNode[], level: number): Promise<readonly TreeNode[]> {
    if (level >= MAX_FLATTENED_LEVELS || !nodes.some(isTransparent)) return nodes;
    const flat: TreeNode[] = [];
    for (const node of nodes) {
      if (!isTransparent(node)) {
        flat.push(node);
        continue;
      }
      const plaintext = await this.#loader.loadBlob("tree", node.subtree!);
      append(flat, await this.#flatten(decodeLoadedTree(node.subtree!, plaintext), level + 1));
    }
    return flat;
  }
}

function isTransparent(node: TreeNode): boolean {
  if (node.type !== "dir" || !node.subtree || node.name.length !== 1) return false;
  return node.name[0] === 0x2e || node.name[0] === 0x2f;
}

/**
 * What a directory can show: base names only, sorted by their bytes, each once (the later entry wins, as in restic),
 * and nothing that has no kind.
 */
function tidy(nodes: readonly TreeNode[], rename: ((name: Buffer) => Buffer) | undefined): TreeNode[] {
  const byName = new Map<string, TreeNode>();
  for (const node of nodes) {
    const name = baseName(node.name);
    if (node.type === "irregular" || !isUsable(name)) continue;
    byName.set(name.toString("latin1"), name === node.name ? node : { ...node, name });
  }
  const shown = [...byName.values()];
  return (rename ? renameAll(shown, rename) : shown).sort((a, b) => Buffer.compare(a.name, b.name));
}

function baseName(name: Buffer): Buffer {
  const slash = name.lastIndexOf(0x2f);
  return slash < 0 ? name : name.subarray(slash + 1);
}

function isUsable(name: Buffer): boolean {
  if (name.length === 0 || name.includes(0)) return false;
  return !(name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e)));
}

/**
 * Names that need no change keep theirs; of those that became equal, the later ones get "~1", "~2". What makes a name too
 * long takes the place of its end: no directory could show it otherwise.
 */
function renameAll(nodes: readonly TreeNode[], rename: (name: Buffer) => Buffer): TreeNode[] {
  const renamed = nodes.map((node) => ({ node, name: rename(node.name) }));
  const taken = new Set<string>();
  for (const { node, name } of renamed) if (name.equals(node.name)) taken.add(name.toString("latin1"));
  return renamed.map(({ node, name }) => {
    if (name.equals(node.name)) return node;
    let unique = cutToBytes(name, MAX_NAME_BYTES);
    for (let i = 1; taken.has(unique.toString("latin1")); i++) {
      const suffix = Buffer.from(`~${i}`);
      unique = Buffer.concat([cutToBytes(name, MAX_NAME_BYTES - suffix.length), suffix]);
    }
    taken.add(unique.toString("latin1"));
    return { ...node, name: unique };
  });
}
