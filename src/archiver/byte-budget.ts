/**
 * Lets holders in until their bytes reach a bound; the others wait in order. One that is larger than the
 * bound gets in alone.
 */
export class ByteBudget {
  readonly #limit: number;
  #used = 0;
  readonly #waiting: { readonly bytes: number; readonly enter: () => void }[] = [];

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  /** @returns false, with nothing taken, when one would have to wait */
  tryAcquire(bytes: number): boolean {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) return false;
    this.#used += bytes;
    return true;
  }

  async acquire(bytes: number): Promise<void> {
    if (this.tryAcquire(bytes)) return;
    await new Promise<void>((enter) => this.#waiting.push({ bytes, enter }));
  }

  /** Gives back what was acquired. */
  release(bytes: number): void {
    this.#used -= bytes;
    while (this.#waiting.length > 0 && this.#fits(this.#waiting[0]!.bytes)) {
      const next = this.#waiting.shift()!;
      this.#used += next.bytes;
      next.enter();
    }
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#limit;
  }
}
