import type { Id } from "../bytes/id.js";
import type { TreeNode } from "../format/node.js";
import { type BackupProgress, noBlobs } from "./backup-progress.js";
import type { BackupStatistics } from "./backup-statistics.js";
import type { BlobStore } from "./blob-store.js";
import { type ComingNode, ComingTree } from "./coming-tree.js";
import {
  type DirectoryAhead,
  DirectoryReadAhead,
  placeIn,
  type ReadDirectory,
} from "./directory-read-ahead.js";
import { DirectoryReader, type SameDirectory } from "./directory-reader.js";
import {
  type FileRecord,
  isDirectory,
  isGone,
  isRegularFile,
  isSocket,
  isUnreadable,
  type ScannedEntry,
} from "./file-record.js";
import { lookAhead } from "./look-ahead.js";
import type { NodeBuilder } from "./node-builder.js";
import { ParentTrees } from "./parent-trees.js";
import type { PreviousTree } from "./previous-tree.js";
import { absoluteRaw, displayPath, joinRaw, parentRaw, type RawPath } from "./raw-path.js";
import { type Place, SaveQueue, type SelectedEntry } from "./save-queue.js";
import type { Scanner } from "./scanner.js";
import type { Selection } from "./selection.js";
import { sortedChildren, type TargetTree } from "./target-tree.js";

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

/** The nodes of a directory, or that it is the same as in the parent snapshot, with all below it. */
type DirectoryContent = ComingTree | "same";

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
  readonly #reader: DirectoryReader;
  readonly #ahead: DirectoryReadAhead;

  constructor(options: ArchiveRunOptions) {
    this.#options = options;
    this.#parent = new ParentTrees(options);
    this.#queue = new SaveQueue(options);
    this.#reader = new DirectoryReader({
      scanner: options.scanner,
      parent: this.#parent,
      mayMatch: (path) =>
        !options.statistics.reportsItems && options.selection.takesAll(this.#absolute(path)),
      onError: (inSnapshot, error) => {
        if (!options.signal?.aborted) this.#report(inSnapshot, error);
      },
    });
    this.#ahead = new DirectoryReadAhead(this.#reader);
  }

  /**
   * Saves the root tree. Nothing is under way any more when it returns or throws.
   *
   * @returns its ID, and how many of the targets are in it
   */
  async run(targets: TargetTree, parentTree: Id | undefined): Promise<{ tree: Id; count: number }> {
    try {
      const root = "/" as RawPath;
      const coming = await this.#walkTargets(root, targets, await this.#reader.previous(parentTree, root));
      const { id, added } = await this.#queue.tree(coming);
      this.#options.statistics.add(added);
      return { tree: id, count: coming.count };
    } catch (error) {
      this.#queue.stop(error);
      await this.#queue.settle();
      this.#queue.throwIfStopped();
      throw error;
    } finally {
      await this.#queue.settle();
    }
  }

  async #walkTargets(inSnapshot: RawPath, tree: TargetTree, previousTree: PreviousTree): Promise<ComingTree> {
    const coming = new ComingTree();
    const { scanner } = this.#options;
    const targetOf = ([, child]: [string, TargetTree]) => (this.#isTaken(child) ? child.path : undefined);
    for await (const [[name, child], record] of lookAhead(scanner, sortedChildren(tree), targetOf)) {
      this.#queue.throwIfStopped();
      const previous = previousTree.find(Buffer.from(name, "latin1"));
      const place = { inSnapshot: joinRaw(inSnapshot, name), name, path: child.path ?? child.metadataPath! };
      if (child.path !== undefined && !record) continue;
      const node = await (record
        ? this.#walkTarget(place, child.explicit, record, previous)
        : this.#walkPassedThrough(place, child, previous));
      if (node) coming.push(node);
    }
    return coming;
  }

  /** What the path of a target says: one that is excluded is not even looked at. */
  #isTaken({ path, explicit }: TargetTree): boolean {
    return path !== undefined && (explicit || !this.#options.selection.excludesPath(this.#absolute(path)));
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
    const previousTree = await this.#reader.previous(previous?.subtree, place.inSnapshot);
    const coming = await this.#walkTargets(place.inSnapshot, tree, previousTree);
    const node = this.#options.nodes.build(place.name, record);
    return this.#queue.directory({ place, node, previous }, coming, startedAt);
  }

  async #walkTarget(
    place: Place,
    explicit: boolean,
    record: ScannedEntry,
    previous: TreeNode | undefined,
  ): Promise<ComingNode | undefined> {
    const { scanner, selection } = this.#options;
    const absolute = this.#absolute(place.path);
    if (isUnreadable(record)) {
      if (!explicit && isGone(record.error)) return undefined;
      return this.#report(absolute, record.error);
    }
    if (!explicit) {
      const parent = parentRaw(absolute);
      const parentRecord = await scanner.statPath(parent, { follow: true });
      const parentDevice = isUnreadable(parentRecord) ? undefined : parentRecord.stat.dev;
      const rules = await selection.rulesIn(parent);
      if (selection.excludesObject(absolute, record.stat, rules, parentDevice)) return undefined;
      if (await selection.ignoresWayTo(absolute)) return undefined;
    }
    const entry = { place, record, previous };
    return this.#walkObject(
      entry,
      isDirectory(record.stat) ? this.#ahead.start(place, previous?.subtree) : undefined,
    );
  }

  /** Without a promise where nothing is to be waited for: for most files of most backups. */
  #walkObject(
    entry: SelectedEntry,
    ahead: DirectoryAhead | undefined,
  ): ComingNode | undefined | Promise<ComingNode | undefined> {
    const { place, record } = entry;
    if (isSocket(record.stat)) return undefined;
    if (record.problem) this.#report(place.path, new Error(`incomplete metadata: ${record.problem.message}`));
    if (isRegularFile(record.stat)) return this.#walkFile(entry);
    if (ahead) return this.#walkDirectory(entry, ahead);
    return this.#options.nodes.build(place.name, record);
  }

  /** A file that is known to be unchanged costs nothing; any other is saved behind the walk. */
  #walkFile(entry: SelectedEntry): ComingNode | Promise<ComingNode> {
    const startedAt = performance.now();
    const { place, record, previous } = entry;
    if (previous && this.#parent.isUnchanged(record, previous)) {
      if (this.#parent.hasContent(previous)) {
        this.#options.progress.bytesDone += previous.size;
        this.#options.statistics.file(place.inSnapshot, previous, previous, noBlobs(), startedAt);
        return this.#options.nodes.build(place.name, record, previous.content);
      }
      const path = displayPath(place.path);
      const reason = `parts of ${path} not found in the repository index; storing the file again`;
      this.#report(place.path, new Error(reason));
    }
    return this.#queue.file(entry, startedAt);
  }

  async #walkDirectory(entry: SelectedEntry, ahead: DirectoryAhead): Promise<ComingNode | undefined> {
    const startedAt = performance.now();
    const { place, record, previous } = entry;
    const content = await this.#walkContent(place, record.stat.dev, ahead);
    if (!content) return undefined;
    const node = this.#options.nodes.build(place.name, record);
    if (content !== "same") return this.#queue.directory({ place, node, previous }, content, startedAt);
    const same = { ...node, subtree: previous!.subtree };
    this.#options.statistics.directory(place.inSnapshot, previous, same, noBlobs(), startedAt);
    return same;
  }

  /** `undefined` for a directory that is gone or cannot be listed. */
  async #walkContent(
    place: Place,
    device: bigint | undefined,
    ahead: DirectoryAhead,
  ): Promise<DirectoryContent | undefined> {
    try {
      const found = await this.#enter(place, ahead);
      if (!found) return undefined;
      if ("directories" in found) return await this.#walkSame(found, ahead);
      return await this.#walkChildren(
        await this.#select(place, device, found.entries),
        found.previous,
        ahead,
      );
    } finally {
      this.#ahead.leave();
    }
  }

  /** What is known of a directory; `undefined` when it is gone or cannot be listed. */
  async #enter(place: Place, ahead: DirectoryAhead): Promise<ReadDirectory | undefined> {
    try {
      return await this.#ahead.enter(ahead);
    } catch (error) {
      return isGone(error) ? undefined : this.#report(place.path, error as Error);
    }
  }

  /**
   * Walks a directory that its tree in the parent snapshot describes: only its subdirectories are looked at. The
   * tree is decoded when one of them has changed.
   */
  async #walkSame(same: SameDirectory, ahead: DirectoryAhead): Promise<DirectoryContent | undefined> {
    const { statistics } = this.#options;
    const { inSnapshot } = ahead.place;
    statistics.unchangedFiles(same.files, same.bytes);
    const changed = new Map<string, ComingNode | undefined>();
    let previousTree: PreviousTree | undefined;
    for (let i = 0; i < same.directories.length; i++) {
      this.#queue.throwIfStopped();
      const startedAt = performance.now();
      const below = this.#ahead.next(ahead);
      const { place } = below;
      const content = await this.#walkContent(place, undefined, below);
      if (content === "same") {
        statistics.unchangedDirectory();
        continue;
      }
      previousTree ??= await this.#reader.previous(same.tree, inSnapshot);
      const node = previousTree.find(Buffer.from(place.name, "latin1"));
      // It could be read before: now everything in it counts as new.
      if (!node) return this.#walkContent(ahead.place, undefined, this.#ahead.start(ahead.place, undefined));
      const coming =
        content && (await this.#queue.directory({ place, node, previous: node }, content, startedAt));
      changed.set(place.name, coming);
    }
    return previousTree ? replaceNodes(previousTree.nodes, changed) : "same";
  }

  /** A directory may have 100,000 children: what is known of one besides its record is made when its turn comes. */
  async #walkChildren(
    children: readonly FileRecord[],
    previousTree: PreviousTree,
    ahead: DirectoryAhead,
  ): Promise<ComingTree> {
    const previous = ({ name }: FileRecord) => previousTree.find(Buffer.from(name, "latin1"));
    const directories = children.filter((record) => isDirectory(record.stat));
    this.#ahead.expect(
      ahead,
      directories.map((record) => ({ name: record.name, tree: previous(record)?.subtree })),
    );
    const coming = new ComingTree();
    for (const record of children) {
      this.#queue.throwIfStopped();
      const below = isDirectory(record.stat) ? this.#ahead.next(ahead) : undefined;
      const place = below?.place ?? placeIn(ahead.place, record.name);
      let node = this.#walkObject({ place, record, previous: previous(record) }, below);
      if (node instanceof Promise) node = await node;
      if (node) coming.push(node);
    }
    return coming;
  }

  /** What of a directory's entries is to be saved, in order. */
  async #select(
    place: Place,
    device: bigint | undefined,
    entries: readonly ScannedEntry[],
  ): Promise<FileRecord[]> {
    const { selection } = this.#options;
    const absolute = this.#absolute(place.path);
    const rules = await selection.rulesIn(absolute);
    const selected: FileRecord[] = [];
    for (const entry of entries) {
      const path = joinRaw(absolute, entry.name);
      if (selection.excludesPath(path)) continue;
      if (isUnreadable(entry)) {
        if (!isGone(entry.error)) this.#report(path, entry.error);
        continue;
      }
      if (!selection.excludesObject(path, entry.stat, rules, device)) selected.push(entry);
    }
    return selected;
  }

  #absolute(path: RawPath): RawPath {
    return absoluteRaw(path, this.#options.workingFolder);
  }

  #report(path: RawPath, error: Error): undefined {
    this.#options.onError(path, error);
    return undefined;
  }
}

/** @param changed by name, raw bytes as a Latin-1 string; `undefined` for what is left out */
function replaceNodes(
  nodes: readonly TreeNode[],
  changed: ReadonlyMap<string, ComingNode | undefined>,
): ComingTree {
  const tree = new ComingTree();
  for (const node of nodes) {
    const name = node.name.toString("latin1");
    const coming = changed.has(name) ? changed.get(name) : node;
    if (coming) tree.push(coming);
  }
  return tree;
}
