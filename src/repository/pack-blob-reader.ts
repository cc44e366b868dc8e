import { forEachConcurrently } from "../async/map-concurrently.js";
import { ROOM_FOR_BLOCKS } from "../backend/backend.js";
import type { Id } from "../bytes/id.js";
import { giveBackMemory, largeMemory } from "../bytes/large-memory.js";
import type { Engine, MasterKey } from "../engine/engine.js";
import { throwIfAborted } from "../errors.js";
import type { PackedBlob } from "../format/pack-header.js";
import type { BlobCopies } from "./blob-copies.js";
import { groupBlobs } from "./blob-groups.js";
import {
  type OnPackBlob,
  type PackBlobResult,
  partsOf,
  sealedInRange,
  type TakeSealed,
} from "./pack-blobs.js";
import {
  type LoadPackRange,
  MAX_RANGE_BYTES,
  type PackRange,
  planRanges,
  type ReadRange,
} from "./pack-ranges.js";
import { type Settled, settle } from "./settle.js";

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
/** What is larger and not wanted any more is not left for the garbage collector, which may come after the next one. */
const MAX_GARBAGE_BYTES = 8 * 1024 * 1024;
/** Memory for ranges that waits to be used again. */
const MAX_SPARE_RANGES = 4;

export interface PackBlobReaderOptions {
  readonly engine: Engine;
  readonly masterKey: MasterKey;
  readonly loadRange: LoadPackRange;
  readonly copies: BlobCopies;
}

/** How the bytes of a pack are read. */
export interface PackReadOptions {
  readonly signal: AbortSignal | undefined;
  /** Nobody will want them again soon. */
  readonly once: boolean;
}

/** Reads many blobs of one pack, in the order of their offsets, with few requests and bounded memory. */
export class PackBlobReader {
  readonly #options: PackBlobReaderOptions;
  readonly #spareBuffers: Uint8Array[] = [];
  readonly #spareRanges: Uint8Array[] = [];

  constructor(options: PackBlobReaderOptions) {
    this.#options = options;
  }

  /** See `BlobReader.loadPackBlobs`. */
  async load<Blob extends PackedBlob>(
    packId: Id,
    blobs: readonly Blob[],
    on: OnPackBlob<Blob>,
    options: PackReadOptions,
  ): Promise<void> {
    await this.#readRanges(packId, blobs, options, (range, bytes) =>
      this.#openRange(packId, range, bytes, on, options.signal),
    );
  }

  /** See `BlobReader.takePackBlobs`. */
  async take<Blob extends PackedBlob>(
    packId: Id,
    blobs: readonly Blob[],
    take: TakeSealed<Blob>,
    on: OnPackBlob<Blob>,
    options: PackReadOptions,
  ): Promise<void> {
    const { signal } = options;
    await this.#readRanges(packId, blobs, options, (range, bytes) =>
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
    const { loadRange } = this.#options;
    const ranges = planRanges(blobs);
    const read = (i: number) => {
      const range = ranges[i];
      if (!range) return undefined;
      const into = this.#roomFor(range.length);
      const bytes = settle(loadRange(packId, range.offset, range.length, { signal, into, once }));
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

  /** Memory for a range; `undefined` where it is left to the backend. */
  #roomFor(length: number): Uint8Array | undefined {
    if (length > MAX_RANGE_BYTES) return undefined;
    const spare = this.#spareRanges.pop();
    const isWorthIt = length >= MAX_RANGE_BYTES / 8;
    return spare ?? (isWorthIt ? largeMemory(MAX_RANGE_BYTES + ROOM_FOR_BLOCKS) : undefined);
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
          const result = await this.#options.copies.openInRange(packId, blob, { offset, bytes }, signal);
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
          const result = results[j]!;
          if ("plaintext" in result && result.plaintext.length > MAX_GARBAGE_BYTES)
            giveBackMemory(result.plaintext);
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
      const results = blobs.map((blob) => this.#options.copies.openInRange(packId, blob, range, signal));
      return { results: await Promise.all(results) };
    }
    const buffer = this.#spareBuffers.pop() ?? largeMemory(MAX_GROUP_BYTES);
    const parts = partsOf(blobs, range.offset);
    const unsealed = await settle(engine.unsealParts(masterKey, range.bytes.value, parts, buffer));
    const results: PackBlobResult[] = [];
    for (const [i, blob] of blobs.entries()) {
      const result = "value" in unsealed ? unsealed.value[i]! : undefined;
      results.push(
        result && "plaintext" in result
          ? { plaintext: result.plaintext, sealed: sealedInRange(range.bytes.value, range.offset, blob) }
          : await this.#options.copies.openInRange(packId, blob, range, signal),
      );
    }
    return { results, buffer };
  }
}

/** What became of the blobs of a group, and the buffer that their plaintexts may lie in. */
interface OpenGroup {
  readonly results: readonly PackBlobResult[];
  readonly buffer?: Uint8Array;
}

const DONE: Promise<OpenGroup> = Promise.resolve({ results: [] });
