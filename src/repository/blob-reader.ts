import { availableParallelism } from "node:os";
import { BatchQueue } from "../async/batch-queue.js";
import { forEachConcurrently } from "../async/map-concurrently.js";
import type { Backend } from "../backend/backend.js";
import { equalIds, formatId, formatShortId, type Id, idKey } from "../bytes/id.js";
import type {
  Engine,
  MasterKey,
  Unsealed,
  UnsealFailure,
  UnsealInput,
  UnsealPart,
} from "../engine/engine.js";
import {
  DamagedError,
  type ErrorCode,
  messageOf,
  NotFoundError,
  throwIfAborted,
  YoreError,
} from "../errors.js";
import type { BlobType } from "../format/blob.js";
import {
  decodeHeaderLength,
  decodePackHeader,
  EAGER_TAIL_LENGTH,
  HEADER_LENGTH_LENGTH,
  type PackedBlob,
} from "../format/pack-header.js";
import { groupBlobs, plainLengthOf } from "./blob-groups.js";
import type { BlobIndex, BlobLocation } from "./blob-index.js";
import type { BlobLoader, BlobResult, PackStretch, PlaintextSink } from "./blob-loader.js";
import { GroupLoader, type ReadRange } from "./group-loader.js";
import { MAX_RANGE_BYTES, type PackRange, planRanges } from "./pack-ranges.js";
import { type Settled, settle } from "./settle.js";
import { formatUnsealFailure } from "./unseal-failure.js";

/** Blobs below this share hops to the thread pool: a hop costs as much as 16 KiB of cryptography. */
export const SMALL_BLOB_BYTES = 64 * 1024;
export const SMALL_BLOBS_A_HOP = 16;

/**
 * Plaintext of one range that is unsealed before it is asked for. A range of 8 MiB can hold gigabytes of
 * zeros.
 */
const MAX_PLAIN_AHEAD = 6 * 1024 * 1024;
/** Neighbours in a range are unsealed together, into one buffer, up to so many bytes of plaintext. */
const MAX_GROUP_BYTES = 1024 * 1024;
/** Buffers for groups that wait to be used again: new ones each time are what the garbage collector runs for. */
const MAX_SPARE_BUFFERS = 8;
/** Plaintext of the blobs that are taken sealed with one hop, and such hops under way for a pack. */
const MAX_TAKEN_BYTES = 4 * 1024 * 1024;
const TAKEN_AT_ONCE = 2;
/** Memory for ranges that waits to be used again. */
const MAX_SPARE_RANGES = 4;

/** What became of one blob of a pack. */
export type PackBlobResult =
  | {
      readonly plaintext: Uint8Array;
      /** The bytes as they lie in the pack that was read; `undefined` when another copy had to help out. */
      readonly sealed?: Uint8Array | undefined;
    }
  | { readonly error: YoreError };

export type OnPackBlob<Blob extends PackedBlob = PackedBlob> = (
  blob: Blob,
  result: PackBlobResult,
) => Promise<void> | void;

/**
 * Does with the blobs in a stretch of a pack, sealed as they are, what is to be done with them, all in one hop off the
 * main thread. @returns for each why it could not be unsealed; `undefined` when it is done with
 */
export type TakeSealed<Blob extends PackedBlob = PackedBlob> = (
  blobs: readonly Blob[],
  sealed: Uint8Array,
  parts: readonly UnsealPart[],
) => Promise<readonly (UnsealFailure | undefined)[]>;

export interface BlobReaderOptions {
  readonly backend: Backend;
  readonly engine: Engine;
  readonly masterKey: MasterKey;
  readonly version: 1 | 2;
  readonly index: BlobIndex;
  /** Loads the index again, unless that was done a moment ago. */
  readonly refreshIndex: (signal?: AbortSignal) => Promise<void>;
}

/** One failed copy of a blob. */
interface Failure {
  readonly copy: BlobLocation;
  readonly place: string;
  readonly reason: string;
  readonly code: ErrorCode;
  readonly cause: unknown;
  /** The pack is gone: another client may have pruned, and the index may be out of date. */
  readonly gone: boolean;
}

/** How far the search for a good copy has come. */
interface Attempt {
  readonly tried: BlobLocation[];
  readonly failures: Failure[];
}

/**
 * Reads blobs out of packs. Nothing leaves that was not verified: authenticated, decompressed, and its
 * SHA-256 equal to its ID. When a copy is bad, the other copies of the blob are tried; when a pack is gone,
 * the index is loaded again once, so that a reader survives the prune of another client.
 */
export class BlobReader implements BlobLoader {
  readonly #options: BlobReaderOptions;
  readonly #unsealing: BatchQueue<UnsealInput, Unsealed>;
  readonly #spareBuffers: Uint8Array[] = [];
  readonly #groups: GroupLoader;
  readonly #spareRanges: Uint8Array[] = [];

  constructor(options: BlobReaderOptions) {
    this.#options = options;
    const { engine, masterKey } = options;
    this.#unsealing = new BatchQueue({
      work: (inputs) => engine.unseal(masterKey, inputs),
      weigh: (input) => Math.max(input.sealed.length, input.uncompressedLength),
      aloneFrom: SMALL_BLOB_BYTES,
      maxItems: SMALL_BLOBS_A_HOP,
      maxInFlight: 2 * availableParallelism(),
    });
    this.#groups = new GroupLoader({
      engine,
      masterKey,
      loadRange: (packId, offset, length, signal, into) =>
        this.#loadRange(packId, offset, length, signal, into),
      loadAlone: (packId, blob, range, signal) => this.#openInRange(packId, blob, range, signal),
    });
  }

  blobSize(type: BlobType, id: Id): number | undefined {
    const location = this.#options.index.lookup(type, id);
    return location && plainLengthOf(location);
  }

  following(type: BlobType, id: Id, maxBytes: number): Id[] {
    return this.#options.index.following(type, id, maxBytes);
  }

  stretch(type: BlobType, id: Id, stretchBytes: number): PackStretch | undefined {
    return this.#options.index.stretch(type, id, stretchBytes);
  }

  async loadBlob(type: BlobType, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#loadAnyCopy(type, id, { tried: [], failures: [] }, signal);
  }

  async loadBlobs(
    type: BlobType,
    ids: readonly Id[],
    on: (id: Id, result: BlobResult) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const loadAlone = async (id: Id) => {
      const result = await settle(this.loadBlob(type, id, signal));
      on(id, "value" in result ? { plaintext: result.value } : result);
    };
    const packs = await this.#byPack(type, ids, loadAlone);
    const copy = ({ id }: PackedBlob, result: PackBlobResult) =>
      on(id, "plaintext" in result ? { plaintext: Buffer.from(result.plaintext) } : result);
    await forEachConcurrently(
      packs.values(),
      Math.max(2, this.#options.backend.connections),
      ({ packId, blobs }) => this.#loadPackBlobs(packId, blobs, copy, signal, false),
      signal,
    );
  }

  async loadBlobsInto(
    type: BlobType,
    ids: readonly Id[],
    sink: PlaintextSink,
    signal?: AbortSignal,
  ): Promise<void> {
    const loadAlone = async (id: Id) => {
      const result = await settle(this.loadBlob(type, id, signal));
      sink.arrived([id], ["value" in result ? { plaintext: result.value } : result], undefined);
    };
    const packs = await this.#byPack(type, ids, loadAlone);
    await forEachConcurrently(
      packs.values(),
      Math.max(2, this.#options.backend.connections),
      ({ packId, blobs }) => this.#groups.load(packId, blobs, sink, signal),
      signal,
    );
  }

  /** Sorts blobs by the packs of their first copies. Those that the index does not know are loaded alone. */
  async #byPack(
    type: BlobType,
    ids: readonly Id[],
    loadAlone: (id: Id) => Promise<void>,
  ): Promise<Map<string, { packId: Id; blobs: PackedBlob[] }>> {
    const packs = new Map<string, { packId: Id; blobs: PackedBlob[] }>();
    for (const id of ids) {
      const location = this.#options.index.lookup(type, id);
      if (!location) {
        await loadAlone(id);
        continue;
      }
      const key = idKey(location.packId);
      const pack = packs.get(key) ?? { packId: location.packId, blobs: [] };
      packs.set(key, pack);
      pack.blobs.push({ type, id, ...location });
    }
    return packs;
  }

  /**
   * Loads blobs of one pack with few requests: ranges are read ahead by one and joined over gaps of up to 1
   * MiB, so at most two ranges of about 8 MiB (or one larger blob each) and 7 MiB of plaintext (or one larger
   * blob) are in memory. `on` is called for each blob in the order of the offsets, one at a time; the next
   * waits for its promise. A plaintext is valid until then only: keep a copy. A bad copy falls back to the others.
   *
   * @throws {YoreError} with code `interrupted`, or what `on` throws; the failures of blobs go to `on`
   */
  async loadPackBlobs<Blob extends PackedBlob>(
    packId: Id,
    blobs: readonly Blob[],
    on: OnPackBlob<Blob>,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#loadPackBlobs(packId, blobs, on, signal, true);
  }

  /** @param once nobody will want them again soon; trees are wanted by the next command */
  async #loadPackBlobs<Blob extends PackedBlob>(
    packId: Id,
    blobs: readonly Blob[],
    on: OnPackBlob<Blob>,
    signal: AbortSignal | undefined,
    once: boolean,
  ): Promise<void> {
    await this.#readRanges(packId, blobs, { signal, once }, (range, bytes) =>
      this.#openRange(packId, range, bytes, on, signal),
    );
  }

  /**
   * Reads blobs of one pack as `loadPackBlobs` does, and hands them on sealed. Those that cannot be unsealed fall back
   * to their other copies, and only they go to `on`, some at a time.
   *
   * @throws {YoreError} with code `interrupted`, or what `take` or `on` throws
   */
  async takePackBlobs<Blob extends PackedBlob>(
    packId: Id,
    blobs: readonly Blob[],
    take: TakeSealed<Blob>,
    on: OnPackBlob<Blob>,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#readRanges(packId, blobs, { signal, once: true }, (range, bytes) =>
      "value" in bytes
        ? this.#takeRange(packId, range, bytes, take, on, signal)
        : this.#openRange(packId, range, bytes, on, signal),
    );
  }

  /** Reads the ranges of some blobs, each while the one before it is worked on. Their memory is used again. */
  async #readRanges<Blob extends PackedBlob>(
    packId: Id,
    blobs: readonly Blob[],
    { signal, once }: { readonly signal: AbortSignal | undefined; readonly once: boolean },
    work: (range: PackRange<Blob>, bytes: Settled<Uint8Array>) => Promise<void>,
  ): Promise<void> {
    const ranges = planRanges(blobs);
    const read = (i: number) => {
      const range = ranges[i];
      if (!range) return undefined;
      const isLarge = range.length > MAX_RANGE_BYTES || range.length < MAX_RANGE_BYTES / 8;
      const into = isLarge ? undefined : (this.#spareRanges.pop() ?? Buffer.allocUnsafeSlow(MAX_RANGE_BYTES));
      const bytes = settle(this.#loadRange(packId, range.offset, range.length, signal, into, once));
      return { into, bytes };
    };
    let next = read(0);
    for (const [i, range] of ranges.entries()) {
      const { into, bytes } = next!;
      const loaded = await bytes;
      next = read(i + 1);
      try {
        await work(range, loaded);
      } catch (error) {
        await next?.bytes;
        throw error;
      }
      // A load that failed may write to it later still.
      if (into && "value" in loaded && this.#spareRanges.length < MAX_SPARE_RANGES)
        this.#spareRanges.push(into);
    }
  }

  async #takeRange<Blob extends PackedBlob>(
    packId: Id,
    { offset, blobs }: PackRange<Blob>,
    bytes: { readonly value: Uint8Array },
    take: TakeSealed<Blob>,
    on: OnPackBlob<Blob>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await forEachConcurrently(
      groupBlobs(blobs, MAX_TAKEN_BYTES),
      TAKEN_AT_ONCE,
      async (group) => {
        const failures = await take(group.blobs, bytes.value, partsOf(group.blobs, offset));
        for (const [i, blob] of group.blobs.entries()) {
          if (failures[i] === undefined) continue;
          const result = await this.#openInRange(packId, blob, { offset, bytes }, signal);
          throwIfAborted(signal);
          await on(blob, result);
        }
      },
      signal,
    );
  }

  /** Unseals the blobs of a range ahead of `on`, as far as the bound of the plaintext allows. */
  async #openRange<Blob extends PackedBlob>(
    packId: Id,
    range: PackRange<Blob>,
    bytes: Settled<Uint8Array>,
    on: OnPackBlob<Blob>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const groups = groupBlobs(range.blobs, MAX_GROUP_BYTES);
    const opened: Promise<OpenGroup>[] = [];
    let bytesAhead = 0;
    try {
      for (const [i, group] of groups.entries()) {
        while (opened.length < groups.length && (opened.length <= i || bytesAhead < MAX_PLAIN_AHEAD)) {
          const ahead = groups[opened.length]!;
          bytesAhead += ahead.plainLength;
          opened.push(this.#openGroup(packId, ahead.blobs, { offset: range.offset, bytes }, signal));
        }
        const { results, buffer } = await opened[i]!;
        // A result that was handed out must not be kept until the end of the range.
        opened[i] = DONE;
        for (const [j, blob] of group.blobs.entries()) {
          throwIfAborted(signal);
          const taken = on(blob, results[j]!);
          if (taken) await taken;
        }
        if (buffer && this.#spareBuffers.length < MAX_SPARE_BUFFERS) this.#spareBuffers.push(buffer);
        bytesAhead -= group.plainLength;
      }
    } catch (error) {
      await Promise.all(opened);
      throw error;
    }
  }

  /** Unseals neighbours of a range just read, in one hop; those that fail are tried alone. Never rejects. */
  async #openGroup(
    packId: Id,
    blobs: readonly PackedBlob[],
    range: ReadRange,
    signal: AbortSignal | undefined,
  ): Promise<OpenGroup> {
    const { engine, masterKey } = this.#options;
    if (blobs.length === 1 || !("value" in range.bytes)) {
      const results = blobs.map((blob) => this.#openInRange(packId, blob, range, signal));
      return { results: await Promise.all(results) };
    }
    const buffer = this.#spareBuffers.pop() ?? Buffer.allocUnsafeSlow(MAX_GROUP_BYTES);
    const parts = partsOf(blobs, range.offset);
    const unsealed = await settle(engine.unsealParts(masterKey, range.bytes.value, parts, buffer));
    const results: PackBlobResult[] = [];
    for (const [i, blob] of blobs.entries()) {
      const result = "value" in unsealed ? unsealed.value[i]! : undefined;
      results.push(
        result && "plaintext" in result
          ? { plaintext: result.plaintext, sealed: sealedInRange(range.bytes.value, range.offset, blob) }
          : await this.#openInRange(packId, blob, range, signal),
      );
    }
    return { results, buffer };
  }

  /**
   * Reads the list of blobs at the end of a pack.
   *
   * @param size of the pack file, from a listing
   * @throws {DamagedError} naming the pack if the header is not whole and authentic
   */
  async readPackHeader(packId: Id, size: number, signal?: AbortSignal): Promise<PackedBlob[]> {
    const { engine, masterKey, version } = this.#options;
    try {
      let tail = await this.#loadTail(packId, size, Math.min(size, EAGER_TAIL_LENGTH), signal);
      const length = decodeHeaderLength(tail, size);
      const wanted = length + HEADER_LENGTH_LENGTH;
      if (wanted > tail.length) tail = await this.#loadTail(packId, size, wanted, signal);
      const sealed = tail.subarray(tail.length - wanted, tail.length - HEADER_LENGTH_LENGTH);
      const [result] = await engine.unseal(masterKey, [{ sealed, uncompressedLength: 0, id: undefined }]);
      if (!("plaintext" in result!)) throw new DamagedError(formatUnsealFailure(result!.failure));
      return decodePackHeader(result.plaintext, size, length, { version });
    } catch (error) {
      if (!(error instanceof YoreError) || !["damaged", "format"].includes(error.code)) throw error;
      throw new DamagedError(`Cannot read header of pack ${formatShortId(packId)}: ${error.message}`, {
        cause: error,
        hint: `The damaged file is pack ${formatId(packId)}`,
      });
    }
  }

  #loadTail(packId: Id, size: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    return this.#loadRange(packId, size - length, length, signal);
  }

  #loadRange(
    packId: Id,
    offset: number,
    length: number,
    signal: AbortSignal | undefined,
    into?: Uint8Array,
    once = false,
  ): Promise<Uint8Array> {
    const handle = { type: "pack", name: formatId(packId) } as const;
    return this.#options.backend.load(handle, {
      offset,
      length,
      ...(signal ? { signal } : {}),
      ...(into ? { into } : {}),
      ...(once ? { once } : {}),
    });
  }

  /**
   * Tries every copy that the attempt has not tried yet; when none is good and a pack was gone, or there was
   * no copy at all, once more those that are new after a refresh of the index.
   */
  async #loadAnyCopy(type: BlobType, id: Id, attempt: Attempt, signal?: AbortSignal): Promise<Uint8Array> {
    const { index, refreshIndex } = this.#options;
    const plaintext = await this.#tryCopies(id, index.lookupAll(type, id), attempt, signal);
    if (plaintext) return plaintext;
    if (attempt.failures.every(({ gone }) => !gone) && attempt.failures.length > 0)
      throw blobError(type, id, attempt.failures);
    await refreshIndex(signal);
    const found = await this.#tryCopies(id, index.lookupAll(type, id), attempt, signal);
    if (found) return found;
    throw blobError(type, id, attempt.failures);
  }

  async #tryCopies(
    id: Id,
    copies: readonly BlobLocation[],
    { tried, failures }: Attempt,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    for (const copy of copies) {
      if (tried.some((place) => samePlace(place, copy))) continue;
      tried.push(copy);
      try {
        const sealed = await this.#loadRange(copy.packId, copy.offset, copy.length, signal);
        return await this.#unseal(id, sealed, copy.uncompressedLength);
      } catch (error) {
        throwIfAborted(signal);
        failures.push(failureOf(copy, error));
      }
    }
    return undefined;
  }

  async #unseal(id: Id, sealed: Uint8Array, uncompressedLength: number): Promise<Uint8Array> {
    const result = await this.#unsealing.run({ sealed, uncompressedLength, id });
    if ("plaintext" in result) return result.plaintext;
    throw new DamagedError(formatUnsealFailure(result.failure));
  }

  /**
   * Unseals a blob that lies in a range just read; whatever is wrong with it or the range, other copies are
   * tried.
   */
  async #openInRange(
    packId: Id,
    blob: PackedBlob,
    range: ReadRange,
    signal: AbortSignal | undefined,
  ): Promise<PackBlobResult> {
    const { type, id, offset, length, uncompressedLength } = blob;
    const here: BlobLocation = { packId, offset, length, uncompressedLength };
    const attempt: Attempt = { tried: [], failures: [] };
    try {
      if ("value" in range.bytes) {
        attempt.tried.push(here);
        const sealed = sealedInRange(range.bytes.value, range.offset, blob);
        return { plaintext: await this.#unseal(id, sealed, uncompressedLength), sealed };
      }
      // A pack that is cut short may still hold this blob: read it alone. For any other reason, this pack is
      // done with.
      if (range.bytes.error instanceof DamagedError) {
        const plaintext = await this.#tryCopies(id, [here], attempt, signal);
        if (plaintext) return { plaintext };
      } else {
        attempt.tried.push(here);
        attempt.failures.push(failureOf(here, range.bytes.error));
      }
    } catch (error) {
      attempt.failures.push(failureOf(here, error));
    }
    const result = await settle(this.#loadAnyCopy(type, id, attempt, signal));
    return "value" in result ? { plaintext: result.value } : { error: asYoreError(result.error) };
  }
}

/** What became of the blobs of a group, and the buffer that their plaintexts may lie in. */
interface OpenGroup {
  readonly results: readonly PackBlobResult[];
  readonly buffer?: Uint8Array;
}

const DONE: Promise<OpenGroup> = Promise.resolve({ results: [] });

/** The bytes of a blob in those of a range. */
function sealedInRange(bytes: Uint8Array, start: number, { offset, length }: PackedBlob): Uint8Array {
  return bytes.subarray(offset - start, offset - start + length);
}

/** Blobs of a pack as parts of a range of it. */
function partsOf(blobs: readonly PackedBlob[], rangeOffset: number): UnsealPart[] {
  return blobs.map(({ id, offset, length, uncompressedLength }) => {
    return { id, offset: offset - rangeOffset, length, uncompressedLength };
  });
}

function samePlace(a: BlobLocation, b: BlobLocation): boolean {
  return a.offset === b.offset && equalIds(a.packId, b.packId);
}

function asYoreError(error: unknown): YoreError {
  return error instanceof YoreError ? error : new YoreError("backend", messageOf(error), { cause: error });
}

function failureOf(copy: BlobLocation, cause: unknown): Failure {
  const gone = cause instanceof NotFoundError;
  const reason = gone ? "the pack is missing" : messageOf(cause);
  const place = `pack ${formatShortId(copy.packId)} at offset ${copy.offset}`;
  const code = gone ? "damaged" : asYoreError(cause).code;
  return { copy, place, reason, code, cause, gone };
}

/**
 * One sentence for all failed copies of a blob. An error of the backend outweighs damage: what it hides may
 * be whole.
 */
function blobError(type: BlobType, id: Id, failures: readonly Failure[]): YoreError {
  const subject = `Cannot load ${type} blob ${formatShortId(id)}`;
  const [first] = failures;
  if (!first) {
    return new NotFoundError(`${subject}: no index knows it`, {
      hint: `The missing blob is ${formatId(id)}`,
    });
  }
  const reasons = failures.map(({ place, reason }) => `${place}: ${reason}`).join("; ");
  const packs = failures.map(({ copy }) => formatId(copy.packId)).join(", ");
  const options = { cause: first.cause, hint: `The blob is ${formatId(id)} in pack ${packs}` };
  const other = failures.find(({ code }) => code !== "damaged" && code !== "format");
  if (other) return new YoreError(other.code, `${subject}: ${reasons}`, { ...options, cause: other.cause });
  return new DamagedError(`${subject}: ${reasons}`, options);
}
