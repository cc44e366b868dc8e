import { ID_LENGTH, type Id } from "../bytes/id.js";

/** IDs in one block; blocks are added, so that growing never copies what is there. */
const BLOCK_BITS = 8;
const BLOCK_IDS = 1 << BLOCK_BITS;
const BLOCK_MASK = BLOCK_IDS - 1;
const MAX_LOAD = 0.75;

/**
 * Numbers IDs from 0 on in the order in which they come: 37 to 43 bytes an ID, where an array of IDs and a Map of strings
 * take 300. SHA-256 is uniform, so the first bytes of an ID are its hash.
 */
export class IdNumbers {
  readonly #blocks: Uint8Array[] = [];
  /** Number + 1, 0 for free ones; open addressing. */
  #slots = new Uint32Array(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Memory in bytes. */
  get byteLength(): number {
    return this.#blocks.length * BLOCK_IDS * ID_LENGTH + this.#slots.byteLength;
  }

  /** The ID that has a number; a view. */
  at(number: number): Id {
    const start = (number & BLOCK_MASK) * ID_LENGTH;
    return this.#blocks[number >>> BLOCK_BITS]!.subarray(start, start + ID_LENGTH) as Id;
  }

  /** The number of an ID; -1 when it has none. */
  numberOf(id: Uint8Array): number {
    return this.#slots[this.#slotOf(id)]! - 1;
  }

  /** The number of an ID, which it gets now if it had none. */
  add(id: Uint8Array): number {
    const slot = this.#slotOf(id);
    const stored = this.#slots[slot]!;
    if (stored > 0) return stored - 1;
    const number = this.#length++;
    if ((number & BLOCK_MASK) === 0) this.#blocks.push(new Uint8Array(BLOCK_IDS * ID_LENGTH));
    this.#blocks[number >>> BLOCK_BITS]!.set(id, (number & BLOCK_MASK) * ID_LENGTH);
    this.#slots[slot] = number + 1;
    if (this.#length > this.#slots.length * MAX_LOAD) this.#grow();
    return number;
  }

  /** The slot that holds an ID, or the free one where it belongs. */
  #slotOf(id: Uint8Array): number {
    const mask = this.#slots.length - 1;
    for (let slot = hashOf(id, 0) & mask; ; slot = (slot + 1) & mask) {
      const stored = this.#slots[slot]!;
      if (stored === 0 || this.#isAt(stored - 1, id)) return slot;
    }
  }

  #isAt(number: number, id: Uint8Array): boolean {
    const block = this.#blocks[number >>> BLOCK_BITS]!;
    const start = (number & BLOCK_MASK) * ID_LENGTH;
    for (let i = 0; i < ID_LENGTH; i++) if (block[start + i] !== id[i]) return false;
    return true;
  }

  #grow(): void {
    this.#slots = new Uint32Array(2 * this.#slots.length);
    const mask = this.#slots.length - 1;
    for (let number = 0; number < this.#length; number++) {
      const block = this.#blocks[number >>> BLOCK_BITS]!;
      let slot = hashOf(block, (number & BLOCK_MASK) * ID_LENGTH) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = number + 1;
    }
  }
}

function hashOf(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
