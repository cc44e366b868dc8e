/**
 * Makes known how many subdirectories a tree has, which every stat of its directory shows: nobody knows before the tree was
 * loaded.
 */

import { when } from "../async/when.js";
import type { Id } from "../bytes/id.js";
import type { TreeCache } from "../cache/tree-cache.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import type { Answer } from "../fuse/filesystem.js";
import type { NamedEntry, VirtualDirectory } from "./virtual-directory.js";

/** Trees of subdirectories that a listing loads at once, and how long it waits for them. */
const AHEAD_TREES = 1024;
const AHEAD_WAIT_MS = 100;
/** A list with more snapshots that were never seen loads none: most who list it want no more than the names. */
const AHEAD_ROOTS = 256;
/** Root trees of such a list that are loaded one by one before others are loaded with them: at first so many, then twice. */
const ALONE_ROOTS = 4;
const FIRST_ROOTS = 64;

export class LinkCounts {
  readonly #trees: TreeCache;
  /** The list whose snapshots were asked for last, and how many in a row were not seen. */
  #list: VirtualDirectory | undefined;
  #unseenInARow = 0;
  #isLoadingRoots = false;
  /** Their root trees could not be loaded with others: nobody else waits for them again. */
  readonly #failed = new WeakSet<LoadedSnapshot>();

  constructor(trees: TreeCache) {
    this.#trees = trees;
  }

  isKnown(tree: Id | undefined): boolean {
    return !tree || this.#trees.subdirectories(tree) !== undefined;
  }

  /** @returns false when it cannot be: then a stat shows the least that it could be, and only who opens the directory gets the error */
  see(tree: Id | undefined): Answer<boolean> {
    if (!tree || this.isKnown(tree)) return true;
    return when(
      this.#trees.load(tree),
      () => true,
      () => false,
    );
  }

  /** The same for all directories of a listing, as far as it goes quickly: they are what `ls -l` and `find` ask next. */
  seeAll(trees: readonly Id[]): Answer<void> {
    return this.#loadAhead(trees.filter((id) => !this.isKnown(id)).slice(0, AHEAD_TREES), true);
  }

  /** The same for a list of snapshots, unless there are many. */
  seeRoots(entries: readonly NamedEntry[]): Answer<void> {
    const unseen = this.#unseenRoots(entries, AHEAD_ROOTS + 1).map(({ tree }) => tree);
    if (unseen.length <= AHEAD_ROOTS) return this.#loadAhead(unseen, false);
  }

  /**
   * The same for one snapshot of a list. Who asks for one after the other, as `ls -l` does, has those behind it loaded too:
   * alone each takes as long as a dozen together. `find` goes by st_ino through lists of ten thousand, so the order in which
   * they are asked for tells nothing.
   */
  seeRoot(list: VirtualDirectory, snapshot: LoadedSnapshot): Answer<boolean> {
    const { tree } = snapshot;
    if (this.isKnown(tree)) return true;
    if (list !== this.#list) this.#unseenInARow = 0;
    this.#list = list;
    if (this.#isLoadingRoots) return this.see(tree);
    const more = this.#unseenInARow++ - ALONE_ROOTS;
    if (more < 0) return this.see(tree);
    return when(list.list(), (entries) => {
      const count = Math.min(FIRST_ROOTS * 2 ** Math.min(more, 10), AHEAD_TREES);
      void this.#loadRoots(entries, snapshot, count);
      return this.see(tree);
    });
  }

  async #loadRoots(entries: readonly NamedEntry[], first: LoadedSnapshot, count: number): Promise<void> {
    const unseen = this.#unseenRoots(entries, count, first);
    this.#isLoadingRoots = true;
    await this.#trees.loadAhead(
      unseen.map(({ tree }) => tree),
      false,
    );
    this.#isLoadingRoots = false;
    for (const snapshot of unseen) if (!this.isKnown(snapshot.tree)) this.#failed.add(snapshot);
  }

  /** @param first to begin with; behind the last one comes the first of all */
  #unseenRoots(entries: readonly NamedEntry[], maxCount: number, first?: LoadedSnapshot): LoadedSnapshot[] {
    const roots: LoadedSnapshot[] = [];
    const from = entries.findIndex(({ entry }) => entry.kind === "snapshot" && entry.snapshot === first);
    for (let i = 0; i < entries.length && roots.length < maxCount; i++) {
      const { entry } = entries[(Math.max(0, from) + i) % entries.length]!;
      if (entry.kind !== "snapshot" || this.isKnown(entry.snapshot.tree)) continue;
      if (!this.#failed.has(entry.snapshot)) roots.push(entry.snapshot);
    }
    return roots;
  }

  #loadAhead(unseen: readonly Id[], beside: boolean): Answer<void> {
    if (unseen.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, AHEAD_WAIT_MS);
    });
    return Promise.race([this.#trees.loadAhead(unseen, beside), enough]).finally(() => clearTimeout(timer));
  }
}
