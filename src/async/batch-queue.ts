interface Waiting<T, R> {
  readonly item: T;
  readonly weight: number;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

export interface BatchQueueOptions<T, R> {
  /**
   * Does the work of one batch; the results in the order of the items. A failure is the failure of each item.
   */
  readonly work: (items: T[]) => Promise<readonly R[]>;
  /** What an item costs, in bytes. */
  readonly weigh: (item: T) => number;
  /** Items from this weight on travel alone. */
  readonly aloneFrom: number;
  /** Items in one batch at most. */
  readonly maxItems: number;
  /** What the items of one batch weigh at most, unless there is only one; no bound when left out. */
  readonly maxWeight?: number;
  /** Batches under way at a time. */
  readonly maxInFlight: number;
}

/**
 * Gathers small pieces of work into batches, because a hop to the thread pool costs as much as 16 KiB of
 * cryptography. Nothing waits for a batch to fill: a batch leaves at the end of the turn of the event loop,
 * with what is there. Only when `maxInFlight` are under way do items pile up, and the batches get fuller by
 * themselves.
 */
export class BatchQueue<T, R> {
  readonly #options: BatchQueueOptions<T, R>;
  #waiting: Waiting<T, R>[] = [];
  #inFlight = 0;
  #scheduled = false;

  constructor(options: BatchQueueOptions<T, R>) {
    this.#options = options;
  }

  run(item: T): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      this.#waiting.push({ item, weight: this.#options.weigh(item), resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#waiting.length > 0 && this.#inFlight < this.#options.maxInFlight) {
      void this.#send(this.#takeBatch());
    }
  }

  /** The first item, and as many small ones behind it as fit when it is small itself. */
  #takeBatch(): Waiting<T, R>[] {
    const { aloneFrom, maxItems, maxWeight = Number.POSITIVE_INFINITY } = this.#options;
    let count = 1;
    let { weight } = this.#waiting[0]!;
    if (weight < aloneFrom) {
      while (count < maxItems && count < this.#waiting.length) {
        const next = this.#waiting[count]!.weight;
        weight += next;
        if (next >= aloneFrom || weight > maxWeight) break;
        count++;
      }
    }
    return this.#waiting.splice(0, count);
  }

  async #send(batch: Waiting<T, R>[]): Promise<void> {
    this.#inFlight++;
    try {
      const results = await this.#options.work(batch.map((waiting) => waiting.item));
      for (const [i, waiting] of batch.entries()) waiting.resolve(results[i]!);
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    } finally {
      this.#inFlight--;
      this.#pump();
    }
  }
}
