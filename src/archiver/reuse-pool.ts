/**
 * Things that are costly to make and are used again, by reference count: each is free again when everybody
 * who held it has let go. No more than `limit` exist; who comes too late waits in order.
 */
export class ReusePool<T> {
  readonly #limit: number;
  readonly #make: () => T;
  readonly #clear: (thing: T) => void;
  readonly #free: T[] = [];
  readonly #holders = new Map<T, number>();
  readonly #waiting: ((thing: T) => void)[] = [];

  /** @param clear called for each when everybody has let go of it */
  constructor(limit: number, make: () => T, clear: (thing: T) => void = () => {}) {
    this.#limit = limit;
    this.#make = make;
    this.#clear = clear;
  }

  /** Held once by the caller. */
  async acquire(): Promise<T> {
    let thing = this.#free.pop();
    if (!thing && this.#holders.size < this.#limit) {
      thing = this.#make();
      this.#holders.set(thing, 0);
    }
    thing ??= await new Promise<T>((enter) => this.#waiting.push(enter));
    this.#holders.set(thing, 1);
    return thing;
  }

  /** Must only be called by a holder. */
  hold(thing: T): void {
    this.#holders.set(thing, this.#holders.get(thing)! + 1);
  }

  release(thing: T): void {
    const holders = this.#holders.get(thing)! - 1;
    this.#holders.set(thing, holders);
    if (holders > 0) return;
    this.#clear(thing);
    const next = this.#waiting.shift();
    if (next) next(thing);
    else this.#free.push(thing);
  }
}
