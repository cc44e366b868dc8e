import type { Id } from "../bytes/id.js";
import type { TreeNode } from "../format/node.js";
import { type BackupProgress, noBlobs } from "./backup-progress.js";
import type { BackupStatistics } from "./backup-statistics.js";
import type { BlobStore } from "./blob-store.js";
import {
  isDirectory,
  isGone,
  isRegularFile,
  isSocket,
  isUnreadable,
  type ScannedEntry,
} from "./file-record.js";
import type { NodeBuilder } from "./node-builder.js";
import { ParentTrees } from "./parent-trees.js";
import { PreviousTree } from "./previous-tree.js";
import { absoluteRaw, displayPath, joinRaw, parentRaw, type RawPath } from "./raw-path.js";
import { type ComingNode, type Place, SaveQueue, type SelectedEntry } from "./save-queue.js";
import type { Scanner } from "./scanner.js";
import type { Selection } from "./selection.js";
import { sortedChildren, type TargetTree } from "./target-tree.js";

/** Sibling directories that are scanned before their turn comes. */
const DIRECTORIES_AHEAD = 4;

export interface ArchiveRunOptions {
  readonly store: BlobStore;
  readonly scanner: Scanner;
  readonly nodes: NodeBuilder;
  readonly selection: Selection;
  readonly statistics: BackupStatistics;
  readonly progress: BackupProgress;
  readonly readConcurrency: number;
  readonly ignoreCtime: boolean;
  readonly ignoreInode: boolean;
  readonly workingFolder: RawPath;
  readonly signal: AbortSignal | undefined;
  /** Something is wrong with an object; unless it is only incomplete, it is left out. */
  readonly onError: (path: RawPath, error: Error) => void;
}

/** What is fetched of a directory before it is walked. */
interface DirectoryAhead {
  readonly entries: Promise<ScannedEntry[]>;
  readonly previous: Promise<PreviousTree>;
}

/**
 * Walks the targets and saves all they consist of. One walk goes through the directories in order, with the
 * next ones scanned ahead; files and trees are saved behind it. Trees are made bottom-up from the nodes in
 * their order, so the result does not depend on what is ready first.
 *
 * Whatever is wrong with one object is reported and leaves that object out. Whatever is wrong with the
 * repository ends the run.
 */
export class ArchiveRun {
  readonly #options: ArchiveRunOptions;
  readonly #parent: ParentTrees;
  readonly #queue: SaveQueue;

  constructor(options: ArchiveRunOptions) {
    this.#options = options;
    this.#parent = new ParentTrees(options);
    this.#queue = new SaveQueue(options);
  }

  /**
   * Saves the root tree. Nothing is under way any more when it returns or throws.
   *
   * @returns its ID, and how many of the targets are in it
   */
  async run(targets: TargetTree, parentTree: Id | undefined): Promise<{ tree: Id; count: number }> {
    try {
      const root = "/" as RawPath;
      const coming = await this.#walkTargets(root, targets, await this.#loadPrevious(parentTree, root));
      const { id, added } = await this.#queue.tree(coming);
      this.#options.statistics.add(added);
      return { tree: id, count: coming.length };
    } catch (error) {
      this.#queue.stop(error);
      await this.#queue.settle();
      this.#queue.throwIfStopped();
      throw error;
    } finally {
      await this.#queue.settle();
    }
  }

  async #walkTargets(
    inSnapshot: RawPath,
    tree: TargetTree,
    previousTree: PreviousTree,
  ): Promise<ComingNode[]> {
    const coming: ComingNode[] = [];
    for (const [name, child] of sortedChildren(tree)) {
      this.#queue.throwIfStopped();
      const previous = previousTree.find(Buffer.from(name, "latin1"));
      const place = { inSnapshot: joinRaw(inSnapshot, name), name, path: child.path ?? child.metadataPath! };
      const node =
        child.path === undefined
          ? await this.#walkPassedThrough(place, child, previous)
          : await this.#walkTarget(place, child.explicit, previous);
      if (node) coming.push(node);
    }
    return coming;
  }

  /** A directory of which only some children are saved, but with its own metadata. */
  async #walkPassedThrough(
    place: Place,
    tree: TargetTree,
    previous: TreeNode | undefined,
  ): Promise<ComingNode> {
    const startedAt = performance.now();
    const record = await this.#options.scanner.statPath(place.path, { follow: true });
    if (isUnreadable(record)) throw record.error;
    if (!isDirectory(record.stat)) throw new Error(`path is not a directory: ${displayPath(place.path)}`);
    const previousTree = await this.#loadPrevious(previous?.subtree, place.inSnapshot);
    const coming = await this.#walkTargets(place.inSnapshot, tree, previousTree);
    return this.#queue.directory({ place, record, previous }, coming, startedAt);
  }

  async #walkTarget(
    place: Place,
    explicit: boolean,
    previous: TreeNode | undefined,
  ): Promise<ComingNode | undefined> {
    const { scanner, selection } = this.#options;
    const absolute = this.#absolute(place.path);
    if (!explicit && selection.excludesPath(absolute)) return undefined;
    const record = await scanner.statPath(place.path);
    if (isUnreadable(record)) {
      if (!explicit && isGone(record.error)) return undefined;
      return this.#report(absolute, record.error);
    }
    if (!explicit) {
      const parent = parentRaw(absolute);
      const parentRecord = await scanner.statPath(parent, { follow: true });
      const parentDevice = isUnreadable(parentRecord) ? undefined : parentRecord.stat.dev;
      const tags = await selection.tagsIn(parent);
      if (selection.excludesObject(absolute, record.stat, tags, parentDevice)) return undefined;
    }
    const entry = { place, record, previous };
    return this.#walkObject(entry, isDirectory(record.stat) ? this.#fetchAhead(entry) : undefined);
  }

  async #walkObject(
    entry: SelectedEntry,
    ahead: DirectoryAhead | undefined,
  ): Promise<ComingNode | undefined> {
    const { place, record } = entry;
    if (isSocket(record.stat)) return undefined;
    if (record.problem) this.#report(place.path, new Error(`incomplete metadata: ${record.problem.message}`));
    if (isRegularFile(record.stat)) return this.#walkFile(entry);
    if (ahead) return this.#walkDirectory(entry, ahead);
    return this.#options.nodes.build(place.name, record);
  }

  /** A file that is known to be unchanged costs nothing; any other is saved behind the walk. */
  async #walkFile(entry: SelectedEntry): Promise<ComingNode> {
    const startedAt = performance.now();
    const { place, record, previous } = entry;
    if (previous && this.#parent.isUnchanged(record, previous)) {
      if (this.#parent.hasContent(previous)) {
        this.#options.progress.bytesDone += previous.size;
        this.#options.statistics.file(place.inSnapshot, previous, previous, noBlobs(), startedAt);
        return { ...this.#options.nodes.build(place.name, record), content: previous.content };
      }
      const path = displayPath(place.path);
      const reason = `parts of ${path} not found in the repository index; storing the file again`;
      this.#report(place.path, new Error(reason));
    }
    return this.#queue.file(entry, startedAt);
  }

  async #walkDirectory(entry: SelectedEntry, ahead: DirectoryAhead): Promise<ComingNode | undefined> {
    const startedAt = performance.now();
    let entries: ScannedEntry[];
    try {
      entries = await ahead.entries;
    } catch (error) {
      if (isGone(error)) return undefined;
      return this.#report(entry.place.path, error as Error);
    }
    const selected = await this.#select(entry, entries, await ahead.previous);
    const coming = await this.#walkChildren(selected);
    return this.#queue.directory(entry, coming, startedAt);
  }

  async #walkChildren(children: readonly SelectedEntry[]): Promise<ComingNode[]> {
    const directories = children.filter((child) => isDirectory(child.record.stat));
    const fetched: DirectoryAhead[] = [];
    const coming: ComingNode[] = [];
    let walked = 0;
    for (const child of children) {
      this.#queue.throwIfStopped();
      while (fetched.length < Math.min(directories.length, walked + DIRECTORIES_AHEAD))
        fetched.push(this.#fetchAhead(directories[fetched.length]!));
      let ahead: DirectoryAhead | undefined;
      if (isDirectory(child.record.stat)) {
        ahead = fetched[walked]!;
        // What was fetched is large, and not to be kept until the last sibling is walked.
        delete fetched[walked++];
      }
      const node = await this.#walkObject(child, ahead);
      if (node) coming.push(node);
    }
    return coming;
  }

  /** What of a directory's entries is to be saved, in order, with the nodes of the parent snapshot. */
  async #select(
    directory: SelectedEntry,
    entries: readonly ScannedEntry[],
    previousTree: PreviousTree,
  ): Promise<SelectedEntry[]> {
    const { selection } = this.#options;
    const { place, record } = directory;
    const absolute = this.#absolute(place.path);
    const tags = await selection.tagsIn(absolute);
    const selected: SelectedEntry[] = [];
    for (const entry of entries) {
      const { name } = entry;
      const path = joinRaw(absolute, name);
      if (selection.excludesPath(path)) continue;
      if (isUnreadable(entry)) {
        if (!isGone(entry.error)) this.#report(path, entry.error);
        continue;
      }
      if (selection.excludesObject(path, entry.stat, tags, record.stat.dev)) continue;
      selected.push({
        place: { inSnapshot: joinRaw(place.inSnapshot, name), path: joinRaw(place.path, name), name },
        record: entry,
        previous: previousTree.find(Buffer.from(name, "latin1")),
      });
    }
    return selected;
  }

  #fetchAhead({ place, previous }: SelectedEntry): DirectoryAhead {
    const ahead = {
      entries: this.#options.scanner.scanDirectory(place.path),
      previous: this.#loadPrevious(previous?.subtree, place.inSnapshot),
    };
    // Awaited when its turn comes, which a stopped run never reaches.
    ahead.entries.catch(() => {});
    return ahead;
  }

  /** The directory in the parent snapshot; without it everything counts as new. */
  async #loadPrevious(tree: Id | undefined, inSnapshot: RawPath): Promise<PreviousTree> {
    try {
      return await this.#parent.load(tree);
    } catch (error) {
      if (!this.#options.signal?.aborted) this.#report(inSnapshot, error as Error);
      return PreviousTree.EMPTY;
    }
  }

  #absolute(path: RawPath): RawPath {
    return absoluteRaw(path, this.#options.workingFolder);
  }

  #report(path: RawPath, error: Error): undefined {
    this.#options.onError(path, error);
    return undefined;
  }
}
