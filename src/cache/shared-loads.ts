/**
 * Loads of blobs that are under way, each one only once however many wait for what it is decoded to. A load belongs to
 * nobody: a waiter that gives up does not stop it for the others, and a load that gets no answer in time is stopped and
 * forgotten, so that the next reader starts afresh instead of joining a dead one.
 */

import { type Id, idKey } from "../bytes/id.js";
import { NotFoundError, YoreError } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import type { BlobLoader, BlobResult } from "../repository/blob-loader.js";

export interface SharedLoadsOptions {
  /** Milliseconds after which a load is given up; 60,000 when left out. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 60_000;
/** Loads at a time for loaders that cannot load many at once. */
const SINGLE_LOADS = 4;

interface Load<T> {
  readonly promise: Promise<T>;
  /** Started to read ahead, together with others: its failure may be theirs. */
  readonly ahead: boolean;
}

/** Makes of a plaintext what is wanted of it; the plaintext is valid until it returns. */
export type DecodeBlob<T> = (id: Id, plaintext: Uint8Array) => T | Promise<T>;

export class SharedLoads<T> {
  readonly #loader: BlobLoader;
  readonly #type: BlobType;
  readonly #decode: DecodeBlob<T>;
  readonly #timeoutMs: number;
  readonly #underWay = new Map<string, Load<T>>();

  /** @param decode is called once for each load */
  constructor(loader: BlobLoader, type: BlobType, decode: DecodeBlob<T>, options: SharedLoadsOptions = {}) {
    this.#loader = loader;
    this.#type = type;
    this.#decode = decode;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  /**
   * Joins the load of a blob, or starts it. A load started ahead that fails is tried once more on its own, because
   * what failed may have been a neighbour; one that gets no answer, by those who joined late: each of them has the whole
   * time to wait.
   *
   * @throws what the loader and the decoder throw
   */
  async load(id: Id): Promise<T> {
    const key = idKey(id);
    const until = performance.now() + this.#timeoutMs;
    for (;;) {
      const load = this.#underWay.get(key) ?? this.#start(key, id, until);
      try {
        return await load.promise;
      } catch (error) {
        const isLate = error instanceof YoreError && error.code === "timeout";
        const isTriedAgain = isLate ? until - performance.now() > this.#timeoutMs / 10 : load.ahead;
        if (!isTriedAgain) throw error;
      }
    }
  }

  /**
   * Starts the loads of all that are not under way yet, and resolves when they have ended, well or badly.
   *
   * @param onDecoded is called behind each that went well; what follows may wait for a promise of it
   */
  async loadAhead(ids: readonly Id[], onDecoded?: () => Promise<void> | undefined): Promise<void> {
    const wanted = ids.filter((id) => !this.#underWay.has(idKey(id)));
    if (wanted.length === 0) return;
    if (this.#loader.loadBlobs) return this.#startMany(wanted, onDecoded);
    const queue = wanted.values();
    const worker = async () => {
      for (const id of queue) await this.load(id).then(onDecoded, () => undefined);
    };
    await Promise.all(Array.from({ length: SINGLE_LOADS }, worker));
  }

  #start(key: string, id: Id, until: number): Load<T> {
    const type = this.#type;
    const promise = this.#withTimeout(`load ${type} blob`, until - performance.now(), async (signal) =>
      this.#decode(id, await this.#loader.loadBlob(type, id, signal)),
    );
    const load: Load<T> = { promise, ahead: false };
    this.#underWay.set(key, load);
    this.#removeWhenDone(key, load);
    return load;
  }

  async #startMany(
    ids: readonly Id[],
    onDecoded: (() => Promise<void> | undefined) | undefined,
  ): Promise<void> {
    const waiting = new Map<string, PromiseWithResolvers<T>>();
    let error: unknown;
    for (const id of ids) {
      const key = idKey(id);
      if (waiting.has(key)) continue;
      const settle = withResolvers<T>();
      waiting.set(key, settle);
      const load: Load<T> = { promise: settle.promise, ahead: true };
      this.#underWay.set(key, load);
      this.#removeWhenDone(key, load);
    }
    const on = (id: Id, result: BlobResult) => {
      const settle = waiting.get(idKey(id));
      waiting.delete(idKey(id));
      if ("error" in result) return settle?.reject(result.error);
      try {
        settle?.resolve(this.#decode(id, result.plaintext));
      } catch (error) {
        return settle?.reject(error);
      }
      return onDecoded?.();
    };
    try {
      await this.#withTimeout("load blobs ahead", this.#timeoutMs, (signal) =>
        this.#loader.loadBlobs!(this.#type, ids, on, signal),
      );
    } catch (cause) {
      error = cause;
    }
    if (waiting.size === 0) return;
    error ??= new NotFoundError("Cannot load blob: the loader gave no answer for it");
    for (const settle of waiting.values()) settle.reject(error);
  }

  /** Nobody may be waiting, so a failure must not count as unhandled; whoever waits still sees it. */
  #removeWhenDone(key: string, load: Load<T>): void {
    const remove = () => {
      if (this.#underWay.get(key) === load) this.#underWay.delete(key);
    };
    load.promise.then(remove, remove);
  }

  async #withTimeout<R>(what: string, ms: number, work: (signal: AbortSignal) => Promise<R>): Promise<R> {
    const controller = new AbortController();
    const late = withResolvers<never>();
    const timer = setTimeout(() => {
      const seconds = this.#timeoutMs / 1000;
      const error = new YoreError("timeout", `Cannot ${what}: no answer within ${seconds} s`);
      late.reject(error);
      controller.abort(error);
    }, ms);
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
  resolve(value: T | PromiseLike<T>): void;
  reject(error: unknown): void;
}

/** `Promise.withResolvers`, which Node.js 20 does not have. */
function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve!: PromiseWithResolvers<T>["resolve"];
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
