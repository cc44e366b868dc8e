/**
 * Plaintext blobs in memory, bounded in bytes, the least recently used given up first. One load a blob at a time;
 * a failure is never kept, so what was unreadable for a moment heals by itself.
 */

import { LRUCache } from "lru-cache";
import type { Id } from "../bytes/id.js";
import type { BlobType } from "../format/blob.js";
import type { BlobLoader } from "../repository/blob-loader.js";
import { blobKey, SharedLoads } from "./shared-loads.js";

export interface BlobCacheOptions {
  /** Bytes of plaintext that are kept, with what keeping them costs; 32 MiB when left out. */
  readonly maxBytes?: number;
  /** Milliseconds after which a load is given up; 60,000 when left out. */
  readonly timeoutMs?: number;
}

export interface BlobCacheStatistics {
  hits: number;
  misses: number;
  /** Blobs that were loaded before anybody asked. */
  loadedAhead: number;
  /** Bytes of plaintext that came from the loader. */
  loadedBytes: number;
}

/** With all that a mount needs beside it, this stays below 300 MiB while everything is read. */
export const DEFAULT_BLOB_CACHE_BYTES = 32 * 1024 * 1024;

/** What an entry costs beside its bytes: key, buffer object, list links. Measured at 300 to 400 bytes. */
const ENTRY_OVERHEAD_BYTES = 384;

export class BlobCache implements BlobLoader {
  readonly maxBytes: number;
  readonly statistics: BlobCacheStatistics = { hits: 0, misses: 0, loadedAhead: 0, loadedBytes: 0 };
  readonly #loader: BlobLoader;
  readonly #loads: SharedLoads;
  readonly #blobs: LRUCache<string, Uint8Array>;

  /** @throws {RangeError} if the bound is no positive integer */
  constructor(loader: BlobLoader, options: BlobCacheOptions = {}) {
    this.maxBytes = options.maxBytes ?? DEFAULT_BLOB_CACHE_BYTES;
    if (!Number.isSafeInteger(this.maxBytes) || this.maxBytes < 1)
      throw new RangeError(`"maxBytes" expected a positive integer, got ${this.maxBytes}`);
    this.#loader = loader;
    this.#loads = new SharedLoads(loader, options);
    // A blob above `maxEntrySize` passes through and is not kept.
    this.#blobs = new LRUCache({
      maxSize: this.maxBytes,
      maxEntrySize: this.maxBytes,
      sizeCalculation: (blob) => blob.length + ENTRY_OVERHEAD_BYTES,
    });
  }

  /** Bytes kept now. */
  get bytes(): number {
    return this.#blobs.calculatedSize;
  }

  blobSize(type: BlobType, id: Id): number | undefined {
    return this.#loader.blobSize(type, id);
  }

  following(type: BlobType, id: Id, maxBytes: number): Id[] {
    return this.#loader.following?.(type, id, maxBytes) ?? [];
  }

  /** The blob, if it is in memory. Counts as a use. */
  peek(type: BlobType, id: Id): Uint8Array | undefined {
    const blob = this.#blobs.get(blobKey(type, id));
    if (blob) this.statistics.hits++;
    return blob;
  }

  /** True when the blob is in memory or on its way. Does not count as a use. */
  knows(type: BlobType, id: Id): boolean {
    return this.#blobs.has(blobKey(type, id)) || this.#loads.has(type, id);
  }

  async loadBlob(type: BlobType, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    const kept = this.peek(type, id);
    if (kept) return kept;
    this.statistics.misses++;
    return this.#loads.load(type, id, (plaintext) => this.#keep(type, id, plaintext), signal);
  }

  /** Loads what is neither here nor on its way. Resolves when all loads have ended; never fails. */
  async loadAhead(type: BlobType, ids: readonly Id[]): Promise<void> {
    const wanted = ids.filter((id) => !this.knows(type, id));
    if (wanted.length === 0) return;
    await this.#loads.loadAhead(type, wanted, (id, plaintext) => {
      this.statistics.loadedAhead++;
      this.#keep(type, id, plaintext);
    });
  }

  #keep(type: BlobType, id: Id, plaintext: Uint8Array): void {
    this.statistics.loadedBytes += plaintext.length;
    this.#blobs.set(blobKey(type, id), ownMemory(plaintext));
  }
}

/** A small view would keep the whole buffer alive that it came in, and the bound would be a lie. */
function ownMemory(plaintext: Uint8Array): Uint8Array {
  const spare = plaintext.buffer.byteLength - plaintext.length;
  return spare > 4096 + plaintext.length / 4 ? new Uint8Array(plaintext) : plaintext;
}
