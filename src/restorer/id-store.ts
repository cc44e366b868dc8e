import { IdList } from "../bytes/id.js";

const BLOCK_BYTES = 256 * 1024;

/**
 * Keeps copies of lists of IDs side by side in a few blocks of memory. A list decoded from a tree has memory of its own,
 * and the garbage collector has to look after each of those.
 */
export class IdStore {
  #block = new Uint8Array(0);
  #used = 0;

  keep({ bytes }: IdList): IdList {
    if (bytes.length === 0) return IdList.EMPTY;
    if (bytes.length > BLOCK_BYTES / 4) return new IdList(bytes.slice());
    if (this.#used + bytes.length > this.#block.length) {
      this.#block = new Uint8Array(BLOCK_BYTES);
      this.#used = 0;
    }
    this.#block.set(bytes, this.#used);
    this.#used += bytes.length;
    return new IdList(this.#block.subarray(this.#used - bytes.length, this.#used));
  }
}
