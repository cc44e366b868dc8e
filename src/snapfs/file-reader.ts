/** Reads ranges of files through the blob cache, and loads ahead what will be read next. */

import { freemem } from "node:os";
import { LRUCache } from "lru-cache";
import { formatShortId, type Id, IdList } from "../bytes/id.js";
import type { BlobCache } from "../cache/blob-cache.js";
import type { CompactTree } from "../cache/compact-tree.js";
import { type AheadRange, SequentialReaders, SMALL_FILE_BYTES } from "../cache/read-ahead.js";
import { DamagedError, NotFoundError } from "../errors.js";
import { type Answer, type FileContents, MAX_STORED_BYTES, type NodeId } from "../fuse/filesystem.js";
import { type BlobSlice, FileLayout } from "./file-layout.js";
import type { OpenFile } from "./open-file.js";
import { type EarlyContent, SmallFiles } from "./small-files.js";

/** What the kernel keeps content in. */
const PAGE_BYTES = 4096;
/** A file of half a million blobs, or many of a few. */
const LAYOUT_CACHE_BYTES = 20 * 1024 * 1024;

export class FileReader {
  readonly #blobs: BlobCache;
  readonly #sequential: SequentialReaders;
  readonly #early: EarlyContent;
  readonly #small: SmallFiles;
  readonly #layouts = new LRUCache<NodeId, FileLayout>({
    maxSize: LAYOUT_CACHE_BYTES,
    sizeCalculation: ({ ends, content }) => ends.byteLength + content.bytes.length + 512,
  });
  readonly #blobSize = (id: Id) => this.#blobs.blobSize("data", id);

  constructor(blobs: BlobCache, early: EarlyContent) {
    this.#blobs = blobs;
    this.#early = early;
    this.#small = new SmallFiles(blobs, early);
    this.#sequential = new SequentialReaders({ maxBytes: blobs.aheadBytes });
  }

  /**
   * Pieces that are good until the caller, or the callbacks of the promise, give up control.
   *
   * @param isLate the caller hands them on in a promise: others have their turn before they are used, so all are borrowed
   * @throws what loading throws, with the blob in its message; never hands out bytes that are not the file's
   */
  read(
    file: OpenFile,
    offset: number,
    size: number,
    signal: () => AbortSignal,
    isLate: boolean,
  ): Answer<readonly Uint8Array[]> {
    const content = file.tree.content(file.position);
    return content.length === 1
      ? this.#readBlob(file, content.at(0), offset, size, signal, isLate)
      : this.#readBlobs(file, offset, size, signal, isLate);
  }

  /** A file of one blob needs no layout: it is its blob. */
  #readBlob(
    file: OpenFile,
    id: Id,
    offset: number,
    size: number,
    signal: () => AbortSignal,
    isLate: boolean,
  ): Answer<readonly Uint8Array[]> {
    const isSmall = offset === 0 && file.tree.size(file.position) <= SMALL_FILE_BYTES;
    const kept = isLate ? undefined : this.#blobs.peek("data", id);
    if (isSmall) this.#small.onBlob(id);
    const pieces = kept
      ? onePiece(kept, offset, size)
      : this.#blobs.borrow("data", [id], signal()).then(([plaintext]) => onePiece(plaintext!, offset, size));
    if (isSmall) this.#small.onRead(file);
    return pieces;
  }

  #readBlobs(
    file: OpenFile,
    offset: number,
    size: number,
    signal: () => AbortSignal,
    isLate: boolean,
    isLookedFor = false,
  ): Answer<readonly Uint8Array[]> {
    const layout = this.#layout(file);
    const slices = layout.slices(offset, size);
    const last = slices.at(-1);
    if (!last) return [];
    const end = layout.start(last.blob) + last.to;
    const lost = slices.find(({ blob }) => !layout.isPlaced(blob));
    if (lost && isLookedFor) throw unplaced(layout.content.at(lost.blob));
    if (lost) {
      const unknown = layout.content.at(layout.firstUnplaced);
      return this.#lookFor(unknown, signal()).then(() =>
        this.#readBlobs(file, offset, size, signal, true, true),
      );
    }
    const kept = slices.map(({ blob }) =>
      isLate ? undefined : this.#blobs.peek("data", layout.content.at(blob)),
    );
    const cutAll = (plaintexts: readonly (Uint8Array | undefined)[]) => {
      const pieces = slices.map((slice, i) => cut(layout, slice, plaintexts[i]!));
      if (this.#sequential.isScattered(file.node)) this.#storeBlobs(file.node, layout, slices, plaintexts);
      return pieces;
    };
    // The blobs of this read are asked for first, what is ahead of it after them.
    const pieces = kept.every((blob) => blob !== undefined)
      ? cutAll(kept)
      : this.#blobs
          .borrow(
            "data",
            slices.map(({ blob }) => layout.content.at(blob)),
            signal(),
          )
          .then(cutAll);
    this.#loadAhead(file, layout, offset, end - offset);
    return pieces;
  }

  seek(file: OpenFile, offset: number, what: "data" | "hole"): number | undefined {
    return this.#layout(file).seek(offset, what);
  }

  /** See `SmallFiles`, as for the next. */
  contentsAhead(directory: NodeId, tree: CompactTree): FileContents | undefined {
    return this.#small.contentsAhead(directory, tree);
  }

  onListed(directory: NodeId, tree: CompactTree): void {
    this.#small.onListed(directory, tree);
  }

  forget(node: NodeId): void {
    this.#layouts.delete(node);
    this.#sequential.forget(node);
    this.#small.forget(node);
  }

  #layout(file: OpenFile): FileLayout {
    const known = this.#layouts.get(file.node);
    if (known) return known;
    // A view would keep the whole tree in memory.
    const content = new IdList(Uint8Array.from(file.tree.content(file.position).bytes));
    const layout = new FileLayout(content, file.tree.size(file.position), this.#blobSize);
    // An index that is loaded later may know the rest.
    if (layout.isWhole) this.#layouts.set(file.node, layout);
    return layout;
  }

  /** Whoever asks for a blob that the index does not know has the index brought up to date, where that is of use. */
  async #lookFor(id: Id, signal: AbortSignal): Promise<void> {
    try {
      await this.#blobs.borrow("data", [id], signal);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
  }

  #loadAhead(file: OpenFile, layout: FileLayout, offset: number, size: number): void {
    const range = this.#sequential.note(file.node, offset, size);
    if (range) this.#loadRange(layout, range);
    if (offset === 0 && layout.size <= SMALL_FILE_BYTES) this.#small.onRead(file);
  }

  /**
   * Who reads here and there comes back: the whole of a blob that had to be verified goes to the kernel, which has room for
   * more of them than our cache. Not of a file that is larger than half of what memory is left: that would only push out others.
   */
  #storeBlobs(
    node: NodeId,
    layout: FileLayout,
    slices: readonly BlobSlice[],
    plaintexts: readonly (Uint8Array | undefined)[],
  ): void {
    if (layout.size > freemem() / 2) return;
    for (const [i, { blob }] of slices.entries()) {
      const start = layout.start(blob);
      const from = Math.ceil(start / PAGE_BYTES) * PAGE_BYTES;
      const end = layout.start(blob) + layout.length(blob);
      const to = end === layout.size ? end : Math.floor(end / PAGE_BYTES) * PAGE_BYTES;
      for (let at = from; at < to; at += MAX_STORED_BYTES) {
        const content = plaintexts[i]!.subarray(at - start, Math.min(to, at + MAX_STORED_BYTES) - start);
        this.#early.store({ nodes: [node], offsets: [at], contents: [content] });
      }
    }
  }

  #loadRange(layout: FileLayout, { from, to }: AheadRange): void {
    const ids = layout
      .slices(from, to - from)
      .filter(({ blob }) => layout.isPlaced(blob))
      .map(({ blob }) => layout.content.at(blob));
    if (ids.length > 0) void this.#blobs.loadAhead("data", ids);
  }
}

function onePiece(plaintext: Uint8Array, offset: number, size: number): readonly Uint8Array[] {
  return offset < plaintext.length ? [plaintext.subarray(offset, offset + size)] : [];
}

function unplaced(id: Id): DamagedError {
  return new DamagedError(
    `Cannot read data blob ${formatShortId(id)}: no index knows it or its neighbours, so its place is unknown`,
  );
}

/** The slice of a blob. A blob that is not as long as the index said would shift everything behind it. */
function cut(layout: FileLayout, { blob, from, to }: BlobSlice, plaintext: Uint8Array): Uint8Array {
  if (plaintext.length !== layout.length(blob))
    throw new DamagedError(
      `Cannot read data blob ${formatShortId(layout.content.at(blob))}: ` +
        `it has ${plaintext.length} bytes where ${layout.length(blob)} were expected`,
    );
  return plaintext.subarray(from, to);
}
