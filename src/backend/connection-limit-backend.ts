import { Semaphore } from "../async/semaphore.js";
import type { Backend, FileInfo, Handle, LoadRange } from "./backend.js";
import { BackendWrapper } from "./backend-wrapper.js";

/**
 * Lets as many operations at the inner backend at a time as it has connections. Locks go past: a refresh must not
 * wait behind packs, or others take the lock for abandoned. A listing takes no place: who consumes it works on its files
 * meanwhile.
 */
export class ConnectionLimitBackend extends BackendWrapper {
  readonly #places: Semaphore;

  constructor(inner: Backend) {
    super(inner);
    this.#places = new Semaphore(inner.connections);
  }

  override save(handle: Handle, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    return this.#run(handle, () => this.inner.save(handle, pieces, signal));
  }

  override load(handle: Handle, range?: LoadRange): Promise<Uint8Array> {
    return this.#run(handle, () => this.inner.load(handle, range));
  }

  override stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo> {
    return this.#run(handle, () => this.inner.stat(handle, signal));
  }

  override remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    return this.#run(handle, () => this.inner.remove(handle, signal));
  }

  #run<T>(handle: Handle, work: () => Promise<T>): Promise<T> {
    return handle.type === "lock" ? work() : this.#places.run(work);
  }
}
