import { forEachConcurrently } from "../async/map-concurrently.js";
import type { Backend } from "../backend/backend.js";
import { formatId, formatShortId, type Id } from "../bytes/id.js";
import type { Engine, MasterKey } from "../engine/engine.js";
import { DamagedError, YoreError } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import {
  decodeHeaderEntries,
  decodeHeaderLength,
  EAGER_TAIL_LENGTH,
  HEADER_LENGTH_LENGTH,
  type PackedBlob,
} from "../format/pack-header.js";
import { BlobCopies } from "./blob-copies.js";
import { plainLengthOf } from "./blob-groups.js";
import type { BlobIndex } from "./blob-index.js";
import type { BlobLoader, BlobResult, PackStretch, PlaintextSink, SizedBlob } from "./blob-loader.js";
import { following, stretchAround } from "./blob-neighbours.js";
import { GroupLoader } from "./group-loader.js";
import { PackBlobReader } from "./pack-blob-reader.js";
import type { OnPackBlob, PackBlobResult, TakeSealed } from "./pack-blobs.js";
import { type LoadPackRange, packRangeLoader } from "./pack-ranges.js";
import { settle } from "./settle.js";
import { formatUnsealFailure } from "./unseal-failure.js";

export interface BlobReaderOptions {
  readonly backend: Backend;
  readonly engine: Engine;
  readonly masterKey: MasterKey;
  readonly version: 1 | 2;
  readonly index: BlobIndex;
  /** Loads the index again, unless that was done a moment ago, when these packs were gone already. */
  readonly refreshIndex: (gone: readonly Id[], signal?: AbortSignal) => Promise<void>;
}

/**
 * Reads blobs out of packs. Nothing leaves that was not verified: authenticated, decompressed, and its
 * SHA-256 equal to its ID. When a copy is bad, the other copies of the blob are tried; when a pack is gone,
 * the index is loaded again once, so that a reader survives the prune of another client.
 */
export class BlobReader implements BlobLoader {
  readonly #options: BlobReaderOptions;
  readonly #loadRange: LoadPackRange;
  readonly #copies: BlobCopies;
  readonly #packs: PackBlobReader;
  readonly #groups: GroupLoader;

  constructor(options: BlobReaderOptions) {
    this.#options = options;
    const { engine, masterKey, index, refreshIndex, backend } = options;
    const loadRange = packRangeLoader(backend);
    const distrust = async (packId: Id, offset: number, length: number) =>
      backend.distrust?.({ type: "pack", name: formatId(packId) }, offset, length);
    const copies = new BlobCopies({ engine, masterKey, index, loadRange, distrust, refreshIndex });
    this.#loadRange = loadRange;
    this.#copies = copies;
    this.#packs = new PackBlobReader({ engine, masterKey, loadRange, copies });
    this.#groups = new GroupLoader({
      engine,
      masterKey,
      loadRange,
      loadAlone: (packId, blob, range, signal) => copies.openInRange(packId, blob, range, signal),
    });
  }

  blobSize(type: BlobType, id: Id): number | undefined {
    const location = this.#options.index.lookup(type, id);
    return location && plainLengthOf(location);
  }

  following(type: BlobType, id: Id, maxBytes: number): SizedBlob[] {
    return following(this.#options.index, type, id, maxBytes);
  }

  stretch(type: BlobType, id: Id, stretchBytes: number): PackStretch | undefined {
    return stretchAround(this.#options.index, type, id, stretchBytes);
  }

  async loadBlob(type: BlobType, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#copies.load(type, id, signal);
  }

  async loadBlobs(
    type: BlobType,
    ids: readonly Id[],
    on: (id: Id, result: BlobResult) => Promise<void> | void,
    signal?: AbortSignal,
  ): Promise<void> {
    const loadAlone = async (id: Id) => {
      const result = await settle(this.loadBlob(type, id, signal));
      await on(id, "value" in result ? { plaintext: result.value } : result);
    };
    const packs = await this.#byPack(type, ids, loadAlone);
    const give = ({ id }: PackedBlob, result: PackBlobResult) => on(id, result);
    await forEachConcurrently(
      packs.values(),
      Math.max(2, this.#options.backend.connections),
      // Trees are wanted again by the next command.
      ({ packId, blobs }) => this.#packs.load(packId, blobs, give, { signal, once: false }),
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
  ): Promise<Map<number, { packId: Id; blobs: PackedBlob[] }>> {
    const { index } = this.#options;
    const packs = new Map<number, { packId: Id; blobs: PackedBlob[] }>();
    const unknown: Id[] = [];
    // Numbers of entries and packs are good until others have their turn.
    for (const id of ids) {
      const entry = index.entryOf(type, id);
      if (entry < 0) {
        unknown.push(id);
        continue;
      }
      const number = index.packOf(entry);
      let pack = packs.get(number);
      if (!pack) {
        pack = { packId: index.packId(number), blobs: [] };
        packs.set(number, pack);
      }
      pack.blobs.push({
        type,
        id,
        offset: index.offsetOf(entry),
        length: index.lengthOf(entry),
        uncompressedLength: index.uncompressedLengthOf(entry),
      });
    }
    for (const id of unknown) await loadAlone(id);
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
    await this.#packs.load(packId, blobs, on, { signal, once: true });
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
    await this.#packs.take(packId, blobs, take, on, { signal, once: true });
  }

  /**
   * Reads the list of blobs at the end of a pack. They need not all be there: of a pack that has lost a piece, those in
   * front of the gap are still good.
   *
   * @param size of the pack file, from a listing
   * @throws {DamagedError} naming the pack if the header is not whole and authentic
   */
  async readPackHeader(packId: Id, size: number, signal?: AbortSignal): Promise<PackedBlob[]> {
    try {
      return await this.#readHeader(packId, size, signal);
    } catch (error) {
      if (!isDamage(error)) throw error;
      await this.#options.backend.distrust?.({ type: "pack", name: formatId(packId) }, 0, size);
    }
    // The way may have spoilt it.
    try {
      return await this.#readHeader(packId, size, signal);
    } catch (error) {
      if (!isDamage(error)) throw error;
      throw new DamagedError(`Cannot read header of pack ${formatShortId(packId)}: ${error.message}`, {
        cause: error,
        hint: `The damaged file is pack ${formatId(packId)}`,
      });
    }
  }

  async #readHeader(packId: Id, size: number, signal: AbortSignal | undefined): Promise<PackedBlob[]> {
    const { engine, masterKey, version } = this.#options;
    let tail = await this.#loadTail(packId, size, Math.min(size, EAGER_TAIL_LENGTH), signal);
    const length = decodeHeaderLength(tail, size);
    const wanted = length + HEADER_LENGTH_LENGTH;
    if (wanted > tail.length) tail = await this.#loadTail(packId, size, wanted, signal);
    const sealed = tail.subarray(tail.length - wanted, tail.length - HEADER_LENGTH_LENGTH);
    const [result] = await engine.unseal(masterKey, [{ sealed, uncompressedLength: 0, id: undefined }]);
    if (!("plaintext" in result!)) throw new DamagedError(formatUnsealFailure(result!.failure));
    return decodeHeaderEntries(result.plaintext, { version });
  }

  #loadTail(packId: Id, size: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    return this.#loadRange(packId, size - length, length, { signal });
  }
}

function isDamage(error: unknown): error is YoreError {
  return error instanceof YoreError && (error.code === "damaged" || error.code === "format");
}
