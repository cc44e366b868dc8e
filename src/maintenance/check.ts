/**
 * Says whether a repository is whole, in restic's order and words:
 *
 * 1. the index files can be read, and agree with one another;
 * 2. every pack they list is there with its right size;
 * 3. every snapshot and every tree can be read, and every blob they name is in the index;
 * 4. if asked: packs, all or some, are read, and every byte in them is verified.
 *
 * Beside that, and beyond restic, every key file can be read.
 *
 * Nothing is changed. No input makes it fail: what cannot be read is a finding.
 */

import { availableParallelism } from "node:os";
import { awaitedLater } from "../async/awaited-later.js";
import { forEachConcurrently } from "../async/map-concurrently.js";
import { append } from "../bytes/append.js";
import { formatId, type Id, idKey } from "../bytes/id.js";
import { mayBeWhole, messageOf, throwIfAborted, YoreError } from "../errors.js";
import type { IndexedPack } from "../format/index-file.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import { countTrees } from "../repository/count-trees.js";
import type { Repository } from "../repository/repository.js";
import {
  ANY_SNAPSHOT,
  findSnapshot,
  findSnapshotId,
  listSnapshots,
  loadSnapshot,
} from "../repository/snapshots.js";
import { visitTrees } from "../repository/walk-tree.js";
import { checkIndexFiles } from "./check-index.js";
import {
  type CheckHint,
  type CheckOptions,
  type CheckProblem,
  type CheckProgress,
  type CheckSummary,
  type CheckWatch,
  newCheckProgress,
} from "./check-options.js";
import { PackChecker } from "./check-pack.js";
import { type TreeCheck, treeProblems } from "./check-tree.js";
import { type SizedPack, selectPacks } from "./pack-selection.js";
import { sizedPacks } from "./sized-packs.js";

/** Bytes of packs that may be in memory at a time. */
const PACK_MEMORY_BYTES = 256 * 1024 * 1024;

/**
 * Checks a repository. The caller holds an exclusive lock, so that nothing changes meanwhile.
 *
 * @throws {YoreError} `interrupted`; `not-found` or `usage` for a snapshot argument that names none
 */
export async function check(
  repository: Repository,
  options: CheckOptions = {},
  watch: CheckWatch = {},
): Promise<CheckSummary> {
  return new CheckRun(repository, options, watch).run();
}

class CheckRun {
  readonly #repository: Repository;
  readonly #options: CheckOptions;
  readonly #watch: CheckWatch;
  readonly #progress: CheckProgress;
  #errors = 0;
  #orphanedPacks = 0;
  #suggestRepairIndex = false;
  #suggestPrune = false;
  #unusedBlobs = 0;
  #keyErrors = 0;
  #unreadErrors = 0;
  readonly #damagedKeys: Id[] = [];
  readonly #brokenPacks = new Map<string, Id>();
  /** Packs of the index with their sizes. */
  readonly #packs: SizedPack[] = [];
  /** With chosen snapshots, the packs that they need. */
  readonly #usedPacks = new Set<string>();
  /** 1 at the entry of the first copy of each blob that a snapshot needs; `undefined` when nobody asks. */
  #usedMarks: Uint8Array | undefined;

  constructor(repository: Repository, options: CheckOptions, watch: CheckWatch) {
    this.#repository = repository;
    this.#options = options;
    this.#watch = watch;
    this.#progress = watch.progress ?? newCheckProgress();
  }

  async run(): Promise<CheckSummary> {
    // Listed before the index is read, so that every blob of a snapshot that is seen must be in the index.
    const snapshots = await this.#listSnapshots();
    const keys = awaitedLater(this.#checkKeys());
    const isIndexWhole = await this.#checkIndex();
    if (isIndexWhole) {
      await this.#checkPacks();
      const unpin = this.#repository.index.pin();
      try {
        await this.#checkStructure(snapshots);
        this.#findUnused();
      } finally {
        unpin();
      }
      if (this.#options.readData) await this.#readPacks();
    }
    await keys;
    this.#progress.phase = "done";
    return {
      errors: this.#errors,
      keyErrors: this.#keyErrors,
      damagedKeys: this.#damagedKeys,
      unreadErrors: this.#unreadErrors,
      brokenPacks: [...this.#brokenPacks.values()],
      suggestRepairIndex: this.#suggestRepairIndex,
      suggestPrune: this.#suggestPrune,
      orphanedPacks: this.#orphanedPacks,
      stoppedAtIndex: !isIndexWhole,
      packsRead: this.#progress.packs,
      bytesRead: this.#progress.bytes,
      unusedBlobs: this.#unusedBlobs,
    };
  }

  get #isFiltered(): boolean {
    const { snapshots, filter } = this.#options;
    const wanted = [snapshots, filter?.hosts, filter?.tags, filter?.paths];
    return wanted.some((list) => list !== undefined && list.length > 0);
  }

  /** The snapshots to look at; those that cannot be read become problems when their turn comes. */
  async #listSnapshots(): Promise<(LoadedSnapshot | CheckProblem)[]> {
    const { snapshots: names = [], filter = ANY_SNAPSHOT } = this.#options;
    const { signal } = this.#watch;
    const found: (LoadedSnapshot | CheckProblem)[] = [];
    const onError = (id: Id, error: YoreError) => found.push({ kind: "snapshot", id, error });
    if (names.length === 0) {
      append(found, await listSnapshots(this.#repository, filter, { signal, onError }));
      return found;
    }
    for (const name of names) {
      if (name === "latest") {
        found.push((await findSnapshot(this.#repository, name, filter, { signal, onError })).snapshot);
        continue;
      }
      const id = await findSnapshotId(this.#repository, name);
      try {
        found.push(await loadSnapshot(this.#repository, id, signal));
      } catch (error) {
        if (!(error instanceof YoreError) || error.code === "interrupted") throw error;
        onError(id, error);
      }
    }
    return found;
  }

  /** One that is gone meanwhile was removed, which needs no lock. */
  async #checkKeys(): Promise<void> {
    for await (const { id, error } of this.#repository.listKeys()) {
      throwIfAborted(this.#watch.signal);
      if (error && error.code !== "not-found") this.#report({ kind: "key", id, error });
    }
  }

  /** @returns false if an index file is damaged: then everything else would be wrongly missed */
  async #checkIndex(): Promise<boolean> {
    this.#enter("index");
    const { signal } = this.#watch;
    const { problems, hints } = await checkIndexFiles(this.#repository, this.#progress, signal);
    for (const hint of hints) this.#hint(hint);
    for (const problem of problems) this.#report(problem);
    if (problems.some(({ kind }) => kind === "index")) return false;
    for (const { packId, size, isMixed } of sizedPacks(this.#repository.index)) {
      this.#packs.push({ packId, size });
      if (isMixed) this.#hint({ kind: "mixed-pack", packId });
    }
    return true;
  }

  /** Compares the packs of the index with those that are there. */
  async #checkPacks(): Promise<void> {
    this.#enter("packs");
    const sizes = new Map<string, { readonly packId: Id; readonly size: number }>();
    for await (const { id, size } of this.#repository.listFiles("pack")) {
      throwIfAborted(this.#watch.signal);
      sizes.set(idKey(id), { packId: id, size });
    }
    for (const { packId, size: expected } of this.#packs) {
      const found = sizes.get(idKey(packId));
      sizes.delete(idKey(packId));
      if (!found) this.#report({ kind: "pack-missing", packId });
      else if (found.size !== expected)
        this.#report({ kind: "pack-size", packId, expected, found: found.size });
    }
    for (const { packId, size } of sizes.values()) this.#hint({ kind: "orphaned-pack", packId, size });
  }

  async #checkStructure(snapshots: readonly (LoadedSnapshot | CheckProblem)[]): Promise<void> {
    this.#enter("structure");
    const { signal } = this.#watch;
    const readable = snapshots.filter((snapshot) => "tree" in snapshot);
    this.#progress.snapshotsTotal = readable.length;
    this.#progress.treesTotal = countTrees(this.#repository, readable);
    const { index } = this.#repository;
    // Blobs of snapshots that are not looked at are in use as well.
    if (this.#options.findUnused && !this.#isFiltered) this.#usedMarks = new Uint8Array(index.entryEnd);
    // Else nobody wants to know of each blob.
    const needsUse = this.#usedMarks !== undefined || this.#needsUsedPacks;
    const held: TreeCheck = {
      index,
      onContent: needsUse ? (id) => this.#use("data", id) : undefined,
    };
    for (const snapshot of snapshots) if ("kind" in snapshot) this.#report(snapshot);
    await visitTrees(
      this.#repository,
      readable.map(({ tree }) => tree),
      (id, tree) => {
        this.#progress.trees++;
        if (needsUse) this.#use("tree", id);
        if ("error" in tree) {
          const { error } = tree;
          this.#report({ kind: "tree", id, reasons: [messageOf(error)], error });
          return;
        }
        const reasons = treeProblems(tree, held);
        if (reasons.length > 0) this.#report({ kind: "tree", id, reasons });
      },
      { signal, onRoot: () => this.#progress.snapshots++, engine: this.#repository.engine },
    );
  }

  /** Whether the packs that snapshots need are wanted, of which only those are read. */
  get #needsUsedPacks(): boolean {
    return this.#isFiltered && this.#options.readData !== undefined;
  }

  /** Notes that a snapshot needs a blob. */
  #use(type: "data" | "tree", id: Id): void {
    const { index } = this.#repository;
    if (this.#usedMarks) {
      const entry = index.entryOf(type, id);
      if (entry >= 0) this.#usedMarks[entry] = 1;
    }
    if (!this.#needsUsedPacks) return;
    for (const { packId } of index.lookupAll(type, id)) this.#usedPacks.add(idKey(packId));
  }

  #findUnused(): void {
    const { index } = this.#repository;
    const marks = this.#usedMarks ?? new Uint8Array(0);
    for (let entry = 0; entry < marks.length; entry++) {
      if (!index.isLive(entry) || marks[index.firstCopy(entry)] === 1) continue;
      this.#unusedBlobs++;
      const hint = { kind: "unused-blob", type: index.typeOf(entry), id: index.idOf(entry) } as const;
      this.#watch.on?.({ type: "hint", hint });
    }
  }

  async #readPacks(): Promise<void> {
    this.#enter("data");
    const { signal } = this.#watch;
    const isFiltered = this.#isFiltered;
    const candidates = isFiltered
      ? this.#packs.filter(({ packId }) => this.#usedPacks.has(idKey(packId)))
      : this.#packs;
    const chosen = selectPacks(candidates, this.#options.readData!);
    const bytes = sumSizes(chosen);
    this.#progress.packsTotal = chosen.length;
    this.#progress.bytesTotal = bytes;
    const bytesTotal = sumSizes(candidates);
    const packsTotal = candidates.length;
    this.#watch.on?.({ type: "reading", packs: chosen.length, packsTotal, bytes, bytesTotal, isFiltered });
    const largest = chosen.reduce((most, { size }) => Math.max(most, size), 1);
    const checker = new PackChecker(this.#repository, largest);
    const fitting = Math.floor(PACK_MEMORY_BYTES / checker.bytesOfOne);
    // While one is read, every processor has another to verify.
    const worthwhile = Math.max(this.#repository.backend.connections, availableParallelism() + 1);
    const limit = Math.max(1, Math.min(worthwhile, fitting));
    const sizes = new Map(chosen.map(({ packId, size }) => [idKey(packId), size]));
    await forEachConcurrently(
      chosenPacks(this.#repository.index.packs(), sizes),
      limit,
      async ({ pack, size }) => {
        const problem = await checker.check(pack, size, signal);
        this.#progress.packs++;
        this.#progress.bytes += size;
        if (problem) this.#report(problem);
      },
      signal,
    );
  }

  #enter(phase: CheckProgress["phase"]): void {
    throwIfAborted(this.#watch.signal);
    this.#progress.phase = phase;
    this.#watch.on?.({ type: "phase", phase });
  }

  #hint(hint: CheckHint): void {
    if (hint.kind === "duplicate-pack") this.#suggestRepairIndex = true;
    if (hint.kind === "mixed-pack" || hint.kind === "orphaned-pack") this.#suggestPrune = true;
    if (hint.kind === "orphaned-pack") this.#orphanedPacks++;
    this.#watch.on?.({ type: "hint", hint });
  }

  #report(problem: CheckProblem): void {
    this.#errors += problem.kind === "tree" ? problem.reasons.length : 1;
    if (problem.kind === "index" || problem.kind === "index-conflict") this.#suggestRepairIndex = true;
    if (problem.kind === "key") {
      this.#keyErrors++;
      if (problem.error.code === "damaged") this.#damagedKeys.push(problem.id);
    } else if ("error" in problem && problem.error && mayBeWhole(problem.error)) this.#unreadErrors++;
    if (problem.kind === "pack-size" || problem.kind === "pack-data")
      this.#brokenPacks.set(formatId(problem.packId), problem.packId);
    this.#watch.on?.({ type: "problem", problem });
  }
}

function sumSizes(packs: readonly SizedPack[]): number {
  return packs.reduce((sum, { size }) => sum + size, 0);
}

/** The packs that were chosen, with their blobs. */
function* chosenPacks(
  packs: Iterable<IndexedPack>,
  sizes: ReadonlyMap<string, number>,
): IterableIterator<{ readonly pack: IndexedPack; readonly size: number }> {
  for (const pack of packs) {
    const size = sizes.get(idKey(pack.packId));
    if (size !== undefined) yield { pack, size };
  }
}
