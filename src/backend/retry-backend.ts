import { delay } from "../async/deadline.js";
import { DamagedError, interruptedError, NotFoundError, throwIfAborted, YoreError } from "../errors.js";
import {
  type Backend,
  type FileInfo,
  type FileType,
  formatHandle,
  type Handle,
  type LoadRange,
} from "./backend.js";
import { BackendWrapper } from "./backend-wrapper.js";
import { BusyError } from "./busy-error.js";
import { RefusedError } from "./refused-error.js";

export interface RetryOptions {
  /** Before the second try, milliseconds; each further one waits twice as long, give or take half. 1 s when left out. */
  readonly firstDelayMs?: number;
  /** The longest wait between two tries; 60 s when left out. */
  readonly maxDelayMs?: number;
  /** After so long, no further try is begun; there are always two. 15 minutes when left out. */
  readonly totalMs?: number;
  /** How long a file that could not be loaded in all that time is not tried again; an hour when left out. */
  readonly openCircuitMs?: number;
  /** Told of each failure that is tried again, and of each success after one. */
  readonly on?: (event: RetryEvent) => void;
}

export type RetryEvent =
  | { readonly type: "retrying"; readonly what: string; readonly error: unknown; readonly delayMs: number }
  | { readonly type: "recovered"; readonly what: string; readonly attempts: number };

/** How many files that failed are remembered. */
const MAX_CIRCUITS = 10_000;

/**
 * Tries again what may succeed the next time: the network was away, the server was busy (and is left alone for as long as
 * it asked). Not what the store has refused, what is not there, and what is damaged. A file that could not be loaded in all
 * the time that there was fails at once for an hour, so that one bad pack does not stop a restore again and again.
 */
export class RetryBackend extends BackendWrapper {
  readonly #firstDelayMs: number;
  readonly #maxDelayMs: number;
  readonly #totalMs: number;
  readonly #openCircuitMs: number;
  readonly #on: (event: RetryEvent) => void;
  /** Until when, by a clock that never goes back. */
  readonly #openCircuits = new Map<string, number>();
  readonly #closing = new AbortController();

  constructor(inner: Backend, options: RetryOptions = {}) {
    super(inner);
    this.#firstDelayMs = options.firstDelayMs ?? 1_000;
    this.#maxDelayMs = options.maxDelayMs ?? 60_000;
    this.#totalMs = options.totalMs ?? 15 * 60_000;
    this.#openCircuitMs = options.openCircuitMs ?? 60 * 60_000;
    this.#on = options.on ?? (() => {});
  }

  override create(): Promise<void> {
    return this.#retry("create the repository", () => this.inner.create());
  }

  override save(handle: Handle, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    return this.#retry(`save ${formatHandle(handle)}`, () => this.inner.save(handle, pieces, signal), signal);
  }

  override async load(handle: Handle, range?: LoadRange): Promise<Uint8Array> {
    const circuit = `${handle.type}/${handle.name}`;
    const openUntil = this.#openCircuits.get(circuit);
    if (openUntil !== undefined && performance.now() < openUntil) {
      throw new YoreError("backend", `Cannot load ${formatHandle(handle)}: it failed for a long time before`);
    }
    try {
      const load = () => this.inner.load(handle, range);
      const bytes = await this.#retry(`load ${formatHandle(handle)}`, load, range?.signal);
      this.#openCircuits.delete(circuit);
      return bytes;
    } catch (error) {
      if (isTransient(error) && !range?.signal?.aborted) this.#openCircuit(circuit);
      throw error;
    }
  }

  override stat(handle: Handle): Promise<FileInfo> {
    return this.#retry(`stat ${formatHandle(handle)}`, () => this.inner.stat(handle));
  }

  /** Goes on where it failed: names that were told already are left out. */
  override async *list(type: FileType): AsyncIterable<FileInfo> {
    const seen = new Set<string>();
    const attempts = new Attempts(this.#limits());
    for (;;) {
      try {
        for await (const file of this.inner.list(type)) {
          if (seen.has(file.name)) continue;
          seen.add(file.name);
          yield file;
        }
        return;
      } catch (error) {
        await this.#waitAfter(error, `list ${type} files`, attempts);
      }
    }
  }

  override remove(handle: Handle): Promise<void> {
    let tried = false;
    return this.#retry(`remove ${formatHandle(handle)}`, async () => {
      try {
        await this.inner.remove(handle);
      } catch (error) {
        // An earlier try has done it, and only its answer was lost.
        if (tried && error instanceof NotFoundError) return;
        tried = true;
        throw error;
      }
    });
  }

  override async close(): Promise<void> {
    this.#closing.abort(interruptedError());
    await this.inner.close();
  }

  async #retry<T>(what: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const attempts = new Attempts(this.#limits());
    for (;;) {
      throwIfAborted(signal);
      try {
        const result = await work();
        if (attempts.count > 0) this.#on({ type: "recovered", what, attempts: attempts.count + 1 });
        return result;
      } catch (error) {
        await this.#waitAfter(error, what, attempts, signal);
      }
    }
  }

  /** @throws the error itself when it is not to be tried again */
  async #waitAfter(error: unknown, what: string, attempts: Attempts, signal?: AbortSignal): Promise<void> {
    const atLeastMs = error instanceof BusyError ? error.retryAfterMs : 0;
    const delayMs = isTransient(error) ? attempts.nextDelay(atLeastMs) : undefined;
    if (delayMs === undefined || this.#closing.signal.aborted) throw error;
    this.#on({ type: "retrying", what, error, delayMs });
    const either = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    await delay(delayMs, either);
  }

  #openCircuit(circuit: string): void {
    if (this.#openCircuits.size >= MAX_CIRCUITS) this.#openCircuits.clear();
    this.#openCircuits.set(circuit, performance.now() + this.#openCircuitMs);
  }

  #limits() {
    return { firstMs: this.#firstDelayMs, maxMs: this.#maxDelayMs, totalMs: this.#totalMs };
  }
}

/** Counts tries and says how long to wait before the next. */
class Attempts {
  count = 0;
  #nextMs: number;
  readonly #maxMs: number;
  readonly #giveUpAt: number;

  constructor(limits: { readonly firstMs: number; readonly maxMs: number; readonly totalMs: number }) {
    this.#nextMs = limits.firstMs;
    this.#maxMs = limits.maxMs;
    this.#giveUpAt = performance.now() + limits.totalMs;
  }

  /** Milliseconds; `undefined` when it was the last, or when the next would be too late. */
  nextDelay(atLeastMs: number): number | undefined {
    const leftMs = this.#giveUpAt - performance.now();
    if ((atLeastMs > 0 && atLeastMs > leftMs) || (this.count > 0 && leftMs <= 0)) return undefined;
    this.count++;
    // So that clients that failed together do not come back together.
    const delayMs = this.#nextMs * (0.5 + Math.random());
    this.#nextMs = Math.min(this.#nextMs * 2, this.#maxMs);
    return Math.max(delayMs, atLeastMs);
  }
}

/** What may go better the next time. */
function isTransient(error: unknown): boolean {
  if (error instanceof RefusedError || error instanceof NotFoundError || error instanceof DamagedError)
    return false;
  return error instanceof YoreError && (error.code === "backend" || error.code === "timeout");
}
