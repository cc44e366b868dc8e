import type { Id } from "../bytes/id.js";
import type { Engine, MasterKey } from "../engine/engine.js";
import type { PackedBlob } from "../format/pack-header.js";
import { type BlobGroup, groupBlobs } from "./blob-groups.js";
import type { BlobResult, PlaintextSink } from "./blob-loader.js";
import { partsOf } from "./pack-blobs.js";
import { type LoadPackRange, type PackRange, planRanges, type ReadRange } from "./pack-ranges.js";
import { RangeBuffers } from "./range-buffers.js";
import { type Settled, settle } from "./settle.js";

/**
 * Plaintext of neighbours that are unsealed in one hop. Smaller, and the hops cost more than they do; larger, and the
 * first of them wait for the last.
 */
const GROUP_BYTES = 256 * 1024;
/** Fewer than this are not made fewer still. */
const MIN_PAIRED_GROUPS = 4;
const MAX_PAIRED_BYTES = 4 * 1024 * 1024;
/** Ranges above it are no ordinary blobs: only the backend knows whether the pack is that long. */
const MAX_BUFFER_BYTES = 16 * 1024 * 1024;
/** For plaintexts above it memory is made only after they were authenticated. */
const MAX_ROOM_BYTES = 16 * 1024 * 1024;

export interface GroupLoaderOptions {
  readonly engine: Engine;
  readonly masterKey: MasterKey;
  readonly loadRange: LoadPackRange;
  /** Loads a blob that could not be had from the range, or from anywhere else. Never rejects. */
  readonly loadAlone: (
    packId: Id,
    blob: PackedBlob,
    range: ReadRange,
    signal: AbortSignal | undefined,
  ) => Promise<BlobResult>;
}

/**
 * Loads blobs of a pack into memory of the caller: ranges are read into buffers that are used again, one ahead of the
 * other, and the blobs of a range are unsealed in groups, all cores at it.
 */
export class GroupLoader {
  readonly #options: GroupLoaderOptions;
  readonly #buffers = new RangeBuffers();

  constructor(options: GroupLoaderOptions) {
    this.#options = options;
  }

  /** Resolves when all have arrived, well or badly. */
  async load(
    packId: Id,
    blobs: readonly PackedBlob[],
    sink: PlaintextSink,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const ranges = planRanges(blobs);
    // Trees are wanted again by the next command, and stay in the kernel's cache.
    const isKept = blobs[0]?.type === "data";
    let next = this.#read(packId, ranges[0], isKept, signal);
    for (let i = 0; i < ranges.length; i++) {
      const { bytes, buffer } = await next!;
      next = this.#read(packId, ranges[i + 1], isKept, signal);
      const range: ReadRange = { offset: ranges[i]!.offset, bytes };
      const groups = pairLarge(groupBlobs(ranges[i]!.blobs, GROUP_BYTES));
      await Promise.all(groups.map((group) => this.#open(packId, group, range, sink, signal)));
      // After a failure the backend may still be writing.
      if (buffer && "value" in bytes) this.#buffers.giveBack(buffer);
      else if (buffer) this.#buffers.abandon(buffer);
    }
  }

  async #read(
    packId: Id,
    range: PackRange | undefined,
    isKept: boolean,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly bytes: Settled<Uint8Array>; readonly buffer: Uint8Array | undefined }> {
    if (!range) return { bytes: { error: undefined }, buffer: undefined };
    const { offset, length } = range;
    const buffer = length <= MAX_BUFFER_BYTES ? this.#buffers.take(length) : undefined;
    const loading = this.#options.loadRange(packId, offset, length, { signal, into: buffer, isKept });
    return { bytes: await settle(loading), buffer };
  }

  async #open(
    packId: Id,
    { blobs, plainLength }: BlobGroup,
    range: ReadRange,
    sink: PlaintextSink,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { engine, masterKey, loadAlone } = this.#options;
    const ids = blobs.map(({ id }) => id);
    if (!("value" in range.bytes) || plainLength > MAX_ROOM_BYTES) {
      const results = await Promise.all(blobs.map((blob) => loadAlone(packId, blob, range, signal)));
      sink.arrived(ids, results, undefined);
      return;
    }
    const room = sink.room(plainLength, blobs.length);
    const unsealed = await settle(
      engine.unsealParts(masterKey, range.bytes.value, partsOf(blobs, range.offset), room.memory),
    );
    const results: BlobResult[] = [];
    for (const [i, blob] of blobs.entries()) {
      const result = "value" in unsealed ? unsealed.value[i]! : undefined;
      const isGood = result !== undefined && "plaintext" in result;
      results.push(isGood ? result : await loadAlone(packId, blob, range, signal));
    }
    sink.arrived(ids, results, room);
  }
}

/**
 * Joins blobs that would be alone in their hop with one of their neighbours, where enough hops are left for all cores: two
 * plaintexts are hashed in little more time than one (see native/src/sha256_lanes.h).
 */
function pairLarge(groups: readonly BlobGroup[]): readonly BlobGroup[] {
  if (groups.length < MIN_PAIRED_GROUPS) return groups;
  const paired: BlobGroup[] = [];
  let waiting: BlobGroup | undefined;
  for (const group of groups) {
    if (group.blobs.length > 1 || group.plainLength > MAX_PAIRED_BYTES) {
      paired.push(group);
    } else if (waiting) {
      const blobs = [...waiting.blobs, ...group.blobs];
      paired.push({ blobs, plainLength: waiting.plainLength + group.plainLength });
      waiting = undefined;
    } else waiting = group;
  }
  return waiting ? [...paired, waiting] : paired;
}
