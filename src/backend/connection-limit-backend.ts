import { Semaphore } from "../async/semaphore.js";
import type { Backend, FileInfo, FileType, Handle, LoadRange } from "./backend.js";

/**
 * Lets as many operations at the inner backend at a time as it has connections. Locks go past: a refresh must not
 * wait behind packs, or others take the lock for abandoned.
 */
export class ConnectionLimitBackend implements Backend {
  readonly #inner: Backend;
  readonly #places: Semaphore;

  constructor(inner: Backend) {
    this.#inner = inner;
    this.#places = new Semaphore(inner.connections);
  }

  get location(): string {
    return this.#inner.location;
  }

  get connections(): number {
    return this.#inner.connections;
  }

  get listsAtOnce(): boolean {
    return this.#inner.listsAtOnce ?? false;
  }

  create(): Promise<void> {
    return this.#inner.create();
  }

  save(handle: Handle, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    return this.#run(handle, () => this.#inner.save(handle, pieces, signal));
  }

  load(handle: Handle, range?: LoadRange): Promise<Uint8Array> {
    return this.#run(handle, () => this.#inner.load(handle, range));
  }

  stat(handle: Handle): Promise<FileInfo> {
    return this.#run(handle, () => this.#inner.stat(handle));
  }

  /** Takes no place: who consumes a listing works on its files meanwhile. */
  list(type: FileType): AsyncIterable<FileInfo> {
    return this.#inner.list(type);
  }

  remove(handle: Handle): Promise<void> {
    return this.#run(handle, () => this.#inner.remove(handle));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #run<T>(handle: Handle, work: () => Promise<T>): Promise<T> {
    return handle.type === "lock" ? work() : this.#places.run(work);
  }
}
