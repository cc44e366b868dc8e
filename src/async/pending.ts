/**
 * Work that goes on while whoever began it does something else, until there is enough of it. One caller at a time adds to it
 * and waits.
 */
export class Pending {
  readonly #limit: number;
  #size = 0;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  /** @param limit how much may go on at a time */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @returns a promise of room for more, when there is none; it fails as the first work has failed */
  add(work: Promise<void>): Promise<void> | undefined {
    this.#size++;
    work.then(this.#onDone, this.#onFailure);
    return this.#size >= this.#limit || this.#failure ? this.#waitForRoom() : undefined;
  }

  /** Counts as the failure of everything, unless something has failed before. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /** Waits until nothing goes on. @throws the first failure */
  async drain(): Promise<void> {
    while (this.#size > 0) await this.#nextDone();
    if (this.#failure) throw this.#failure.error;
  }

  async #waitForRoom(): Promise<void> {
    while (this.#size >= this.#limit && !this.#failure) await this.#nextDone();
    if (this.#failure) throw this.#failure.error;
  }

  /** `Promise.race` would add a reaction to every promise each time. */
  #nextDone(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  readonly #onDone = () => {
    this.#size--;
    this.#wake?.();
  };

  readonly #onFailure = (error: unknown) => {
    this.fail(error);
    this.#onDone();
  };
}
