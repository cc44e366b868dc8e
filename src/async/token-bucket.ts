import { delay } from "./deadline.js";

/**
 * Lets so many units through a second. What was not used for a second is saved up as one burst and no more, so that
 * what passes in any period of n seconds is at most n + 1 times the rate.
 */
export class TokenBucket {
  readonly #rate: number;
  readonly #now: () => number;
  #tokens: number;
  #filledAt: number;

  /**
   * @param rate units a second, above 0
   * @param now a clock in milliseconds that never goes back
   */
  constructor(rate: number, now: () => number = () => performance.now()) {
    if (!(rate > 0)) throw new RangeError(`"rate" expected a positive number, got ${rate}`);
    this.#rate = rate;
    this.#now = now;
    this.#tokens = rate;
    this.#filledAt = now();
  }

  /**
   * Takes units, also more than there are: then the bucket owes them, and those behind wait longer.
   *
   * @returns how long to wait before going on, in milliseconds
   */
  take(units: number): number {
    this.#fill();
    this.#tokens -= units;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.#rate) * 1000;
  }

  /** Takes units and waits for them. @throws {YoreError} with code `interrupted` */
  async pass(units: number, signal?: AbortSignal): Promise<void> {
    const wait = this.take(units);
    if (wait > 0) await delay(wait, signal);
  }

  #fill(): void {
    const now = this.#now();
    this.#tokens = Math.min(this.#rate, this.#tokens + ((now - this.#filledAt) / 1000) * this.#rate);
    this.#filledAt = now;
  }
}
