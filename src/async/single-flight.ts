/**
 * One computation a key at a time: whoever asks while it is under way gets the same promise. Nothing is kept
 * afterwards, neither results nor failures; keeping is the business of a cache.
 */
export class SingleFlight<K, V> {
  readonly #flying = new Map<K, Promise<V>>();

  get size(): number {
    return this.#flying.size;
  }

  run(key: K, compute: () => Promise<V>): Promise<V> {
    const already = this.#flying.get(key);
    if (already) return already;
    const flight = compute().finally(() => this.#flying.delete(key));
    this.#flying.set(key, flight);
    return flight;
  }

  /** Resolves when what is under way for a key has ended, well or badly. */
  async ended(key: K): Promise<void> {
    await this.#flying.get(key)?.catch(() => {});
  }
}
