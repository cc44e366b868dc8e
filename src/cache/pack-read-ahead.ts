/**
 * Reads ahead in the order of the packs: writers put the blobs of a tree there in the order in which they walked it, so
 * whoever reads one small file after the other (grep -r, rsync, cp -r) soon wants what lies behind, in whatever directory
 * it belongs to. The window grows fourfold while what was loaded is used, and halves while it is not.
 */

import { LRUCache } from "lru-cache";
import { type Id, idKey } from "../bytes/id.js";
import type { SizedBlob } from "../repository/blob-loader.js";

const MIN_WINDOW_BYTES = 64 * 1024;
const MAX_WINDOW_BYTES = 6 * 1024 * 1024;
/** Over a slow line each step costs a whole answer. */
const GROWTH = 4;
/** Blobs loaded ahead that are remembered until they are read. */
const MAX_UNUSED = 16_384;

interface Unused {
  readonly bytes: number;
  /** The last blob of the window, to be gone on from when this one, one of its first, is read. */
  readonly goOnFrom: Id | undefined;
}

/** What is worth loading now: the blobs behind one of them, up to so many bytes of plaintext. */
export interface PackWindow {
  readonly from: Id;
  readonly bytes: number;
}

export class PackReadAhead {
  readonly #unused = new LRUCache<string, Unused>({ max: MAX_UNUSED });
  #window = MIN_WINDOW_BYTES;
  #loadedBytes = 0;
  #usedBytes = 0;

  /**
   * Notes that a blob is read, and says what to load ahead, if anything.
   *
   * @param isHere the blob is in memory or on its way
   */
  note(id: Id, isHere: boolean): PackWindow | undefined {
    const key = idKey(id);
    const ahead = this.#unused.get(key);
    if (ahead) {
      this.#unused.delete(key);
      // What was pushed out before it was read was loaded in vain.
      if (isHere) this.#usedBytes += ahead.bytes;
    }
    const from = isHere ? ahead?.goOnFrom : id;
    if (!from) return undefined;
    this.#adapt();
    return { from, bytes: this.#window };
  }

  /** Notes what is loaded ahead, in the order of the pack. */
  started(blobs: readonly SizedBlob[]): void {
    const early = blobs.length >> 3;
    for (const [i, { id, bytes }] of blobs.entries()) {
      this.#loadedBytes += bytes;
      this.#unused.set(idKey(id), { bytes, goOnFrom: i === early ? blobs.at(-1)?.id : undefined });
    }
  }

  /** Half of each window is still unread when the next is asked for, so two thirds is all that can be expected. */
  #adapt(): void {
    if (this.#loadedBytes === 0) return;
    const pays = this.#usedBytes * 3 >= this.#loadedBytes;
    this.#window = pays
      ? Math.min(GROWTH * this.#window, MAX_WINDOW_BYTES)
      : Math.max(this.#window / 2, MIN_WINDOW_BYTES);
    this.#loadedBytes /= 2;
    this.#usedBytes /= 2;
  }
}
