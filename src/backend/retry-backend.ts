import { setMaxListeners } from "node:events";
import { delay } from "../async/deadline.js";
import {
  DamagedError,
  interruptedError,
  messageOf,
  NotFoundError,
  throwIfAborted,
  YoreError,
} from "../errors.js";
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
  /**
   * Before the second try, milliseconds; each further one waits twice as long, up to a minute, give or take half. 1 s when
   * left out.
   */
  readonly firstDelayMs?: number;
  /** After so long, no further try is begun; there are always two. 15 minutes when left out. */
  readonly totalMs?: number;
  /**
   * Once it has fired nothing is tried again, and what reads ends at once. What saves or removes has its one try, also
   * when it begins later, so that a lock goes; but no more than 5 s.
   */
  readonly signal?: AbortSignal | undefined;
  /** Told of each failure that is tried again, and of each success after one. */
  readonly on?: (event: RetryEvent) => void;
}

export type RetryEvent =
  | { readonly type: "retrying"; readonly what: string; readonly error: unknown; readonly delayMs: number }
  | { readonly type: "recovered"; readonly what: string; readonly attempts: number };

/** A file that is not tried again for now. */
interface OpenCircuit {
  /** By a clock that never goes back. */
  readonly until: number;
  /** Of the last failure. */
  readonly reason: string;
}

type Work<T> = (signal: AbortSignal) => Promise<T>;

/** The longest wait between two tries. */
const MAX_DELAY_MS = 60_000;
/** How long, at most, a file that could not be loaded in all the time that there was is not tried again. */
const OPEN_CIRCUIT_MS = 60 * 60_000;
/** What saves or removes after the stop has so long. */
const LAST_TRY_MS = 5_000;
/** How many files that failed are remembered. */
const MAX_CIRCUITS = 10_000;

/**
 * Tries again what may succeed the next time: the network was away, the server was busy (and is left alone for as long as
 * it asked). Not what the store has refused, what is not there, and what is damaged. A file that could not be loaded in all
 * the time that there was fails at once for an hour, so that one bad pack does not stop a restore again and again; where the
 * server asked for more time than there was, for as long as that.
 */
export class RetryBackend extends BackendWrapper {
  readonly #firstDelayMs: number;
  readonly #totalMs: number;
  readonly #on: (event: RetryEvent) => void;
  readonly #openCircuits = new Map<string, OpenCircuit>();
  readonly #closing = new AbortController();
  /** Fires with the signal of the options, or when the backend is closed. */
  readonly #stop: AbortSignal;
  /** Fires when what was being written at the stop has had its time. */
  readonly #late = new AbortController();

  constructor(inner: Backend, options: RetryOptions = {}) {
    super(inner);
    this.#firstDelayMs = options.firstDelayMs ?? 1_000;
    this.#totalMs = options.totalMs ?? 15 * 60_000;
    this.#on = options.on ?? (() => {});
    this.#stop = AbortSignal.any([this.#closing.signal, ...(options.signal ? [options.signal] : [])]);
    // Each of many operations under way listens to them; Node.js would take more than ten for a leak.
    setMaxListeners(0, this.#stop, this.#late.signal);
    this.#stop.addEventListener("abort", () => this.#abortLater(this.#late));
  }

  override create(): Promise<void> {
    return this.#retryWrite("create the repository", (signal) => this.inner.create(signal));
  }

  override save(handle: Handle, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    const save = (signal: AbortSignal) => this.inner.save(handle, pieces, signal);
    return this.#retryWrite(`save ${formatHandle(handle)}`, save, signal);
  }

  override async load(handle: Handle, range?: LoadRange): Promise<Uint8Array> {
    const circuit = `${handle.type}/${handle.name}`;
    const open = this.#openCircuits.get(circuit);
    if (open && performance.now() < open.until)
      throw new YoreError("backend", `${open.reason}; not tried again for now`);
    try {
      const load = (signal: AbortSignal) => this.inner.load(handle, { ...range, signal });
      const bytes = await this.#retryRead(`load ${formatHandle(handle)}`, load, range?.signal);
      this.#openCircuits.delete(circuit);
      return bytes;
    } catch (error) {
      if (isTransient(error) && !this.#stop.aborted && !range?.signal?.aborted)
        this.#openCircuit(circuit, error);
      throw error;
    }
  }

  override stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo> {
    return this.#retryRead(
      `stat ${formatHandle(handle)}`,
      (either) => this.inner.stat(handle, either),
      signal,
    );
  }

  /** Goes on where it failed: names that were told already are left out. */
  override async *list(type: FileType, signal = this.#stop): AsyncIterable<FileInfo> {
    const seen = new Set<string>();
    const attempts = new Attempts(this.#limits());
    for (;;) {
      throwIfAborted(signal);
      try {
        for await (const file of this.inner.list(type, signal)) {
          if (seen.has(file.name)) continue;
          seen.add(file.name);
          yield file;
        }
        return;
      } catch (error) {
        await this.#waitAfter(error, `list ${type} files`, attempts, signal);
      }
    }
  }

  override remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    let tried = false;
    const remove = async (signal: AbortSignal) => {
      try {
        await this.inner.remove(handle, signal);
      } catch (error) {
        // An earlier try has done it, and only its answer was lost.
        if (tried && error instanceof NotFoundError) return;
        tried = true;
        throw error;
      }
    };
    return this.#retryWrite(`remove ${formatHandle(handle)}`, remove, signal);
  }

  override async close(): Promise<void> {
    this.#closing.abort(interruptedError());
    await this.inner.close();
  }

  /** @param signal of the caller, who fires it in time: it stands for the backend's own */
  #retryRead<T>(what: string, work: Work<T>, signal = this.#stop): Promise<T> {
    return this.#retry(what, work, signal);
  }

  #retryWrite<T>(what: string, work: Work<T>, signal?: AbortSignal): Promise<T> {
    if (signal || !this.#stop.aborted) return this.#retry(what, work, signal ?? this.#late.signal);
    const late = new AbortController();
    this.#abortLater(late);
    return this.#retry(what, work, late.signal);
  }

  #abortLater(controller: AbortController): void {
    const error = new YoreError("timeout", `nothing within ${LAST_TRY_MS / 1000} s`);
    setTimeout(() => controller.abort(error), LAST_TRY_MS).unref();
  }

  async #retry<T>(what: string, work: Work<T>, signal: AbortSignal): Promise<T> {
    const attempts = new Attempts(this.#limits());
    for (;;) {
      throwIfAborted(signal);
      try {
        const result = await work(signal);
        if (attempts.count > 0) this.#on({ type: "recovered", what, attempts: attempts.count + 1 });
        return result;
      } catch (error) {
        await this.#waitAfter(error, what, attempts, signal);
      }
    }
  }

  /** @throws the error itself when it is not to be tried again */
  async #waitAfter(error: unknown, what: string, attempts: Attempts, signal: AbortSignal): Promise<void> {
    const atLeastMs = error instanceof BusyError ? error.retryAfterMs : 0;
    const delayMs = isTransient(error) ? attempts.nextDelay(atLeastMs) : undefined;
    if (delayMs === undefined) throw error;
    const either = AbortSignal.any([this.#stop, signal]);
    throwIfAborted(either);
    this.#on({ type: "retrying", what, error, delayMs });
    await delay(delayMs, either);
  }

  #openCircuit(circuit: string, error: unknown): void {
    if (this.#openCircuits.size >= MAX_CIRCUITS) this.#openCircuits.clear();
    const asked = error instanceof BusyError ? error.retryAfterMs : OPEN_CIRCUIT_MS;
    const until = performance.now() + Math.min(asked, OPEN_CIRCUIT_MS);
    this.#openCircuits.set(circuit, { until, reason: messageOf(error) });
  }

  #limits() {
    const isLast = this.#stop.aborted;
    return { firstMs: this.#firstDelayMs, totalMs: this.#totalMs, isLast };
  }
}

/** Counts tries and says how long to wait before the next. */
class Attempts {
  count = 0;
  readonly #isLast: boolean;
  #nextMs: number;
  readonly #giveUpAt: number;

  constructor(limits: {
    readonly firstMs: number;
    readonly totalMs: number;
    /** There is no second. */
    readonly isLast: boolean;
  }) {
    this.#isLast = limits.isLast;
    this.#nextMs = limits.firstMs;
    this.#giveUpAt = performance.now() + limits.totalMs;
  }

  /** Milliseconds; `undefined` when it was the last, or when the next would be too late. */
  nextDelay(atLeastMs: number): number | undefined {
    if (this.#isLast) return undefined;
    const leftMs = this.#giveUpAt - performance.now();
    if ((atLeastMs > 0 && atLeastMs > leftMs) || (this.count > 0 && leftMs <= 0)) return undefined;
    this.count++;
    // So that clients that failed together do not come back together.
    const delayMs = this.#nextMs * (0.5 + Math.random());
    this.#nextMs = Math.min(this.#nextMs * 2, MAX_DELAY_MS);
    return Math.max(delayMs, atLeastMs);
  }
}

/** What may go better the next time. */
function isTransient(error: unknown): boolean {
  if (error instanceof RefusedError || error instanceof NotFoundError || error instanceof DamagedError)
    return false;
  return error instanceof YoreError && (error.code === "backend" || error.code === "timeout");
}
