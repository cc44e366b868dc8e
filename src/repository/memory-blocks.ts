/** Bytes of a block: few enough to fill well, many enough that a pack is written with few of them. */
const BLOCK_BYTES = 1024 * 1024;

/**
 * Memory of packs in the making, in blocks that are used again: a backup fills gigabytes of them, and what is
 * left to the garbage collector is mapped, zeroed and counted long after its time.
 */
export class BlockPool {
  #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
  }

  give(blocks: readonly Buffer[]): void {
    this.#free.push(...blocks);
  }

  /** Leaves what is free to the garbage collector. */
  clear(): void {
    this.#free = [];
  }
}

/** Bytes one behind the other that grow at the end. */
export class MemoryBlocks {
  readonly #pool: BlockPool;
  #blocks: Buffer[] = [];
  #length = 0;

  constructor(pool: BlockPool) {
    this.#pool = pool;
  }

  get length(): number {
    return this.#length;
  }

  /** Copies the bytes to the end. */
  append(bytes: Uint8Array): void {
    for (let taken = 0; taken < bytes.length; ) {
      const at = this.#length % BLOCK_BYTES;
      if (at === 0) this.#blocks.push(this.#pool.take());
      const part = Math.min(bytes.length - taken, BLOCK_BYTES - at);
      this.#blocks.at(-1)!.set(bytes.subarray(taken, taken + part), at);
      taken += part;
      this.#length += part;
    }
  }

  /** All bytes, in order; valid until `release`. */
  get pieces(): Uint8Array[] {
    return this.#blocks.map((block, i) =>
      block.subarray(0, Math.min(BLOCK_BYTES, this.#length - i * BLOCK_BYTES)),
    );
  }

  /** Gives the memory back; nothing is left. */
  release(): void {
    this.#pool.give(this.#blocks);
    this.#blocks = [];
    this.#length = 0;
  }
}
