/** As much as a socket gives at a time. */
export const BLOCK_BYTES = 64 * 1024;

/** So much may wait to be collected. */
const GARBAGE_BYTES = 12 * 1024 * 1024;

/** More in one piece makes no disk faster. */
const MAX_BLOCKS_A_TRANSFER = 8;

/** How long a transfer may hold blocks that stay empty, while others wait for them. */
const LEASE_MS = 50;

/**
 * The memory for bytes of bodies on their way, in blocks that all transfers share and that are used again and again. A
 * transfer that finds none free stops reading from its socket until others have written theirs, in the order in which
 * they came: what waits lies in the kernel's buffers and with the clients. So two hundred uploads at once hold the
 * total, and one piece each in the queues of their sockets. A client that sends nothing for a while lends its blocks to
 * those who do: slow ones cannot hold up the others.
 */
export class TransferMemory {
  readonly #maxBlocks: number;
  readonly #free: Buffer[] = [];
  #taken = 0;
  #transfers = 0;
  readonly #waiting: ((block: Buffer) => void)[] = [];
  readonly #lenders = new Set<Lender>();
  #leases: NodeJS.Timeout | undefined;

  readonly #collectGarbage: (() => void) | undefined;
  #garbage = 0;

  /**
   * @param totalBytes what all transfers together hold, before they wait for each other
   * @param collectGarbage called after so many bytes were copied out of buffers that are garbage now
   */
  constructor(totalBytes: number, collectGarbage?: () => void) {
    this.#maxBlocks = Math.ceil(totalBytes / BLOCK_BYTES);
    this.#collectGarbage = collectGarbage;
  }

  /** Counts bytes of buffers that nobody holds any more. */
  dropped(bytes: number): void {
    this.#garbage += bytes;
    if (this.#garbage < GARBAGE_BYTES) return;
    this.#garbage = 0;
    this.#collectGarbage?.();
  }

  /** @param lender that takes blocks before it knows what comes */
  begin(lender?: Lender): void {
    this.#transfers++;
    if (lender) this.#lenders.add(lender);
  }

  end(lender?: Lender): void {
    this.#transfers--;
    if (lender) this.#lenders.delete(lender);
  }

  get isFull(): boolean {
    return this.#taken >= this.#maxBlocks;
  }

  /** How many blocks one transfer should fill at a time. */
  get blocksATransfer(): number {
    const share = Math.floor(this.#maxBlocks / (2 * Math.max(1, this.#transfers)));
    return Math.min(MAX_BLOCKS_A_TRANSFER, Math.max(1, share));
  }

  /** A block, also when it is full: bytes that have arrived must go somewhere. */
  take(): Buffer {
    this.#taken++;
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
  }

  give(blocks: readonly Buffer[]): void {
    this.#taken -= blocks.length;
    for (const block of blocks) if (this.#free.length < this.#maxBlocks) this.#free.push(block);
    while (!this.isFull && this.#waiting.length > 0) this.#waiting.shift()!(this.take());
  }

  /** Calls back with a block when there is room: at once, or when others have given theirs back. */
  takeWhenFree(go: (block: Buffer) => void): void {
    if (!this.isFull) {
      go(this.take());
      return;
    }
    this.#waiting.push(go);
    this.#leases ??= setInterval(() => this.#endLeases(), LEASE_MS).unref();
  }

  #endLeases(): void {
    if (this.#waiting.length === 0) {
      clearInterval(this.#leases);
      this.#leases = undefined;
      return;
    }
    const lent: Buffer[] = [];
    for (const lender of this.#lenders) lent.push(...lender.lend());
    this.give(lent);
  }
}

/** A transfer that may hold empty blocks. */
export interface Lender {
  /** Gives away the blocks that have stayed empty since the last call. It may still `take` one when something comes. */
  lend(): Buffer[];
}
