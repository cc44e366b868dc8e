import { forEachConcurrently } from "../async/map-concurrently.js";
import { equalIds, formatId, formatShortId, type Id, idKey } from "../bytes/id.js";
import {
  DamagedError,
  messageOf,
  NotFoundError,
  systemCodeOf,
  throwIfAborted,
  YoreError,
} from "../errors.js";
import { type PackedBlob, SEAL_LENGTH } from "../format/pack-header.js";
import { textBytes } from "../patterns/mod.js";
import type { Repository } from "../repository/repository.js";
import { type ExistingFile, needsRestore, type WantedContent } from "./existing-file.js";
import type { FileCallFailure } from "./file-call.js";
import { FileCallQueue } from "./file-call-queue.js";
import { FileStatuses } from "./file-statuses.js";
import { FileWriter, type WrittenFile } from "./file-writer.js";
import type { RestoreAction } from "./restore-options.js";
import { parentOf, type TargetFolder } from "./target-folder.js";
import { stopsEverything } from "./tree-walk.js";

/** The name that a file gets which could not be restored wholly. */
const INCOMPLETE_SUFFIX = ".incomplete";
const NAME_MAX_BYTES = 255;
/** System errors after which every other file would fail as well. */
const FULL = new Map([
  ["ENOSPC", "no space is left"],
  ["EDQUOT", "the disk quota is used up"],
  ["EROFS", "it is mounted read-only"],
]);

/** A file whose content is to be written. */
export interface ContentFile extends WrittenFile, WantedContent {
  /** The size that the snapshot tells, for the counters; `size` is what the blobs make. */
  readonly nodeSize: number;
  readonly existing: ExistingFile | undefined;
  /** Its number in `ContentRestorer.statuses`, if owner, times and mode shall be set with the content where they can. */
  readonly status: number | undefined;
}

/** What the run that owns the files wants to know. */
export interface ContentWatch {
  /** Bytes of a file are right now: written, or found. */
  onBytes(count: number): void;
  /** @param hasStatus whether owner, times and mode are set as well */
  onDone(file: ContentFile, action: RestoreAction, hasStatus: boolean): void;
  onError(location: string, error: YoreError): void;
  readonly signal: AbortSignal | undefined;
}

/** Where the blobs of one pack belong: numbers only, since there can be millions of them. */
interface PackPlan {
  readonly packId: Id;
  /** File number, position in its content and offset in the file, in turn. */
  readonly places: number[];
}

/** A blob of the pack that is being restored. */
interface PlannedBlob {
  readonly blob: PackedBlob;
  /** File number and offset in it, in turn. */
  readonly places: number[];
}

interface FileState {
  /** Places that are not through yet. */
  waiting: number;
  /** False when setting owner, times and mode together with the content failed. */
  hasStatus: boolean;
  failures: { readonly offset: number; readonly length: number; readonly error: YoreError }[];
  hasWritten: boolean;
}

/**
 * Writes the content of files. Work is ordered by pack, each pack is read once, and its blobs go to wherever they
 * belong; so a pack is never waited for twice, however scattered the files are. A blob that cannot be loaded costs the
 * files that have it: what could be restored of them stands under a name of its own, never under the right one.
 */
export class ContentRestorer {
  readonly #repository: Repository;
  readonly #target: TargetFolder;
  readonly #watch: ContentWatch;
  readonly #writer: FileWriter;
  readonly #calls: FileCallQueue<number>;
  readonly #sparse: boolean;
  readonly #files: ContentFile[] = [];
  readonly #states: FileState[] = [];
  readonly statuses = new FileStatuses();
  /** Locations of what is left of damaged files. */
  readonly incomplete = new Set<string>();

  constructor(
    repository: Repository,
    target: TargetFolder,
    options: { readonly sparse: boolean; readonly removeFolders: boolean },
    watch: ContentWatch,
  ) {
    this.#repository = repository;
    this.#target = target;
    this.#watch = watch;
    this.#sparse = options.sparse;
    this.#writer = new FileWriter(target, options);
    this.#calls = new FileCallQueue(target.calls, (failure, _call, file) =>
      this.#onCallFailure(failure, file),
    );
  }

  add(file: ContentFile): void {
    this.#files.push(file);
  }

  /** Files that were written wholly. */
  *written(): IterableIterator<ContentFile> {
    for (const [number, state] of this.#states.entries())
      if (state.failures.length === 0 && state.waiting === 0) yield this.#files[number]!;
  }

  async run(): Promise<void> {
    try {
      const plans = await this.#plan();
      const { connections } = this.#repository.backend;
      await forEachConcurrently(plans, connections, (plan) => this.#restorePack(plan), this.#watch.signal);
      await this.#calls.drain();
    } finally {
      await this.#writer.close();
    }
  }

  /** Finds a pack for every blob that is missing, in the order in which the files need them. */
  async #plan(): Promise<IterableIterator<PackPlan>> {
    const plans = new Map<string, PackPlan>();
    for (const [number, file] of this.#files.entries()) {
      throwIfAborted(this.#watch.signal);
      const state: FileState = { waiting: 0, hasStatus: true, failures: [], hasWritten: false };
      this.#states.push(state);
      for (let i = 0, offset = 0; i < file.content.length; offset += file.lengths[i++]!) {
        const length = file.lengths[i]!;
        if (file.existing?.matches?.[i] === 1) this.#watch.onBytes(length);
        else this.#planBlob(plans, number, i, offset);
      }
      if (state.waiting === 0) await this.#restoreWithoutBlobs(number);
    }
    await this.#calls.send();
    return plans.values();
  }

  #planBlob(plans: Map<string, PackPlan>, number: number, position: number, offset: number): void {
    const id = this.#files[number]!.content.at(position);
    const state = this.#states[number]!;
    const found = this.#repository.index.lookup("data", id);
    if (!found) {
      const error = new NotFoundError(`blob ${formatId(id)} is in no index`);
      state.failures.push({ offset, length: 0, error });
      return;
    }
    const key = idKey(found.packId);
    let plan = plans.get(key);
    if (!plan) {
      plan = { packId: found.packId, places: [] };
      plans.set(key, plan);
    }
    plan.places.push(number, position, offset);
    state.waiting++;
  }

  /** The blobs of a plan, each once, with all places where it belongs. */
  #blobsOf({ packId, places }: PackPlan): Map<string, PlannedBlob> {
    const blobs = new Map<string, PlannedBlob>();
    for (let i = 0; i < places.length; i += 3) {
      const id = this.#files[places[i]!]!.content.at(places[i + 1]!);
      const key = idKey(id);
      let planned = blobs.get(key);
      if (!planned) {
        const copies = this.#repository.index.lookupAll("data", id);
        // The index may have been loaded again meanwhile: then any copy will do, the loader finds it.
        const place = copies.find((copy) => equalIds(copy.packId, packId)) ?? copies[0];
        const { offset = 0, length = SEAL_LENGTH, uncompressedLength = 0 } = place ?? {};
        planned = { blob: { type: "data", id, offset, length, uncompressedLength }, places: [] };
        blobs.set(key, planned);
      }
      planned.places.push(places[i]!, places[i + 2]!);
    }
    return blobs;
  }

  /** Empty files, and files that only have to be cut. */
  async #restoreWithoutBlobs(number: number): Promise<void> {
    const file = this.#files[number]!;
    const state = this.#states[number]!;
    if (state.failures.length > 0) return this.#finish(number);
    if (file.content.length === 0 && file.isFresh) return this.#writeWhole(number, new Uint8Array(0));
    state.waiting++;
    await this.#atFile(number, 0, 0, async () => {
      await this.#writer.touch(file);
      state.hasWritten = true;
    });
  }

  async #restorePack(plan: PackPlan): Promise<void> {
    const left = this.#blobsOf(plan);
    plan.places.length = 0;
    const blobs = Array.from(left.values(), ({ blob }) => blob);
    try {
      await this.#repository.loadPackBlobs(
        plan.packId,
        blobs,
        async (blob, result) => {
          const planned = left.get(idKey(blob.id));
          left.delete(idKey(blob.id));
          if (planned) await this.#restoreBlob(plan.packId, planned, result);
        },
        this.#watch.signal,
      );
    } catch (error) {
      throwIfAborted(this.#watch.signal);
      if (stopsEverything(error)) throw error;
      // What was not handed out before the failure is what it cost.
      for (const planned of left.values()) await this.#restoreBlob(plan.packId, planned, { error });
    }
    await this.#calls.send();
  }

  async #restoreBlob(
    packId: Id,
    { blob, places }: PlannedBlob,
    result: { readonly plaintext: Uint8Array } | { readonly error: unknown },
  ): Promise<void> {
    throwIfAborted(this.#watch.signal);
    for (let i = 0; i < places.length; i += 2) {
      const number = places[i]!;
      const offset = places[i + 1]!;
      if ("error" in result) {
        const length = blob.uncompressedLength || blob.length - SEAL_LENGTH;
        this.#states[number]!.failures.push({ offset, length, error: blobError(packId, blob, result.error) });
        await this.#release(number);
      } else {
        const written = this.#writePiece(number, result.plaintext, offset);
        if (written) await written;
      }
    }
    if (this.#calls.isFull) await this.#calls.send();
  }

  #writePiece(number: number, data: Uint8Array, offset: number): Promise<void> | undefined {
    const file = this.#files[number]!;
    if (file.content.length === 1 && file.isFresh && !this.#sparse) {
      this.#states[number]!.waiting--;
      this.#writeWhole(number, data);
      return undefined;
    }
    return this.#atFile(number, offset, data.length, async () => {
      // A file that failed before is not completed: its error says what is missing.
      this.#states[number]!.hasWritten = true;
      await this.#writer.write(file, data, offset);
      this.#watch.onBytes(data.length);
    });
  }

  /** A file in one piece, made together with many others. */
  #writeWhole(number: number, data: Uint8Array): void {
    const file = this.#files[number]!;
    const folder = this.#target.folder(parentOf(file.location));
    const name = textBytes(file.location.slice(file.location.lastIndexOf("/") + 1));
    const status = file.status === undefined ? undefined : this.statuses.at(file.status);
    this.#calls.add(folder, { kind: "write", name, data, status }, number);
    const { length } = data;
    this.#calls.afterwards(() => {
      const state = this.#states[number]!;
      if (state.failures.length > 0) return this.#tell(file, state.failures[0]!.error);
      this.#watch.onBytes(length);
      this.#watch.onDone(file, "restored", status !== undefined && state.hasStatus);
    });
  }

  #onCallFailure({ code, reason, isWritten }: FileCallFailure, number: number): void {
    if (isWritten) {
      this.#states[number]!.hasStatus = false;
      return;
    }
    const { location } = this.#files[number]!;
    const cause = Object.assign(new Error(reason), { code });
    const error = this.#systemError(location, cause);
    if (stopsEverything(error)) throw error;
    this.#states[number]!.failures.push({ offset: 0, length: 0, error });
  }

  /** Does something to a file that may fail for this file only. */
  async #atFile(number: number, offset: number, length: number, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      throwIfAborted(this.#watch.signal);
      const error = this.#systemError(this.#files[number]!.location, cause);
      if (stopsEverything(error)) throw error;
      this.#states[number]!.failures.push({ offset, length, error });
    }
    await this.#release(number);
  }

  async #release(number: number): Promise<void> {
    if (--this.#states[number]!.waiting === 0) await this.#finish(number);
  }

  async #finish(number: number): Promise<void> {
    const file = this.#files[number]!;
    const state = this.#states[number]!;
    try {
      await this.#writer.finish(file);
    } catch (cause) {
      const error = this.#systemError(file.location, cause);
      if (stopsEverything(error)) throw error;
      state.failures.push({ offset: 0, length: 0, error });
    }
    if (state.failures.length === 0) {
      const isUpdate = file.existing !== undefined && needsRestore(file.existing);
      this.#watch.onDone(file, isUpdate ? "updated" : "restored", false);
      return;
    }
    const rest = state.hasWritten ? await this.#setAside(file) : undefined;
    this.#tell(file, incompleteError(state.failures, rest));
  }

  /** Gives what is there of a damaged file another name. @returns how that ended, for people */
  async #setAside(file: ContentFile): Promise<string> {
    const slash = file.location.lastIndexOf("/") + 1;
    const name = textBytes(file.location.slice(slash));
    const fits = name.length + INCOMPLETE_SUFFIX.length <= NAME_MAX_BYTES;
    const kept = fits ? file.location.slice(slash) : formatShortId(name.subarray(0, 8));
    const aside = `${file.location.slice(0, slash)}${kept}${INCOMPLETE_SUFFIX}`;
    try {
      await this.#target.rename(file.location, aside);
      this.incomplete.add(aside);
      return `the other parts are in "${aside}"`;
    } catch (error) {
      return `the other parts stand under its own name, because they cannot be renamed: ${messageOf(error)}`;
    }
  }

  #tell(file: ContentFile, error: YoreError): void {
    this.#watch.onError(file.location, error);
  }

  #systemError(location: string, cause: unknown): YoreError {
    if (cause instanceof YoreError) return cause;
    const full = FULL.get(systemCodeOf(cause) ?? "");
    if (full === undefined)
      return new YoreError("backend", `Cannot write "${location}": ${messageOf(cause)}`, { cause });
    return new YoreError("no-space", `Cannot restore to "${this.#target.root}": ${full}`, {
      cause,
      hint: "Run the same restore again when there is room: what is complete is kept and not written again.",
    });
  }
}

function blobError(packId: Id, blob: PackedBlob, error: unknown): YoreError {
  const where = `blob ${formatId(blob.id)} in pack ${formatId(packId)}`;
  const text = messageOf(error);
  return new DamagedError(text.includes(formatId(blob.id)) ? text : `${where}: ${text}`, { cause: error });
}

function incompleteError(failures: FileState["failures"], rest: string | undefined): YoreError {
  const first = failures[0]!;
  const more = failures.length > 1 ? ` (and ${failures.length - 1} more of its parts)` : "";
  const place = first.length > 0 ? `bytes ${first.offset} to ${first.offset + first.length}` : "its content";
  const tail = rest === undefined ? "" : `; ${rest}`;
  const message = `Cannot restore ${place}: ${first.error.message}${more}${tail}`;
  return new YoreError(first.error.code, message, {
    cause: first.error,
    ...(first.error.hint === undefined ? {} : { hint: first.error.hint }),
  });
}
