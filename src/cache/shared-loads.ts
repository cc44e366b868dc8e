/**
 * Loads of blobs that are under way, each one only once however many wait for it. A load belongs to nobody: a waiter
 * that gives up does not stop it for the others, and a load that gets no answer in time is stopped and forgotten, so
 * that the next reader starts afresh instead of joining a dead one.
 */

import { type Id, idKey } from "../bytes/id.js";
import { interruptedError, NotFoundError, YoreError } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import type { BlobLoader } from "../repository/blob-loader.js";

export interface SharedLoadsOptions {
  /** Milliseconds after which a load is given up; 60,000 when left out. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 60_000;
/** Loads at a time for loaders that cannot load many at once. */
const SINGLE_LOADS = 4;

interface Load {
  readonly promise: Promise<Uint8Array>;
  /** Started to read ahead, together with others: its failure may be theirs. */
  readonly ahead: boolean;
}

/** Key of a blob in the maps of this folder; the two types are separate worlds. */
export function blobKey(type: BlobType, id: Id): string {
  return type === "data" ? idKey(id) : `t${idKey(id)}`;
}

export class SharedLoads {
  readonly #loader: BlobLoader;
  readonly #timeoutMs: number;
  readonly #underWay = new Map<string, Load>();

  constructor(loader: BlobLoader, options: SharedLoadsOptions = {}) {
    this.#loader = loader;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  get size(): number {
    return this.#underWay.size;
  }

  has(type: BlobType, id: Id): boolean {
    return this.#underWay.has(blobKey(type, id));
  }

  /**
   * Joins the load of a blob, or starts it. A load started ahead that fails is tried once more on its own, because
   * what failed may have been a neighbour.
   *
   * @param keep is called with the plaintext before anybody gets it, once a load
   */
  async load(
    type: BlobType,
    id: Id,
    keep: (plaintext: Uint8Array) => void,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const key = blobKey(type, id);
    const already = this.#underWay.get(key);
    if (already?.ahead) {
      try {
        return await untilAborted(already.promise, signal);
      } catch (error) {
        if (signal?.aborted || (error instanceof YoreError && error.code === "timeout")) throw error;
      }
    } else if (already) {
      return untilAborted(already.promise, signal);
    }
    return untilAborted((this.#underWay.get(key) ?? this.#start(key, type, id, keep)).promise, signal);
  }

  /**
   * Starts the loads of all that are not under way yet, and resolves when they have ended, well or badly.
   *
   * @param keep is called with each plaintext before anybody gets it; what follows may wait for a promise of it
   */
  async loadAhead(
    type: BlobType,
    ids: readonly Id[],
    keep: (id: Id, plaintext: Uint8Array) => Promise<void> | void,
  ): Promise<void> {
    const wanted = ids.filter((id) => !this.#underWay.has(blobKey(type, id)));
    if (wanted.length === 0) return;
    if (this.#loader.loadBlobs) return this.#startMany(type, wanted, keep);
    const queue = wanted.values();
    const worker = async () => {
      for (const id of queue) {
        await this.load(type, id, (plaintext) => keep(id, plaintext)).catch(() => undefined);
      }
    };
    await Promise.all(Array.from({ length: SINGLE_LOADS }, worker));
  }

  #start(key: string, type: BlobType, id: Id, keep: (plaintext: Uint8Array) => void): Load {
    const promise = this.#withTimeout(`load ${type} blob`, async (signal) => {
      const plaintext = await this.#loader.loadBlob(type, id, signal);
      keep(plaintext);
      return plaintext;
    });
    const load: Load = { promise, ahead: false };
    this.#underWay.set(key, load);
    this.#removeWhenDone(key, load);
    return load;
  }

  async #startMany(
    type: BlobType,
    ids: readonly Id[],
    keep: (id: Id, plaintext: Uint8Array) => Promise<void> | void,
  ): Promise<void> {
    const waiting = new Map<string, PromiseWithResolvers<Uint8Array>>();
    let error: unknown;
    for (const id of ids) {
      const key = blobKey(type, id);
      if (waiting.has(key)) continue;
      const settle = withResolvers<Uint8Array>();
      waiting.set(key, settle);
      const load: Load = { promise: settle.promise, ahead: true };
      this.#underWay.set(key, load);
      this.#removeWhenDone(key, load);
    }
    try {
      await this.#withTimeout("load blobs ahead", (signal) =>
        this.#loader.loadBlobs!(
          type,
          ids,
          (id, result) => {
            const key = blobKey(type, id);
            const settle = waiting.get(key);
            waiting.delete(key);
            if ("error" in result) return settle?.reject(result.error);
            const kept = keep(id, result.plaintext);
            settle?.resolve(result.plaintext);
            return kept;
          },
          signal,
        ),
      );
    } catch (cause) {
      error = cause;
    }
    if (waiting.size === 0) return;
    error ??= new NotFoundError("Cannot load blob: the loader gave no answer for it");
    for (const settle of waiting.values()) settle.reject(error);
  }

  /** Nobody may be waiting, so a failure must not count as unhandled; whoever waits still sees it. */
  #removeWhenDone(key: string, load: Load): void {
    const remove = () => {
      if (this.#underWay.get(key) === load) this.#underWay.delete(key);
    };
    load.promise.then(remove, remove);
  }

  async #withTimeout<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const late = withResolvers<never>();
    const timer = setTimeout(() => {
      const seconds = this.#timeoutMs / 1000;
      const error = new YoreError("timeout", `Cannot ${what}: no answer within ${seconds} s`);
      late.reject(error);
      controller.abort(error);
    }, this.#timeoutMs);
    timer.unref();
    try {
      return await Promise.race([work(controller.signal), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** `Promise.withResolvers`, which Node.js 20 does not have. */
function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}

/** The promise's outcome, or the `interrupted` error as soon as the signal fires; the work itself goes on. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  if (signal.aborted) return Promise.reject(interruptedError(signal));
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(interruptedError(signal));
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
