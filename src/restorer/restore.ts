/**
 * Writes a snapshot's tree into a folder, as restic does it:
 *
 * 1. walk the tree: make the folders, compare what is there with what should be, note the files that need content;
 * 2. content: fetch pack by pack, write each blob wherever it belongs (`content-restorer.ts`);
 * 3. walk again: links, devices and fifos, then owners, attributes, times and modes; folders last, on leaving them;
 * 4. if asked: read what was written and compare.
 *
 * What goes wrong with one thing costs that thing. Content that cannot be restored is an error, metadata a warning.
 */

import { Pending } from "../async/pending.js";
import type { Id } from "../bytes/id.js";
import { IdSet } from "../bytes/id-set.js";
import { DamagedError, throwIfAborted, YoreError } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import { timestampNs } from "../format/timestamp.js";
import type { Repository } from "../repository/repository.js";
import { readAccountNames } from "./account-names.js";
import { ContentRestorer } from "./content-restorer.js";
import { needsRestore, type WantedContent } from "./existing-file.js";
import { ExtraRemover } from "./extra-remover.js";
import { EXAMINED_AT_ONCE, FileExaminer, type FoundFile } from "./file-examiner.js";
import { statusOf } from "./file-statuses.js";
import { FolderMaker } from "./folder-maker.js";
import { asRestoreError, MetadataRestorer } from "./metadata-restorer.js";
import {
  newRestoreProgress,
  type RestoreAction,
  type RestoreOptions,
  type RestoreProgress,
  type RestoreSummary,
  type RestoreWatch,
} from "./restore-options.js";
import { parentOf, TargetFolder } from "./target-folder.js";
import { type TreeVisitor, TreeWalk } from "./tree-walk.js";
import { verifyFiles } from "./verify-files.js";

/**
 * Restores a tree. The repository's index must be loaded.
 *
 * @param tree of the snapshot, or of a folder in it
 * @throws {YoreError} `interrupted`, `no-space`, or when the target folder cannot be made; everything else is told to
 * `watch.on` and counted in the summary
 */
export async function restore(
  repository: Repository,
  tree: Id,
  options: RestoreOptions,
  watch: RestoreWatch = {},
): Promise<RestoreSummary> {
  const started = performance.now();
  const run = new RestoreRun(repository, options, watch);
  await run.restore(tree);
  const { phase: _, ...counters } = run.progress;
  return {
    ...counters,
    errors: run.errors,
    warnings: run.warnings,
    durationMs: performance.now() - started,
  };
}

class RestoreRun {
  readonly progress: RestoreProgress;
  errors = 0;
  warnings = 0;
  readonly #repository: Repository;
  readonly #options: RestoreOptions;
  readonly #watch: RestoreWatch;
  readonly #target: TargetFolder;
  readonly #content: ContentRestorer;
  readonly #walk: TreeWalk;
  readonly #examiner: FileExaminer;
  /** The location of each hard-linked file that came first, by inode and device. */
  readonly #firstLinks = new Map<string, string>();
  /** Files whose content is not what it should be: no other name is given to what may still stand there. */
  readonly #withoutContent = new Set<string>();
  /** Files whose content is right, or will be, and whose metadata is to be set in the end: those that have none yet. */
  readonly #tracked = new Set<string>();
  /** Trees of nothing but files that have all their metadata, or get it with their content. */
  readonly #plainTrees = new IdSet();
  /** Folders with something that has to be done in the end. */
  readonly #unfinished = new Set<string>();
  readonly #folders: FolderMaker;

  constructor(repository: Repository, options: RestoreOptions, watch: RestoreWatch) {
    this.#repository = repository;
    this.#options = options;
    this.#watch = watch;
    this.progress = watch.progress ?? newRestoreProgress();
    this.#target = new TargetFolder(options.target);
    this.#examiner = new FileExaminer(this.#target, repository.engine);
    this.#content = new ContentRestorer(
      repository,
      this.#target,
      { sparse: options.sparse ?? false, removeFolders: options.delete ?? false },
      {
        signal: watch.signal,
        onBytes: (count) => {
          this.progress.bytesRestored += count;
        },
        onDone: (location, size, action, hasStatus) => {
          if (!hasStatus) this.#track(location);
          this.#done(action, location, size, true);
        },
        onError: (location, error) => this.#failContent(location, error),
      },
    );
    this.#folders = new FolderMaker(this.#target, options.dryRun ?? false, (location, error) =>
      this.#fail(location, error),
    );
    this.#walk = new TreeWalk(
      repository.inOrder,
      options.select ?? (() => ({ selected: true, childMayBeSelected: true })),
      (location, error) => this.#fail(location, asRestoreError(location, error)),
      watch.signal,
    );
  }

  async restore(tree: Id): Promise<void> {
    const { dryRun, verify } = this.#options;
    if (!dryRun) await this.#target.create();
    await this.#plan(tree);
    if (!dryRun) {
      this.progress.phase = "content";
      await this.#content.run();
    }
    this.progress.phase = "metadata";
    await this.#restoreMetadata(tree);
    if (verify && !dryRun && this.errors === 0) await this.#verify();
    this.progress.phase = "done";
  }

  async #plan(tree: Id): Promise<void> {
    const examined = new Pending(EXAMINED_AT_ONCE);
    /** Folders that were left while their files may still be looked at. */
    const left: { readonly subtree: Id; readonly location: string }[] = [];
    await this.#walk.run(tree, {
      enterFolder: async (_node, location) => {
        if (location !== "/") {
          this.progress.filesTotal++;
          this.#unfinished.add(parentOf(location));
        }
        await this.#folders.ensure(location);
      },
      leaveFolder: (node, location, names) => {
        if (!node?.subtree || !names || this.#unfinished.has(location)) return;
        if (this.#folders.isFresh(location)) this.#plainTrees.add(node.subtree);
        else left.push({ subtree: node.subtree, location });
      },
      visitNode: (node, location, folder) => {
        if (this.#folders.isFresh(folder) === undefined)
          return this.#folders
            .ensure(folder)
            .then(() => this.#planWithOthers(examined, node, location, folder));
        return this.#planWithOthers(examined, node, location, folder);
      },
    });
    await examined.drain();
    for (const { subtree, location } of left)
      if (!this.#unfinished.has(location)) this.#plainTrees.add(subtree);
    await this.#folders.finish();
  }

  /** Plans a node; what stands in its place is looked at while the walk goes on. */
  #planWithOthers(examined: Pending, node: TreeNode, location: string, folder: string): Promise<void> | void {
    const planned = this.#planNode(node, location, folder);
    // In a new folder nothing can be there: no need to wait, and the order of the files is kept.
    return planned && !this.#folders.isFresh(folder) ? examined.add(planned) : planned;
  }

  #track(location: string): void {
    this.#tracked.add(location);
    this.#unfinished.add(parentOf(location));
  }

  /** Counts a node, and plans the content of a file. */
  #planNode(node: TreeNode, location: string, folder: string): Promise<void> | void {
    if (node.type === "file" && this.#isFirstLink(node, location))
      return this.#planFile(node, location, folder);
    this.#unfinished.add(folder);
    this.progress.filesTotal++;
  }

  /** Notes a file with several names; false if another name of it came before. */
  #isFirstLink(node: TreeNode, location: string): boolean {
    if (node.links <= 1) return true;
    const key = linkKey(node);
    if (this.#firstLinks.has(key)) return false;
    this.#firstLinks.set(key, location);
    return true;
  }

  #planFile(node: TreeNode, location: string, folder: string): Promise<void> | void {
    if (!this.#options.dryRun && this.#folders.isFresh(folder) && this.#planSmallFile(node, folder)) {
      if (!this.#canSetStatusAtOnce(node)) this.#unfinished.add(folder);
      return;
    }
    return this.#planAnyFile(node, location, folder);
  }

  /** Plans a file whose name is not taken, if it is a simple one. */
  #planSmallFile(node: TreeNode, folder: string): boolean {
    if (!this.#content.addSmall(folder, node, this.#canSetStatusAtOnce(node))) return false;
    this.progress.filesTotal++;
    this.progress.bytesTotal += node.size;
    return true;
  }

  async #planAnyFile(node: TreeNode, location: string, folder: string): Promise<void> {
    try {
      const isFresh = this.#folders.isFresh(folder) === true;
      if (!isFresh && (await this.#keepsWhatIsThere(node, location))) return this.#skip(location, node.size);
      const wanted = this.#wantedContent(node, location);
      const found = isFresh ? undefined : await this.#examine(node, location, wanted);
      const existing = found?.existing;
      const exists = found !== undefined && found.kind !== "nothing";
      if (existing && !needsRestore(existing)) {
        if (!found.hasStatus) this.#track(location);
        return this.#skip(location, node.size);
      }
      this.#unfinished.add(folder);
      if (!exists && !this.#options.dryRun && this.#planSmallFile(node, folder)) return;
      this.progress.filesTotal++;
      this.progress.bytesTotal += node.size;
      if (this.#options.dryRun) {
        this.progress.bytesRestored += node.size;
        return this.#done(found?.isCompared ? "updated" : "restored", location, node.size, true);
      }
      const keepsContent = existing !== undefined;
      this.#content.add({
        ...wanted,
        location,
        nodeSize: node.size,
        existing,
        isFresh: !exists,
        keepsContent,
        isUpdate: found?.isCompared === true,
      });
    } catch (error) {
      throwIfAborted(this.#watch.signal);
      this.#failContent(location, asRestoreError(location, error));
    }
  }

  /** Whether all metadata of a file is what a new file can be given with its content. */
  #canSetStatusAtOnce(node: TreeNode): boolean {
    const { ownershipByName, selectXattr } = this.#options;
    const isPlain = node.extendedAttributes.length === 0 && (node.content?.length ?? 0) <= 1;
    return isPlain && this.#target.isNative && !ownershipByName && !selectXattr;
  }

  #examine(node: TreeNode, location: string, wanted: WantedContent): Promise<FoundFile> {
    const trustTime = this.#options.overwrite === "if-changed" ? node.mtime : undefined;
    // What has it already is left alone: a program that looks at the time of last change of the status sees no change.
    const status = this.#canSetStatusAtOnce(node) ? statusOf(node) : undefined;
    return this.#examiner.examine(location, wanted, { trustTime, status, signal: this.#watch.signal });
  }

  #wantedContent(node: TreeNode, location: string): WantedContent {
    if (!node.content) throw new DamagedError(`Cannot restore "${location}": the file has no list of blobs`);
    const { content } = node;
    const lengths: number[] = [];
    let size = 0;
    for (const id of content) {
      // A blob that is in no index is told when its turn comes; until then it takes no room.
      const length = this.#repository.blobSize("data", id) ?? 0;
      lengths.push(length);
      size += length;
    }
    return { content, lengths, size };
  }

  /** Whether `overwrite` says to leave alone what is there. */
  async #keepsWhatIsThere(node: TreeNode, location: string): Promise<boolean> {
    const overwrite = this.#options.overwrite ?? "always";
    if (overwrite === "always" || overwrite === "if-changed") return false;
    const status = await this.#target.status(location);
    if (!status) return false;
    return overwrite === "never" || timestampNs(node.mtime) <= status.mtimeNs;
  }

  async #restoreMetadata(tree: Id): Promise<void> {
    const { dryRun, ownershipByName, selectXattr } = this.#options;
    const accounts = ownershipByName ? await readAccountNames() : undefined;
    const metadata = new MetadataRestorer(
      this.#target,
      { accounts, selectXattr },
      {
        onDone: (location) => this.#done("restored", location, 0, false),
        onError: (location, error) => this.#fail(location, error),
        onWarning: (location, error) => this.#warn(location, error),
      },
    );
    if (!dryRun && !this.#target.isNative)
      this.#warn(
        "/",
        new YoreError(
          "native",
          "Cannot set times to the nanosecond: it takes the native addon, without it they are rounded",
        ),
      );
    const extras = this.#extraRemover(metadata);
    const visitor: TreeVisitor = {
      ...(this.#mayStayOut && {
        expects: (subtree) => !this.#plainTrees.has(subtree),
        skips: ({ subtree }, location) =>
          subtree !== undefined && this.#plainTrees.has(subtree) && !this.#unfinished.has(location),
      }),
      visitNode: (node, location) => this.#visitMetadata(metadata, node, location),
      leaveFolder: async (node, location, names) => {
        if (this.#options.delete && names && !this.#walk.isSuspicious) await extras.clean(location, names);
        if (!node || this.#folders.hasFailed(location)) return;
        if (dryRun) this.#done("restored", location, 0, false);
        else await metadata.apply(node, location);
      },
    };
    await this.#walk.run(tree, visitor);
    await metadata.finish();
  }

  /** Whether the second walk may stay out of folders in which everything is done: most have nothing but small files. */
  get #mayStayOut(): boolean {
    const { dryRun, select } = this.#options;
    return !dryRun && !select && !this.#options.delete;
  }

  async #visitMetadata(metadata: MetadataRestorer, node: TreeNode, location: string): Promise<void> {
    const { dryRun } = this.#options;
    const first = node.type === "file" && node.links > 1 ? this.#firstLinks.get(linkKey(node)) : undefined;
    if (node.type === "file" && (first === undefined || first === location)) {
      if (!dryRun && this.#tracked.has(location)) await metadata.apply(node, location);
      return;
    }
    if (await this.#keepsWhatIsThere(node, location))
      return this.#skip(location, node.type === "file" ? 0 : node.size);
    if (first !== undefined && this.#withoutContent.has(first))
      throw new YoreError(
        "backend",
        `Cannot make the hard link "${location}": the content of "${first}" is not restored`,
      );
    if (dryRun) this.#done("restored", location, 0, false);
    else if (first !== undefined) await metadata.link(node, location, first);
    else await metadata.make(node, location);
  }

  #extraRemover(metadata: MetadataRestorer): ExtraRemover {
    const { dryRun, select } = this.#options;
    return new ExtraRemover(this.#target, {
      keeps: (location) =>
        this.#content.incomplete.has(location) || select?.(location, false).selected === false,
      remove: async (location, onRemoved) =>
        dryRun ? onRemoved() : await metadata.remove(location, onRemoved),
      onRemoved: (location) => {
        this.progress.filesDeleted++;
        this.#watch.on?.({ type: "item", action: "deleted", location, size: 0, isFile: false });
      },
      signal: this.#watch.signal,
    });
  }

  async #verify(): Promise<void> {
    let files = 0;
    for (const _ of this.#content.written()) files++;
    this.progress.phase = "verify";
    this.progress.filesToVerify = files;
    this.#watch.on?.({ type: "verifying", files });
    await verifyFiles(this.#examiner, this.#content.written(), {
      signal: this.#watch.signal,
      onVerified: () => this.progress.filesVerified++,
      onError: (location, error) => this.#fail(location, error),
    });
  }

  #skip(location: string, size: number): void {
    this.progress.filesSkipped++;
    this.progress.bytesSkipped += size;
    this.#watch.on?.({ type: "item", action: "unchanged", location, size, isFile: true });
  }

  #done(action: RestoreAction, location: string, size: number, isFile: boolean): void {
    this.progress.filesRestored++;
    this.#watch.on?.({ type: "item", action, location, size, isFile });
  }

  #warn(location: string, error: YoreError): void {
    this.warnings++;
    this.#watch.on?.({ type: "warning", location, error });
  }

  #failContent(location: string, error: YoreError): void {
    this.#withoutContent.add(location);
    this.#fail(location, error);
  }

  #fail(location: string, error: YoreError): void {
    this.errors++;
    this.#watch.on?.({ type: "error", location, error });
  }
}

function linkKey(node: TreeNode): string {
  return `${node.inode} ${node.deviceId}`;
}
