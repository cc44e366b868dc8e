/**
 * Shares the memory for bytes on their way among the transfers under way: a lone upload gets pieces that keep its
 * disk busy, two hundred at once get small ones, and together they never hold much more than the whole.
 */
export class TransferMemory {
  readonly #totalBytes: number;
  #transfers = 0;

  /** @param totalBytes bound of all transfers together, as long as there are no more than totalBytes / MIN_BYTES */
  constructor(totalBytes: number) {
    this.#totalBytes = totalBytes;
  }

  begin(): void {
    this.#transfers++;
  }

  end(): void {
    this.#transfers--;
  }

  /** What one transfer may hold now, in bytes. */
  share(): number {
    const share = this.#totalBytes / Math.max(1, this.#transfers);
    return Math.min(MAX_BYTES, Math.max(MIN_BYTES, share));
  }
}

/** One piece as it comes from a socket. */
const MIN_BYTES = 64 * 1024;
/** More makes no disk faster. */
const MAX_BYTES = 1024 * 1024;
