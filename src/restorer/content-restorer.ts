import { forEachConcurrently } from "../async/map-concurrently.js";
import { formatId, type Id, IdList } from "../bytes/id.js";
import {
  DamagedError,
  messageOf,
  NotFoundError,
  systemCodeOf,
  throwIfAborted,
  YoreError,
} from "../errors.js";
import type { TreeNode } from "../format/node.js";
import type { PackedBlob } from "../format/pack-header.js";
import { plainLengthOf } from "../repository/blob-groups.js";
import type { PackBlobResult, TakeSealed } from "../repository/pack-blobs.js";
import type { Repository } from "../repository/repository.js";
import { BlobPlaces, type PackPlan, type PlannedBlob } from "./blob-places.js";
import type { ExistingFile, WantedContent } from "./existing-file.js";
import type { FileCallFailure } from "./file-call.js";
import { FileCallQueue } from "./file-call-queue.js";
import { type FileIdentity, FileWriter, isFile, type WrittenFile } from "./file-writer.js";
import { IdStore } from "./id-store.js";
import { PartWriter } from "./part-writer.js";
import type { RestoreAction } from "./restore-options.js";
import { SetAside } from "./set-aside.js";
import { SmallFiles } from "./small-files.js";
import type { TargetFolder } from "./target-folder.js";
import { stopsEverything } from "./tree-walk.js";

/** System errors after which every other file would fail as well. */
const FULL = new Map([
  ["ENOSPC", ["no space is left", "there is room"]],
  ["EDQUOT", ["the disk quota is used up", "there is room"]],
  ["EROFS", ["it is mounted read-only", "it can be written"]],
]);

/** A file that is written piece by piece, or into what is there. */
export interface ContentFile extends WrittenFile, WantedContent {
  /** The size that the snapshot tells, for the counters; `size` is what the blobs make. */
  readonly nodeSize: number;
  readonly existing: ExistingFile | undefined;
  /** Whether it is told as an update of a file that was there. */
  readonly isUpdate: boolean;
}

/** What the run that owns the files wants to know. */
export interface ContentWatch {
  /** Bytes of a file are right now: written, or found. */
  onBytes(count: number): void;
  /**
   * @param size that the snapshot tells
   * @param hasStatus whether owner, times and mode are set as well
   */
  onDone(location: string, size: number, action: RestoreAction, hasStatus: boolean): void;
  onError(location: string, error: YoreError): void;
  readonly signal: AbortSignal | undefined;
}

interface FileState {
  /** Places that are not through yet. */
  waiting: number;
  failures: { readonly offset: number; readonly length: number; readonly error: YoreError }[];
  hasWritten: boolean;
}

/**
 * Writes the content of files. Work is ordered by pack, each pack is read once, and its blobs go to wherever they
 * belong; so a pack is never waited for twice, however scattered the files are. A blob that cannot be loaded costs the
 * files that have it: what could be restored of them stands under a name of its own, never under the right one.
 *
 * Places name files by number: 0 and above in `#files`, below in `#small` (`~number`).
 */
export class ContentRestorer {
  readonly #repository: Repository;
  readonly #target: TargetFolder;
  readonly #watch: ContentWatch;
  readonly #writer: FileWriter;
  readonly #parts: PartWriter | undefined;
  readonly #calls: FileCallQueue<number>;
  readonly #sparse: boolean;
  readonly #places = new BlobPlaces();
  readonly #ids = new IdStore();
  readonly #files: ContentFile[] = [];
  readonly #states: FileState[] = [];
  readonly #small = new SmallFiles();
  /** Small files that could not be written, with the reason. */
  readonly #failedSmall = new Map<number, YoreError>();
  /** Small files with a status that could not be set. */
  readonly #withoutStatus = new Set<number>();
  readonly #aside: SetAside;

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
    this.#aside = new SetAside(target, (location) => this.#isPlanned(location));
    this.#writer = new FileWriter(target, options);
    this.#calls = new FileCallQueue(target.calls, (failure, _call, file) =>
      this.#onCallFailure(failure, file),
    );
    this.#parts = PartWriter.create(repository, target, this.#places, this.#small, {
      fileOf: (file) => this.#files[file]!,
      writer: this.#writer,
      sparse: options.sparse,
      onWritten: (place, isStatusSet) => this.#onPartWritten(place, isStatusSet),
      onFailed: (place, code, reason) => this.#onPartFailed(place, code, reason),
    });
  }

  /** Locations of what is left of damaged files. */
  get incomplete(): ReadonlySet<string> {
    return this.#aside.locations;
  }

  /**
   * Adds a new file of one blob or none, if it is such a one; everything else is for `add`.
   *
   * @param hasStatus whether it shall get owner, times and mode with the content
   */
  addSmall(folder: string, node: TreeNode, hasStatus: boolean): boolean {
    const { content } = node;
    // What is written by the file system calls of Node.js has no holes unless it is written piece by piece.
    if (!content || content.length > 1 || (this.#sparse && !this.#parts)) return false;
    if (content.length === 0) {
      this.#small.add(folder, node, undefined, hasStatus);
      return true;
    }
    const id = content.at(0);
    const location = this.#repository.index.lookup("data", id);
    if (!location) return false;
    const place = this.#places.add(id, location, ~this.#small.length, 0);
    this.#small.add(folder, node, place, hasStatus);
    return true;
  }

  /** @param file whose `content` is copied */
  add(file: ContentFile): void {
    const number = this.#files.length;
    const state: FileState = { waiting: 0, failures: [], hasWritten: false };
    const content = this.#ids.keep(file.content);
    this.#files.push({ ...file, content });
    this.#states.push(state);
    for (let i = 0, offset = 0; i < content.length; offset += file.lengths[i++]!) {
      const length = file.lengths[i]!;
      const location =
        file.existing?.matches?.[i] === 1 ? undefined : this.#repository.index.lookup("data", content.at(i));
      if (location) {
        this.#places.add(content.at(i), location, number, offset);
        state.waiting++;
      } else if (file.existing?.matches?.[i] === 1) {
        this.#watch.onBytes(length);
      } else {
        const error = new NotFoundError(`blob ${formatId(content.at(i))} is in no index`);
        state.failures.push({ offset, length: 0, error });
      }
    }
  }

  /** Files that were written wholly. */
  *written(): IterableIterator<WantedContent & { readonly location: string }> {
    for (const [number, state] of this.#states.entries())
      if (state.failures.length === 0 && state.waiting === 0) yield this.#files[number]!;
    for (let file = 0; file < this.#small.length; file++) {
      if (this.#failedSmall.has(file)) continue;
      const place = this.#small.place(file);
      const size = place === undefined ? 0 : this.#places.plainLengthOf(place);
      const content = place === undefined ? IdList.EMPTY : new IdList(this.#places.idOf(place));
      yield {
        location: this.#small.location(file),
        content,
        lengths: place === undefined ? [] : [size],
        size,
      };
    }
  }

  async run(): Promise<void> {
    try {
      await this.#restoreWithoutBlobs();
      const { connections } = this.#repository.backend;
      const { signal } = this.#watch;
      await forEachConcurrently(this.#places.packs(), connections, (plan) => this.#restorePack(plan), signal);
      await this.#calls.drain();
    } finally {
      await this.#writer.close();
    }
  }

  /** Empty files, files that only have to be cut, and files of which nothing can be found. */
  async #restoreWithoutBlobs(): Promise<void> {
    const { signal } = this.#watch;
    for (let file = 0; file < this.#small.length; file++) {
      throwIfAborted(signal);
      if (this.#small.place(file) === undefined) this.#writeSmall(file, new Uint8Array(0));
      if (this.#calls.isFull) await this.#calls.send();
    }
    for (const [number, state] of this.#states.entries()) {
      throwIfAborted(signal);
      if (state.waiting > 0) continue;
      if (state.failures.length > 0) {
        await this.#finish(number);
        continue;
      }
      state.waiting++;
      await this.#atFile(number, 0, 0, async () => {
        await this.#writer.touch(this.#files[number]!);
        state.hasWritten = true;
      });
    }
    await this.#calls.send();
  }

  async #restorePack(plan: PackPlan): Promise<void> {
    const { packId } = plan;
    const { signal } = this.#watch;
    const blobs = this.#places.blobsOf(plan);
    const left = new Set(blobs);
    const onBlob = async (blob: PlannedBlob, result: PackBlobResult) => {
      left.delete(blob);
      await this.#restoreBlob(packId, blob, result);
    };
    try {
      const { repository, parts } = { repository: this.#repository, parts: this.#parts };
      if (parts) {
        const take: TakeSealed<PlannedBlob> = async (taken, sealed, places) => {
          throwIfAborted(signal);
          const failures = await parts.write(taken, sealed, places);
          for (const [i, blob] of taken.entries()) if (failures[i] === undefined) left.delete(blob);
          return failures;
        };
        await repository.takePackBlobs(packId, blobs, take, onBlob, signal);
      } else {
        await repository.loadPackBlobs(packId, blobs, onBlob, signal);
      }
    } catch (error) {
      throwIfAborted(signal);
      if (stopsEverything(error)) throw error;
      // What was not handed out before the failure is what it cost.
      for (const blob of left) await this.#restoreBlob(packId, blob, { error });
    }
    await this.#calls.send();
  }

  async #restoreBlob(
    packId: Id,
    blob: PlannedBlob,
    result: { readonly plaintext: Uint8Array } | { readonly error: unknown },
  ): Promise<void> {
    throwIfAborted(this.#watch.signal);
    for (const place of blob.places) {
      if ("error" in result) await this.#onBlobLost(place, packId, blob, result.error);
      else await this.#writePlace(place, result.plaintext);
    }
    if (this.#calls.isFull) await this.#calls.send();
  }

  async #onBlobLost(place: number, packId: Id, blob: PackedBlob, cause: unknown): Promise<void> {
    const number = this.#places.fileOf(place);
    const offset = this.#places.fileOffsetOf(place);
    const failure = { offset, length: plainLengthOf(blob), error: blobError(packId, blob, cause) };
    if (number < 0) return this.#failSmall(~number, incompleteError([failure], undefined));
    this.#states[number]!.failures.push(failure);
    await this.#release(number);
  }

  async #writePlace(place: number, data: Uint8Array): Promise<void> {
    const number = this.#places.fileOf(place);
    if (number < 0) return this.#writeSmall(~number, data);
    const offset = this.#places.fileOffsetOf(place);
    await this.#atFile(number, offset, data.length, async () => {
      // A file that failed before is not completed: its error says what is missing.
      this.#states[number]!.hasWritten = true;
      await this.#writer.write(this.#files[number]!, data, offset);
      this.#watch.onBytes(data.length);
    });
  }

  /** Makes a small file together with many others. */
  #writeSmall(file: number, data: Uint8Array): void {
    const name = Buffer.from(this.#small.name(file));
    const status = this.#small.status(file);
    this.#calls.add(
      this.#target.folder(this.#small.folder(file)),
      { kind: "write", name, data, status },
      file,
    );
    const { length } = data;
    this.#calls.afterwards(() => {
      const error = this.#failedSmall.get(file);
      if (error) return this.#watch.onError(this.#small.location(file), error);
      this.#onSmallDone(file, length, status !== undefined && !this.#withoutStatus.has(file));
    });
  }

  #onCallFailure({ code, reason, isWritten }: FileCallFailure, file: number): void {
    if (isWritten) this.#withoutStatus.add(file);
    else this.#failedSmall.set(file, this.#systemErrorOf(this.#small.location(file), code, reason));
  }

  #onSmallDone(file: number, length: number, hasStatus: boolean): void {
    this.#watch.onBytes(length);
    this.#watch.onDone(this.#small.location(file), this.#small.nodeSize(file), "restored", hasStatus);
  }

  #failSmall(file: number, error: YoreError): void {
    this.#failedSmall.set(file, error);
    this.#watch.onError(this.#small.location(file), error);
  }

  async #onPartWritten(place: number, isStatusSet: boolean): Promise<void> {
    const number = this.#places.fileOf(place);
    const length = this.#places.plainLengthOf(place);
    if (number < 0)
      return this.#onSmallDone(~number, length, isStatusSet && this.#small.status(~number) !== undefined);
    this.#states[number]!.hasWritten = true;
    this.#watch.onBytes(length);
    await this.#release(number);
  }

  async #onPartFailed(place: number, code: string, reason: string): Promise<void> {
    const number = this.#places.fileOf(place);
    if (number < 0) {
      const error = this.#systemErrorOf(this.#small.location(~number), code, reason);
      return this.#failSmall(~number, error);
    }
    const error = this.#systemErrorOf(this.#files[number]!.location, code, reason);
    const state = this.#states[number]!;
    // Part of it may have been.
    state.hasWritten = true;
    const length = this.#places.plainLengthOf(place);
    state.failures.push({ offset: this.#places.fileOffsetOf(place), length, error });
    await this.#release(number);
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
    const begun = this.#writer.begun(file);
    try {
      await this.#writer.finish(file);
    } catch (cause) {
      const error = this.#systemError(file.location, cause);
      if (stopsEverything(error)) throw error;
      state.failures.push({ offset: 0, length: 0, error });
    }
    if (state.failures.length === 0) {
      this.#watch.onDone(file.location, file.nodeSize, file.isUpdate ? "updated" : "restored", false);
      return;
    }
    const rest = begun && (await this.#withdraw(file, begun, state.hasWritten));
    this.#watch.onError(file.location, incompleteError(state.failures, rest));
  }

  #isPlanned(location: string): boolean {
    return this.#small.has(location) || this.#files.some((file) => file.location === location);
  }

  /** Takes a damaged file from its name. @returns what is left of it, for people */
  async #withdraw(file: ContentFile, begun: FileIdentity, hasWritten: boolean): Promise<string | undefined> {
    if (hasWritten || file.keepsContent) return this.#aside.keep(file.location, begun);
    // Nothing of it is good: it was only made.
    if (!isFile(await this.#target.status(file.location), begun)) return undefined;
    return this.#target.remove(file.location, false).then(
      () => undefined,
      () => this.#aside.keep(file.location, begun),
    );
  }

  /** @throws what stops everything */
  #systemErrorOf(location: string, code: string, reason: string): YoreError {
    const error = this.#systemError(location, Object.assign(new Error(reason), { code }));
    if (stopsEverything(error)) throw error;
    return error;
  }

  #systemError(location: string, cause: unknown): YoreError {
    if (cause instanceof YoreError) return cause;
    const full = FULL.get(systemCodeOf(cause) ?? "");
    if (full === undefined)
      return new YoreError("backend", `Cannot write "${location}": ${messageOf(cause)}`, { cause });
    const [reason, remedy] = full;
    return new YoreError("no-space", `Cannot restore to "${this.#target.root}": ${reason}`, {
      cause,
      hint: `Run the same restore again when ${remedy}: what is complete is kept and not written again.`,
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
