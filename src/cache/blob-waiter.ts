import { interruptedError } from "../errors.js";
import type { ArenaSegment } from "./blob-arena.js";
import type { HeldBlob } from "./blob-cache.js";

/**
 * Somebody who waits for blobs, several of them perhaps. What has arrived is pinned until `release`, or until the wait
 * has failed.
 */
export class BlobWaiter {
  readonly promise: Promise<readonly Uint8Array[]>;
  /** Told instead of the promise, of one blob or of its failure. */
  onEnd: ((held: HeldBlob | undefined, error: unknown) => void) | undefined;
  readonly #keys: readonly string[];
  readonly #signal: AbortSignal | undefined;
  readonly #plaintexts: Uint8Array[];
  #pinned: ArenaSegment[] = [];
  #missing: number;
  #isDone = false;
  #resolve!: (plaintexts: readonly Uint8Array[]) => void;
  #reject!: (error: unknown) => void;
  readonly #onAbort = () => this.fail(interruptedError(this.#signal!));

  constructor(keys: readonly string[], signal: AbortSignal | undefined) {
    this.#keys = keys;
    this.#signal = signal;
    this.#plaintexts = new Array(keys.length);
    this.#missing = keys.length;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** A blob is here. One that is asked for twice counts twice. */
  arrived(key: string, held: HeldBlob): void {
    if (this.#isDone) return;
    if (this.onEnd) {
      this.#isDone = true;
      this.onEnd(held, undefined);
      return;
    }
    for (let i = 0; i < this.#keys.length; i++) {
      if (this.#keys[i] !== key || this.#plaintexts[i]) continue;
      this.#plaintexts[i] = held.plaintext;
      this.#missing--;
    }
    if (held.segment) {
      held.segment.pin();
      this.#pinned.push(held.segment);
    }
    if (this.#missing > 0) return;
    this.#end();
    this.#resolve(this.#plaintexts);
  }

  fail(error: unknown): void {
    if (this.#isDone) return;
    if (this.onEnd) {
      this.#isDone = true;
      this.onEnd(undefined, error);
      return;
    }
    this.#end();
    this.release();
    this.#reject(error);
  }

  /** The plaintexts are done with. */
  release(): void {
    for (const segment of this.#pinned) segment.unpin();
    this.#pinned = [];
  }

  #end(): void {
    this.#isDone = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}
