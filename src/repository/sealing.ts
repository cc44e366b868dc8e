/** Work under way for one pack, so that one can wait for the end of all of it, and guess what it will come to. */
export class Sealing {
  #count = 0;
  #waiting: (() => void)[] = [];
  /** Plaintext that is being sealed, that was sealed, and what the latter came to. */
  #plainUnderway = 0;
  #plainDone = 0;
  #sealedDone = 0;

  /** Bytes that what is being sealed will come to, should it compress as what came before. */
  get expectedBytes(): number {
    return this.#plainDone === 0
      ? this.#plainUnderway
      : this.#plainUnderway * (this.#sealedDone / this.#plainDone);
  }

  /** @param work resolves to the sealed length of each blob */
  async seal(plainBytes: number, work: Promise<number[]>): Promise<number[]> {
    this.#plainUnderway += plainBytes;
    try {
      const lengths = await this.follow(work);
      this.#plainDone += plainBytes;
      for (const length of lengths) this.#sealedDone += length;
      return lengths;
    } finally {
      this.#plainUnderway -= plainBytes;
    }
  }

  /** Counts other work. */
  async follow<T>(work: Promise<T>): Promise<T> {
    this.#count++;
    try {
      return await work;
    } finally {
      if (--this.#count === 0) for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  /** Resolves when nothing is under way, however it went. */
  async settled(): Promise<void> {
    while (this.#count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
