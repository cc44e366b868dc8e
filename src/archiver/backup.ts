/**
 * Makes a snapshot of directories and files. The way of the bytes:
 *
 *     scan (names, metadata) -> select -> unchanged in the parent? -> read -> cut -> hash -> known? -> seal -> pack
 *
 * `ArchiveRun` walks and decides, `SaveQueue` bounds what is under way behind the walk, `FileSaver` and
 * `ContentSaver` read and cut, the repository does the rest. The index is saved before the snapshot, and the
 * snapshot last of all, so that whatever interrupts a backup leaves a repository without a flaw, and what was
 * saved is found again by the next backup.
 */

import { hostname } from "node:os";
import { awaitedLater } from "../async/awaited-later.js";
import { equalIds, formatId, type Id } from "../bytes/id.js";
import { workingFolder } from "../bytes/system-path.js";
import { NotFoundError, throwIfAborted, UsageError } from "../errors.js";
import type { LoadedSnapshot, Snapshot, SnapshotSummary } from "../format/snapshot.js";
import type { Timestamp } from "../format/timestamp.js";
import { timestampNow } from "../repository/clock.js";
import { userName } from "../repository/keys.js";
import type { Repository } from "../repository/repository.js";
import { saveSnapshot } from "../repository/snapshots.js";
import { ArchiveRun } from "./archive-run.js";
import { type BackupEvent, BackupProgress, type BackupSummary } from "./backup-progress.js";
import { BackupStatistics } from "./backup-statistics.js";
import type { BlobStore } from "./blob-store.js";
import { createScanner } from "./create-scanner.js";
import { DryRunStore } from "./dry-run-store.js";
import { estimate } from "./estimate.js";
import { NodeBuilder } from "./node-builder.js";
import { findParentSnapshot, type ParentChoice } from "./parent-snapshot.js";
import { absoluteRaw, displayPath, type RawPath, rawPath } from "./raw-path.js";
import type { Scanner } from "./scanner.js";
import { Selection, type SelectionRules } from "./selection.js";
import { buildTargetTree, type TargetTree } from "./target-tree.js";
import { saveVirtualFile, type VirtualFile } from "./virtual-file.js";

export interface BackupOptions {
  /** Paths as typed, relative ones seen from `workingFolder`; text or bytes. Not used with `virtualFile`. */
  readonly targets: readonly (string | Uint8Array)[];
  /** Saved instead of targets. */
  readonly virtualFile?: VirtualFile | undefined;
  /** What is left out; nothing by default. */
  readonly rules?: Partial<SelectionRules>;
  /** Kept in the snapshot for people to read: the exclude patterns as typed. */
  readonly excludes?: readonly string[];
  /** By default the newest of the same host and paths; `null` for none. */
  readonly parent?: ParentChoice | null;
  /** This machine's name by default. */
  readonly host?: string | undefined;
  readonly tags?: readonly string[];
  /** When the snapshot claims to be made; now by default. */
  readonly time?: Timestamp | undefined;
  /** Keep access times. Default false. */
  readonly withAtime?: boolean;
  readonly ignoreCtime?: boolean;
  readonly ignoreInode?: boolean;
  /** Find out what would be saved, and save nothing. Default false. */
  readonly dryRun?: boolean;
  /** Make no snapshot whose tree equals its parent's. Default false. */
  readonly skipIfUnchanged?: boolean;
  /** Large files read at a time, at least 1; 2 by default. */
  readonly readConcurrency?: number;
  /** Count beforehand what there is to do. Default true. */
  readonly estimate?: boolean;
  /** Report each object that is saved. Default false. */
  readonly reportItems?: boolean;
  /** "yore 0.1.0"; kept in the snapshot. */
  readonly programVersion: string;
}

export interface BackupWatch {
  readonly signal?: AbortSignal | undefined;
  readonly progress?: BackupProgress;
  readonly on?: (event: BackupEvent) => void;
}

const DEFAULT_PARENT: ParentChoice = { groupBy: { host: true, paths: true, tags: false } };
const DEFAULT_READ_CONCURRENCY = 2;

/**
 * Backs up the targets and saves a snapshot. Objects that cannot be read are reported, counted in `errors`
 * and left out. The index need not be loaded before.
 *
 * @throws {UsageError} if there is nothing to save, or two targets want the same place
 * @throws {YoreError} `interrupted`, `no-space`, `backend`: there is no snapshot then, but what was saved is
 *   kept for the next backup
 */
export async function backup(
  repository: Repository,
  options: BackupOptions,
  watch: BackupWatch = {},
): Promise<BackupSummary> {
  return new Backup(repository, options, watch).run();
}

class Backup {
  readonly #repository: Repository;
  readonly #options: BackupOptions;
  readonly #watch: BackupWatch;
  readonly #progress: BackupProgress;
  readonly #statistics: BackupStatistics;
  readonly #scanner: Scanner = createScanner();
  readonly #selection: Selection;
  readonly #workingFolder = rawPath(workingFolder());
  readonly #start = timestampNow();

  constructor(repository: Repository, options: BackupOptions, watch: BackupWatch) {
    this.#repository = repository;
    this.#options = options;
    this.#watch = watch;
    this.#progress = watch.progress ?? new BackupProgress();
    this.#statistics = new BackupStatistics(this.#progress, options.reportItems ? watch.on : undefined);
    const rules = { patterns: [], excludedFolders: [], tagFiles: [], ...options.rules };
    this.#selection = new Selection(
      { ...rules, maxFileBytes: rules.maxFileBytes, oneFileSystem: rules.oneFileSystem ?? false },
      this.#scanner,
      (message) => this.#emit({ type: "warning", message }),
    );
  }

  async run(): Promise<BackupSummary> {
    const { signal } = this.#watch;
    const time = this.#options.time ?? this.#start;
    const paths = this.#paths();
    const host = this.#options.host ?? hostname();
    const tags = this.#options.tags ?? [];
    const choice = this.#options.parent === undefined ? DEFAULT_PARENT : (this.#options.parent ?? undefined);
    const traits = { time, host, paths, tags };
    const parent = await this.#loadIndex(() => findParentSnapshot(this.#repository, choice, traits, signal));
    this.#emit({ type: "parent", id: parent && formatId(parent.id) });
    // The backup is whole all the same: what only a damaged index file knows is saved again.
    for (const { error } of this.#repository.indexProblems)
      this.#emit({ type: "warning", message: `${error.message}; run \`yore check\`` });

    const tree = await this.#archive(time, parent);
    const summary = this.#summarise();
    const skip = this.#options.skipIfUnchanged && parent && equalIds(parent.tree, tree);
    let snapshotId: string | undefined;
    if (!skip && !this.#options.dryRun) {
      throwIfAborted(signal);
      const snapshot: Snapshot = {
        time,
        parent: parent?.id,
        tree,
        paths,
        hostname: host,
        username: userName(),
        uid: process.getuid?.() ?? 0,
        gid: process.getgid?.() ?? 0,
        excludes: [...(this.#options.excludes ?? [])],
        tags: [...tags],
        original: undefined,
        programVersion: this.#options.programVersion,
        summary,
        unknown: {},
      };
      snapshotId = formatId(await saveSnapshot(this.#repository, snapshot));
    }
    return {
      ...summary,
      snapshotId,
      dryRun: this.#options.dryRun ?? false,
      errors: this.#progress.errors,
      seconds: secondsBetween(this.#start, summary.backupEnd),
    };
  }

  /** Loads the index, and finds the parent before it: what a snapshot names, an index knows that is listed later. */
  async #loadIndex(
    findParent: () => Promise<LoadedSnapshot | undefined>,
  ): Promise<LoadedSnapshot | undefined> {
    for (let attempt = 0; attempt < 2; attempt++) {
      const parent = await findParent();
      const isThere = awaitedLater(this.#isThere(parent));
      await this.#repository.loadIndex({ signal: this.#watch.signal });
      if (await isThere) return parent;
      // It was listed before the lock was held, and removed before that too. What is listed next is of now.
    }
    return undefined;
  }

  async #isThere(parent: LoadedSnapshot | undefined): Promise<boolean> {
    if (!parent) return true;
    try {
      await this.#repository.backend.stat({ type: "snapshot", name: formatId(parent.id) });
      return true;
    } catch (error) {
      if (error instanceof NotFoundError) return false;
      throw error;
    }
  }

  /** Saves everything but the snapshot; whatever happens, what was saved is made findable. */
  async #archive(time: Timestamp, parent: LoadedSnapshot | undefined): Promise<Id> {
    if (this.#options.dryRun) {
      const store = new DryRunStore(this.#repository, this.#repository.compression);
      return this.#saveTree(store, time, parent);
    }
    let tree: Id;
    try {
      tree = await this.#saveTree(this.#repository, time, parent);
    } catch (error) {
      // The first failure is what is to be told, also when saving the rest fails because of it.
      await this.#repository.flush().catch(() => {});
      throw error;
    }
    this.#progress.isSavingRest = true;
    await this.#repository.flush();
    return tree;
  }

  async #saveTree(store: BlobStore, time: Timestamp, parent: LoadedSnapshot | undefined): Promise<Id> {
    const { virtualFile, readConcurrency = DEFAULT_READ_CONCURRENCY } = this.#options;
    const { signal } = this.#watch;
    const common = {
      store,
      signal,
      statistics: this.#statistics,
      progress: this.#progress,
      onError: (path: RawPath, error: Error) => this.#onError("archival", path, error),
    };
    if (virtualFile) {
      // How long a stream is nobody knows before its end.
      if (this.#options.estimate !== false)
        this.#emit({
          type: "estimated",
          files: 1,
          bytes: 0,
          seconds: secondsBetween(this.#start, timestampNow()),
        });
      return saveVirtualFile(virtualFile, { ...common, time, parentTree: parent?.tree });
    }

    if (!this.#scanner.readsAttributes) {
      const message = "extended attributes and ACLs are left out, because the native addon is missing";
      this.#emit({ type: "warning", message });
    }
    const targets = this.#options.targets.map(rawPath);
    await this.#selection.prepare(targets.map((path) => absoluteRaw(path, this.#workingFolder)));
    const targetTree = await buildTargetTree(targets, (path) => this.#listNames(path));
    const walk = { scanner: this.#scanner, selection: this.#selection, workingFolder: this.#workingFolder };
    const run = new ArchiveRun({
      ...common,
      ...walk,
      nodes: new NodeBuilder(this.#scanner, { withAtime: this.#options.withAtime ?? false }),
      readConcurrency,
      ignoreCtime: this.#options.ignoreCtime ?? false,
      ignoreInode: this.#options.ignoreInode ?? false,
    });
    const estimating = new AbortController();
    const estimated = this.#estimate(targetTree, estimating.signal);
    try {
      const { tree, count } = await run.run(targetTree, parent?.tree);
      if (count === 0) throw new UsageError("Cannot save the snapshot: it would be empty");
      return tree;
    } finally {
      estimating.abort();
      await estimated;
    }
  }

  async #estimate(targets: TargetTree, signal: AbortSignal): Promise<void> {
    if (this.#options.estimate === false) return;
    const startedAt = performance.now();
    const progress = this.#progress;
    await estimate(targets, {
      scanner: this.#scanner,
      selection: this.#selection,
      progress,
      workingFolder: this.#workingFolder,
      signal,
      onError: (path, error) => this.#onError("scan", path, error),
    });
    if (!progress.totalsKnown) return;
    const seconds = (performance.now() - startedAt) / 1000;
    this.#emit({ type: "estimated", files: progress.totalFiles, bytes: progress.totalBytes, seconds });
  }

  async #listNames(path: RawPath): Promise<string[]> {
    const entries = await this.#scanner.scanDirectory(path, { attributes: false });
    return entries.map((entry) => entry.name);
  }

  /** The paths of the snapshot: absolute, sorted. */
  #paths(): string[] {
    const { virtualFile, targets } = this.#options;
    if (virtualFile) return [displayPath(virtualFile.path)];
    if (targets.length === 0) throw new UsageError("Cannot back up: no files or directories are named");
    return targets
      .map((target) => absoluteRaw(rawPath(target), this.#workingFolder))
      .sort()
      .map(displayPath);
  }

  #summarise(): SnapshotSummary {
    const { files, dirs, added, processedBytes } = this.#statistics;
    // Each blob has an entry in the header of its pack; the entry of a compressed one is longer.
    const entryLength = this.#repository.config.version === 1 ? 37 : 41;
    const headers = (added.dataBlobs + added.treeBlobs) * entryLength;
    return {
      backupStart: this.#start,
      backupEnd: timestampNow(),
      filesNew: files.new,
      filesChanged: files.modified,
      filesUnmodified: files.unchanged,
      dirsNew: dirs.new,
      dirsChanged: dirs.modified,
      dirsUnmodified: dirs.unchanged,
      dataBlobs: added.dataBlobs,
      treeBlobs: added.treeBlobs,
      dataAdded: added.dataBytes + added.treeBytes,
      dataAddedPacked: added.dataPackedBytes + added.treePackedBytes + headers,
      totalFilesProcessed: files.new + files.modified + files.unchanged,
      totalBytesProcessed: processedBytes,
      unknown: {},
    };
  }

  #onError(during: "scan" | "archival", path: RawPath, error: Error): void {
    // The estimate meets the same objects as the backup; only the backup counts.
    if (during === "archival") this.#progress.errors++;
    const item = displayPath(absoluteRaw(path, this.#workingFolder));
    this.#emit({ type: "error", during, item, error });
  }

  #emit(event: BackupEvent): void {
    this.#watch.on?.(event);
  }
}

/** 0 where the clock was set back meanwhile. */
function secondsBetween(start: Timestamp, end: Timestamp): number {
  const ms = 1000 * (end.seconds - start.seconds) + (end.nanoseconds - start.nanoseconds) / 1_000_000;
  return Math.max(0, ms / 1000);
}
