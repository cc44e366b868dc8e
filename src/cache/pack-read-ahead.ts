/**
 * Reads ahead in the order of the packs: writers put the blobs of a tree there in the order in which they walked it, so
 * whoever reads one small file after the other (grep -r, rsync, cp -r) soon wants what lies behind, in whatever directory
 * it belongs to. The window grows fourfold while what was loaded is used, and halves while it is not.
 */

import { equalIds, type Id } from "../bytes/id.js";
import type { SizedBlob } from "../repository/blob-loader.js";

const MIN_WINDOW_BYTES = 64 * 1024;
const MAX_WINDOW_BYTES = 6 * 1024 * 1024;
/** Over a slow line each step costs a whole answer. */
const GROWTH = 4;
/** For blobs loaded ahead that were not read yet, one of which may push out another. A power of two. */
const PLACES = 32_768;
/** Windows that nobody has gone on from yet. */
const MAX_MARKS = 128;

/** Once one of the first blobs of a window is read, it is time to go on from its last. */
interface Mark {
  readonly early: Id;
  readonly last: Id;
}

/** What is worth loading now: the blobs behind one of them, up to so many bytes of plaintext. */
export interface PackWindow {
  readonly from: Id;
  readonly bytes: number;
}

/** Memory: 256 KiB, since each blob that is read is looked up here, and many are read. */
export class PackReadAhead {
  /** By hash: the beginning of the blob's ID, and its bytes. */
  readonly #tags = new Uint32Array(PLACES);
  readonly #bytes = new Uint32Array(PLACES);
  /** The oldest first. */
  readonly #marks: Mark[] = [];
  #window = MIN_WINDOW_BYTES;
  #loadedBytes = 0;
  #usedBytes = 0;

  /**
   * Notes that a blob is read, and says what to load ahead, if anything.
   *
   * @param isHere the blob is in memory or on its way
   */
  note(id: Id, isHere: boolean): PackWindow | undefined {
    const place = placeOf(id);
    if (this.#tags[place] === tagOf(id)) {
      this.#tags[place] = 0;
      // What was pushed out before it was read was loaded in vain.
      if (isHere) this.#usedBytes += this.#bytes[place]!;
    }
    const goOnFrom = this.#takeMark(id);
    const from = isHere ? goOnFrom : id;
    if (!from) return undefined;
    this.#adapt();
    return { from, bytes: this.#window };
  }

  /** Notes what is loaded ahead, in the order of the pack. */
  started(blobs: readonly SizedBlob[]): void {
    for (const { id, bytes } of blobs) {
      this.#loadedBytes += bytes;
      const place = placeOf(id);
      this.#tags[place] = tagOf(id);
      this.#bytes[place] = bytes;
    }
    const last = blobs.at(-1);
    if (!last) return;
    if (this.#marks.length === MAX_MARKS) this.#marks.shift();
    this.#marks.push({ early: blobs[blobs.length >> 3]!.id, last: last.id });
  }

  #takeMark(id: Id): Id | undefined {
    const at = this.#marks.findIndex(({ early }) => early[0] === id[0] && equalIds(early, id));
    return at < 0 ? undefined : this.#marks.splice(at, 1)[0]!.last;
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

/** IDs are hashes: any of their bytes will do. */
function placeOf(id: Id): number {
  return (id[0]! | (id[1]! << 8)) & (PLACES - 1);
}

/** Never 0. */
function tagOf(id: Id): number {
  return (id[2]! | (id[3]! << 8) | (id[4]! << 16) | (id[5]! << 24) | (1 << 31)) >>> 0;
}
