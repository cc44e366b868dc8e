import { awaitedLater } from "../async/awaited-later.js";
import { type Id, IdList } from "../bytes/id.js";
import { CHUNK_MIN_BYTES, type Chunker } from "../engine/engine.js";
import { throwIfAborted } from "../errors.js";
import { type AddedBlobs, type BackupProgress, noBlobs } from "./backup-progress.js";
import { type BlobStore, countBlob } from "./blob-store.js";
import type { ReusePool } from "./reuse-pool.js";
import { SEGMENT_BYTES, type Segment } from "./segment.js";

/** Bytes that can be read from a position on: an open file, a pipe. */
export interface ByteSource {
  /**
   * Reads until the buffer is full or the source ends; fewer bytes than asked for mean the end. Any error is
   * the source's.
   */
  fill(buffer: Buffer, position: number): Promise<number>;
  /**
   * Where the next data at or behind a position begins, `undefined` when only a hole is left; absent when it
   * has no holes.
   */
  seekData?(position: number): number | undefined;
  /** As far as it is known; bounds what a hole at the end may be. */
  readonly size?: number;
}

export interface SavedContent {
  readonly content: IdList;
  /** Bytes read. */
  readonly size: number;
  readonly added: AddedBlobs;
}

/** The source failed, not the repository: the file is left out and the backup goes on. */
export class SourceError extends Error {
  constructor(readonly reason: Error) {
    super(reason.message, { cause: reason });
  }
}

/**
 * Cuts what a source gives into chunks and saves them. The next stretch is read while the last one is cut,
 * and saved while the one after is; order is kept by noting the IDs when they are cut. Memory is bounded by
 * the segment pool: its segments are free again only when all of their chunks are saved.
 */
export class ContentSaver {
  readonly #store: BlobStore;
  readonly #chunker: Chunker;
  readonly #segments: ReusePool<Segment>;
  readonly #progress: BackupProgress;
  #zeroChunk: { id: Id; data: Uint8Array } | undefined;

  constructor(store: BlobStore, segments: ReusePool<Segment>, progress: BackupProgress) {
    this.#store = store;
    this.#chunker = store.engine.createChunker(store.config.chunkerPolynomial);
    this.#segments = segments;
    this.#progress = progress;
  }

  /** @throws {SourceError} when the source cannot be read to its end */
  async save(source: ByteSource, signal: AbortSignal): Promise<SavedContent> {
    const run = new ContentRun(this.#store, this.#segments, this.#progress);
    try {
      await this.#cutAll(source, run, signal);
      await run.allSaved();
      return { content: IdList.from(run.ids), size: run.size, added: run.added };
    } finally {
      await run.settle();
    }
  }

  async #cutAll(source: ByteSource, run: ContentRun, signal: AbortSignal): Promise<void> {
    let position = 0;
    let carry: Uint8Array = EMPTY;
    let carrySegment: Segment | undefined;
    let next = source.seekData ? undefined : this.#read(source, position);
    try {
      for (;;) {
        throwIfAborted(signal);
        run.throwIfFailed();
        if (source.seekData) {
          const skipped = this.#skipHole(source, position - carry.length, run);
          if (skipped > 0) {
            position += skipped - carry.length;
            carry = EMPTY;
          }
        }
        const { segment, length } = await (next ?? this.#read(source, position));
        next = undefined;
        const data = segment.withCarry(carry, length);
        if (carrySegment) this.#segments.release(carrySegment);
        carrySegment = segment;
        position += length;
        const final = length < SEGMENT_BYTES;
        // It may fail while this one is cut, and is told when its turn comes.
        if (!final && !source.seekData) next = awaitedLater(this.#read(source, position));
        const cuts = await this.#chunker.cut(data, { final, scanned: carry.length });
        run.saveChunks(data, cuts.lengths, cuts.ids, segment);
        if (final) return;
        carry = data.subarray(cuts.consumed);
      }
    } finally {
      if (carrySegment) this.#segments.release(carrySegment);
      // A read begun ahead must not be left alone with its segment.
      if (next)
        await next.then(
          ({ segment }) => this.#segments.release(segment),
          () => {},
        );
    }
  }

  async #read(source: ByteSource, position: number): Promise<{ segment: Segment; length: number }> {
    const segment = await this.#segments.acquire();
    try {
      return { segment, length: await source.fill(segment.body, position) };
    } catch (error) {
      this.#segments.release(segment);
      throw new SourceError(error as Error);
    }
  }

  /**
   * Zeros are cut at the smallest length of a chunk, always. So a hole that begins at a chunk's start is
   * known without being read, but for the rest that is shorter than a chunk. Returns how many bytes are done
   * with.
   */
  #skipHole(source: ByteSource, start: number, run: ContentRun): number {
    const end = source.seekData!(start) ?? source.size ?? start;
    const count = Math.floor((end - start) / CHUNK_MIN_BYTES);
    if (count <= 0) return 0;
    if (!this.#zeroChunk) {
      const data = new Uint8Array(CHUNK_MIN_BYTES);
      this.#zeroChunk = { data, id: this.#store.engine.hash(data) };
    }
    run.saveZeros(this.#zeroChunk.data, this.#zeroChunk.id, count);
    return count * CHUNK_MIN_BYTES;
  }
}

const EMPTY = new Uint8Array(0);

/** The state of one source's way into the repository. */
class ContentRun {
  readonly ids: Id[] = [];
  readonly added = noBlobs();
  size = 0;
  readonly #store: BlobStore;
  readonly #segments: ReusePool<Segment>;
  readonly #progress: BackupProgress;
  readonly #pending = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  constructor(store: BlobStore, segments: ReusePool<Segment>, progress: BackupProgress) {
    this.#store = store;
    this.#segments = segments;
    this.#progress = progress;
  }

  saveChunks(data: Buffer, lengths: Uint32Array, ids: IdList, segment: Segment): void {
    let offset = 0;
    for (const [i, length] of lengths.entries()) {
      // A view of all cuts' IDs would keep them alive one by one; they are few and go into one list in the
      // end.
      this.#segments.hold(segment);
      this.#save(data.subarray(offset, offset + length), ids.at(i), () => this.#segments.release(segment));
      offset += length;
    }
  }

  saveZeros(data: Uint8Array, id: Id, count: number): void {
    this.#save(data, id, () => {});
    // The same blob again and again: one is saved, the others are only noted.
    for (let i = 1; i < count; i++) this.ids.push(id);
    this.size += (count - 1) * data.length;
    this.#progress.bytesDone += (count - 1) * data.length;
  }

  #save(plaintext: Uint8Array, id: Id, done: () => void): void {
    this.ids.push(id);
    this.size += plaintext.length;
    const task: Promise<void> = this.#store
      .saveBlob("data", plaintext, id)
      .then(
        (saved) => countBlob(this.added, "data", saved),
        (error: unknown) => {
          this.#failure ??= { error };
        },
      )
      .finally(() => {
        this.#progress.bytesDone += plaintext.length;
        this.#pending.delete(task);
        done();
      });
    this.#pending.add(task);
  }

  throwIfFailed(): void {
    if (this.#failure) throw this.#failure.error;
  }

  async allSaved(): Promise<void> {
    await this.settle();
    this.throwIfFailed();
  }

  /** Waits for what is under way, without a word of how it went. */
  async settle(): Promise<void> {
    await Promise.all(this.#pending);
  }
}
