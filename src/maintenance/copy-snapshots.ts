/**
 * Copies snapshots from one repository to another. Trees and blobs are copied as they are, whatever their JSON looks like,
 * so that the copy of a snapshot has the same tree ID. Snapshots are saved when all that they need can be found in the
 * target; whatever stops it, the next attempt goes on from what is there.
 */

import { forEachConcurrently } from "../async/map-concurrently.js";
import { equalIds, formatId, formatShortId, type Id, idKey } from "../bytes/id.js";
import { NotFoundError, throwIfAborted, YoreError } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import type { LoadedSnapshot, Snapshot } from "../format/snapshot.js";
import { compareTimestamps } from "../format/timestamp.js";
import { countTrees } from "../repository/count-trees.js";
import type { Repository } from "../repository/repository.js";
import { saveSnapshot } from "../repository/snapshots.js";
import { visitTrees } from "../repository/walk-tree.js";

/** Snapshots wait for one another until so many packs can be filled. */
const BATCH_PACKS = 100;
/** Packs that are read at a time. */
const READ_AT_ONCE = 4;
/** Plaintext on its way into the target. */
const MAX_BYTES_UNDER_WAY = 32 * 1024 * 1024;
const MAX_BLOBS_UNDER_WAY = 64;

/** Counters that a copy keeps up to date and a renderer polls. */
export interface CopyProgress {
  snapshots: number;
  snapshotsTotal: number;
  /** Read in the source, and the most that there can be. */
  trees: number;
  treesTotal: number;
  /** Of what is copied now; 0 of 0 while it is found out what that is. */
  packs: number;
  packsTotal: number;
  bytes: number;
  bytesTotal: number;
}

export function newCopyProgress(): CopyProgress {
  return {
    snapshots: 0,
    snapshotsTotal: 0,
    trees: 0,
    treesTotal: 0,
    packs: 0,
    packsTotal: 0,
    bytes: 0,
    bytesTotal: 0,
  };
}

export type CopyEvent =
  /** The target has it already, as the other one. */
  | { readonly type: "skipped"; readonly snapshot: LoadedSnapshot; readonly copy: Id }
  | { readonly type: "copying"; readonly snapshot: LoadedSnapshot }
  /** What the snapshots since the last `saved` need and the target lacks; `bytes` as they lie in `packs` of the source. */
  | { readonly type: "blobs"; readonly blobs: number; readonly bytes: number; readonly packs: number }
  | { readonly type: "saved"; readonly snapshot: LoadedSnapshot; readonly copy: Id };

export interface CopyWatch {
  readonly signal?: AbortSignal | undefined;
  readonly progress?: CopyProgress | undefined;
  readonly on?: ((event: CopyEvent) => void) | undefined;
}

export interface CopyResult {
  readonly copied: number;
  readonly skipped: number;
  readonly blobs: number;
  /** As they lay in the packs of the source. */
  readonly bytes: number;
}

/**
 * Copies snapshots. Both indexes must be loaded.
 *
 * @param present snapshots of the target that may be copies already
 * @throws {NotFoundError} or {DamagedError} if the source lacks something: the snapshot is not saved then
 */
export async function copySnapshots(
  source: Repository,
  target: Repository,
  snapshots: readonly LoadedSnapshot[],
  present: readonly LoadedSnapshot[],
  watch: CopyWatch = {},
): Promise<CopyResult> {
  const unpin = source.index.pin();
  try {
    return await new CopyRun(source, target, present, watch).run(snapshots);
  } finally {
    unpin();
  }
}

class CopyRun {
  readonly #source: Repository;
  readonly #target: Repository;
  readonly #watch: CopyWatch;
  readonly #progress: CopyProgress;
  readonly #present = new Map<string, LoadedSnapshot[]>();
  /** By entry of the source's index: 1 for trees that were seen. */
  readonly #seen: Uint8Array;
  /** By entry: 1 for blobs that are to be copied next. */
  readonly #wanted: Uint8Array;
  #wantedBytes = 0;
  #waiting: LoadedSnapshot[] = [];
  readonly #counts = { copied: 0, skipped: 0, blobs: 0, bytes: 0 };

  constructor(source: Repository, target: Repository, present: readonly LoadedSnapshot[], watch: CopyWatch) {
    this.#source = source;
    this.#target = target;
    this.#watch = watch;
    this.#progress = watch.progress ?? newCopyProgress();
    this.#seen = new Uint8Array(source.index.entryEnd);
    this.#wanted = new Uint8Array(source.index.entryEnd);
    for (const snapshot of present) this.#addPresent(snapshot);
  }

  async run(snapshots: readonly LoadedSnapshot[]): Promise<CopyResult> {
    this.#progress.snapshotsTotal = snapshots.length;
    const toCopy = snapshots.filter((snapshot) => !this.#findCopy(snapshot));
    this.#progress.treesTotal = countTrees(this.#source, toCopy);
    const batchBytes = BATCH_PACKS * this.#target.packSizeBytes;
    for (const snapshot of snapshots) {
      throwIfAborted(this.#watch.signal);
      const copy = this.#findCopy(snapshot);
      if (copy) {
        this.#counts.skipped++;
        this.#progress.snapshots++;
        this.#watch.on?.({ type: "skipped", snapshot, copy: copy.id });
        continue;
      }
      this.#watch.on?.({ type: "copying", snapshot });
      await this.#chooseBlobs(snapshot);
      this.#waiting.push(snapshot);
      if (this.#wantedBytes >= batchBytes) await this.#finishBatch();
    }
    await this.#finishBatch();
    return this.#counts;
  }

  #addPresent(snapshot: LoadedSnapshot): void {
    for (const id of snapshot.original ? [snapshot.original, snapshot.id] : [snapshot.id]) {
      const key = idKey(id);
      this.#present.set(key, [...(this.#present.get(key) ?? []), snapshot]);
    }
  }

  #findCopy(snapshot: LoadedSnapshot): LoadedSnapshot | undefined {
    const candidates = this.#present.get(idKey(snapshot.original ?? snapshot.id)) ?? [];
    return candidates.find((candidate) => isSame(candidate, snapshot));
  }

  /** Marks what the target lacks of a snapshot. Trees that were seen below another one are not looked at again. */
  async #chooseBlobs(snapshot: LoadedSnapshot): Promise<void> {
    const { signal } = this.#watch;
    const want = (type: BlobType, id: Id): number => {
      const entry = this.#source.index.entryOf(type, id);
      if (entry < 0 || entry >= this.#wanted.length) throw missingBlob(snapshot, type, id);
      if (this.#wanted[entry] === 0 && !this.#target.index.has(type, id)) {
        this.#wanted[entry] = 1;
        this.#wantedBytes += this.#source.index.lengthOf(entry);
      }
      return entry;
    };
    const isNew = (id: Id): boolean => {
      const entry = want("tree", id);
      if (this.#seen[entry] === 1) return false;
      this.#seen[entry] = 1;
      return true;
    };
    await visitTrees(
      this.#source,
      [snapshot.tree],
      (_, tree) => {
        if ("error" in tree) throw cannotCopy(snapshot, tree.error);
        this.#progress.trees++;
        for (const id of tree.contents) want("data", id);
      },
      { signal, isNew, engine: this.#source.engine },
    );
  }

  /** Copies what is marked, then saves the snapshots that wait for it. */
  async #finishBatch(): Promise<void> {
    if (this.#wantedBytes > 0) await this.#copyBlobs();
    for (const snapshot of this.#waiting.splice(0)) {
      throwIfAborted(this.#watch.signal);
      const { id, ...fields } = snapshot;
      // A parent means nothing in another repository.
      const copied: Snapshot = { ...fields, parent: undefined, original: snapshot.original ?? id };
      const copy = await saveSnapshot(this.#target, copied);
      this.#addPresent({ ...copied, id: copy });
      this.#counts.copied++;
      this.#progress.snapshots++;
      this.#watch.on?.({ type: "saved", snapshot, copy });
    }
  }

  async #copyBlobs(): Promise<void> {
    const { index } = this.#source;
    const { signal } = this.#watch;
    const isWantedPack = new Uint8Array(index.packEnd);
    let packs = 0;
    let blobs = 0;
    for (const [entry, isWanted] of this.#wanted.entries()) {
      const pack = isWanted === 1 ? index.packOf(entry) : -1;
      if (pack < 0) continue;
      blobs++;
      if (isWantedPack[pack] === 1) continue;
      isWantedPack[pack] = 1;
      packs++;
    }
    Object.assign(this.#progress, { packs: 0, packsTotal: packs, bytes: 0, bytesTotal: this.#wantedBytes });
    this.#watch.on?.({ type: "blobs", blobs, bytes: this.#wantedBytes, packs });
    const chosen = {
      pack: (pack: number) => isWantedPack[pack] === 1,
      entry: (entry: number) => this.#wanted[entry] === 1,
    };
    const saves = new BlobSaves(this.#target);
    try {
      await forEachConcurrently(
        index.packs(chosen),
        Math.min(READ_AT_ONCE, Math.max(2, this.#source.backend.connections)),
        async ({ packId, blobs }) => {
          await this.#source.loadPackBlobs(
            packId,
            blobs,
            async ({ type, id, length }, result) => {
              if ("error" in result) throw result.error;
              await saves.add(type, id, result.plaintext);
              this.#progress.bytes += length;
              this.#counts.bytes += length;
              this.#counts.blobs++;
            },
            signal,
          );
          this.#progress.packs++;
        },
        signal,
      );
      await saves.finish();
    } catch (error) {
      // What has come over already is there for the next attempt.
      await saves.finish().catch(() => {});
      await this.#target.flush().catch(() => {});
      throw error;
    }
    await this.#target.flush();
    this.#requireCopies();
    this.#wanted.fill(0);
    this.#wantedBytes = 0;
    Object.assign(this.#progress, { packs: 0, packsTotal: 0, bytes: 0, bytesTotal: 0 });
  }

  /** A snapshot must not be saved before all that it needs. */
  #requireCopies(): void {
    for (const [entry, isWanted] of this.#wanted.entries()) {
      if (isWanted === 0) continue;
      const { type, id } = this.#source.index.blobOf(entry);
      if (!this.#target.index.has(type, id)) throw new Error(`blob ${formatId(id)} was not copied`);
    }
  }
}

/** Saves many blobs at a time, within bounds: one by one they would wait for one another. */
class BlobSaves {
  readonly #target: Repository;
  readonly #underWay = new Set<Promise<void>>();
  #bytes = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(target: Repository) {
    this.#target = target;
  }

  /** Copies the plaintext. Waits while too much is under way. */
  async add(type: BlobType, id: Id, plaintext: Uint8Array): Promise<void> {
    const { length } = plaintext;
    const copy = Buffer.from(plaintext);
    while (
      this.#underWay.size > 0 &&
      (this.#bytes + length > MAX_BYTES_UNDER_WAY || this.#underWay.size >= MAX_BLOBS_UNDER_WAY)
    )
      await Promise.race(this.#underWay);
    if (this.#failure) throw this.#failure.error;
    this.#bytes += length;
    const save: Promise<void> = this.#target.saveBlob(type, copy, id).then(
      () => this.#done(save, length),
      (error: unknown) => {
        this.#failure ??= { error };
        this.#done(save, length);
      },
    );
    this.#underWay.add(save);
  }

  async finish(): Promise<void> {
    await Promise.all(this.#underWay);
    if (this.#failure) throw this.#failure.error;
  }

  #done(save: Promise<void>, length: number): void {
    this.#underWay.delete(save);
    this.#bytes -= length;
  }
}

/** Everything but the ID, the parent and what they were made from is the same. */
function isSame(a: Snapshot, b: Snapshot): boolean {
  return (
    compareTimestamps(a.time, b.time) === 0 &&
    equalIds(a.tree, b.tree) &&
    a.hostname === b.hostname &&
    a.username === b.username &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    sameMembers(a.paths, b.paths) &&
    sameMembers(a.tags, b.tags) &&
    a.excludes.length === b.excludes.length &&
    a.excludes.every((pattern, i) => pattern === b.excludes[i])
  );
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && b.every((member) => a.includes(member));
}

function missingBlob(snapshot: LoadedSnapshot, type: BlobType, id: Id): YoreError {
  const error = new NotFoundError(`no index file knows ${type} blob ${formatId(id)}`);
  return cannotCopy(snapshot, error);
}

function cannotCopy({ id }: LoadedSnapshot, cause: YoreError): YoreError {
  return new YoreError(cause.code, `Cannot copy snapshot ${formatShortId(id)}: ${cause.message}`, {
    cause,
    hint: "`yore check` says what else the source lacks",
  });
}
