/**
 * Small files that are read one after the other. Their content is loaded before it is asked for: that of files in the same
 * directory, and what lies behind it in the pack. And it is handed to the kernel, so that its reader need not ask at all.
 * A READ takes 54 us of the server, and makes the reader wait; content that is handed over takes 15 us, while the reader is
 * busy with the file before.
 */

import type { Id } from "../bytes/id.js";
import type { BlobCache } from "../cache/blob-cache.js";
import type { CompactTree } from "../cache/compact-tree.js";
import { PackReadAhead } from "../cache/pack-read-ahead.js";
import { DirectoryReaders, SMALL_FILE_BYTES } from "../cache/read-ahead.js";
import { S_IFREG } from "../format/file-mode.js";
import { type FileContents, MAX_STORED_BYTES, type NodeId } from "../fuse/filesystem.js";
import type { OpenFile } from "./open-file.js";
import { ReadingWalk } from "./reading-walk.js";

/** Where content goes that nobody has asked for yet. */
export interface EarlyContent {
  /** The object at a position of a directory, if the kernel knows it. */
  nodeAt(directory: NodeId, position: number): NodeId | undefined;
  /** See `KernelNotifier.store`. */
  store(files: FileContents): void;
}

export class SmallFiles {
  readonly #blobs: BlobCache;
  readonly #early: EarlyContent;
  readonly #walk = new ReadingWalk();
  readonly #directories = new DirectoryReaders();
  readonly #packs = new PackReadAhead();
  /** Contents that have come in this turn of the event loop, and are borrowed until its end. */
  #arrivals: { readonly nodes: NodeId[]; readonly contents: Uint8Array[] } = { nodes: [], contents: [] };

  constructor(blobs: BlobCache, early: EarlyContent) {
    this.#blobs = blobs;
    this.#early = early;
  }

  /** A blob of a small file is going to be loaded, or is here. To be called first: one request loads it and what follows. */
  onBlob(id: Id): void {
    const isHere = this.#blobs.knows("data", id);
    const window = this.#packs.note(id, isHere);
    if (!window) return;
    const blobs = this.#blobs
      .following("data", window.from, window.bytes)
      .filter((next) => !this.#blobs.knows("data", next.id));
    if (blobs.length === 0) return;
    this.#packs.started(blobs);
    const ids = blobs.map((next) => next.id);
    void this.#blobs.loadAhead("data", isHere ? ids : [id, ...ids]);
  }

  /** The beginning of a small file is read. To be called once its own blobs have been asked for. */
  onRead({ directory, tree, position }: OpenFile): void {
    const isWalk = this.#walk.onRead(directory);
    const siblings = this.#directories.note(directory, position, tree.length, smallFileBytes(tree), isWalk);
    if (siblings.length === 0) return;
    void this.#blobs.loadAhead(
      "data",
      siblings.flatMap((sibling) => [...tree.content(sibling)]),
    );
    this.#handOver(directory, tree, siblings);
  }

  /** A directory is going to be listed. @returns what is worth handing over with its entries */
  contentsAhead(directory: NodeId, tree: CompactTree): FileContents | undefined {
    if (!this.#walk.readsNext) return undefined;
    const isHere = (id: Id) => this.#blobs.peek("data", id) !== undefined;
    return this.#take(directory, tree, this.#unread(directory, tree, isHere));
  }

  /** A directory was listed to its end. Only what is here, or on its way, is handed over. */
  onListed(directory: NodeId, tree: CompactTree): void {
    if (!this.#walk.onListed(directory)) return;
    const isComing = (id: Id) => this.#blobs.knows("data", id);
    this.#handOver(directory, tree, this.#unread(directory, tree, isComing));
  }

  forget(node: NodeId): void {
    this.#directories.forget(node);
  }

  #unread(directory: NodeId, tree: CompactTree, isWanted: (id: Id) => boolean): number[] {
    const bytesOf = smallFileBytes(tree);
    return this.#directories.unread(directory, tree.length, (position) => {
      const bytes = bytesOf(position);
      if (bytes === 0 || tree.contentCount(position) !== 1) return 0;
      return isWanted(tree.firstContent(position)) ? bytes : 0;
    });
  }

  #handOver(directory: NodeId, tree: CompactTree, positions: readonly number[]): void {
    const files = this.#take(directory, tree, positions);
    if (files.nodes.length > 0) this.#early.store(files);
  }

  /** Contents that are here; what is on its way goes to the kernel when it has come. */
  #take(directory: NodeId, tree: CompactTree, positions: readonly number[]): FileContents {
    const nodes: NodeId[] = [];
    const contents: Uint8Array[] = [];
    for (const position of positions) {
      const size = tree.size(position);
      if (tree.contentCount(position) !== 1 || size > MAX_STORED_BYTES) continue;
      const node = this.#early.nodeAt(directory, position);
      if (node === undefined) continue;
      const id = tree.firstContent(position);
      this.#directories.handedOver(directory, position, size);
      this.onBlob(id);
      const kept = this.#blobs.peek("data", id);
      if (!kept) this.#handOverLater(node, id, size);
      // Longer content would make the file longer.
      else if (kept.length === size) {
        nodes.push(node);
        contents.push(kept);
      }
    }
    return { nodes, offsets: nodes.map(() => 0), contents };
  }

  /** What cannot be loaded fails again for whoever asks for it. */
  #handOverLater(node: NodeId, id: Id, size: number): void {
    this.#blobs.borrow("data", [id]).then(
      ([plaintext]) => {
        if (plaintext?.length === size) this.#arrived(node, plaintext);
      },
      () => undefined,
    );
  }

  /** What has come together is handed over together: for each call of `store` its thread is woken. */
  #arrived(node: NodeId, plaintext: Uint8Array): void {
    if (this.#arrivals.nodes.length === 0) queueMicrotask(() => this.#storeArrivals());
    this.#arrivals.nodes.push(node);
    this.#arrivals.contents.push(plaintext);
  }

  #storeArrivals(): void {
    const { nodes, contents } = this.#arrivals;
    this.#arrivals = { nodes: [], contents: [] };
    this.#early.store({ nodes, offsets: nodes.map(() => 0), contents });
  }
}

/** Size of the file at a position, 0 for what is no small file with content. */
function smallFileBytes(tree: CompactTree): (position: number) => number {
  return (position) => {
    if (tree.typeBits(position) !== S_IFREG || tree.contentCount(position) === 0) return 0;
    const size = tree.size(position);
    return size <= SMALL_FILE_BYTES ? size : 0;
  };
}
