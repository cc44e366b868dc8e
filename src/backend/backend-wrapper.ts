import type { Backend, FileInfo, FileType, Handle, LoadRange } from "./backend.js";

/**
 * A backend that does as the one within, for those who change a part of it. Optional operations are not handed through:
 * they go past the wrapper.
 */
export abstract class BackendWrapper implements Backend {
  protected readonly inner: Backend;

  constructor(inner: Backend) {
    this.inner = inner;
  }

  get location(): string {
    return this.inner.location;
  }

  get connections(): number {
    return this.inner.connections;
  }

  get listsAtOnce(): boolean {
    return this.inner.listsAtOnce ?? false;
  }

  create(signal?: AbortSignal): Promise<void> {
    return this.inner.create(signal);
  }

  save(handle: Handle, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    return this.inner.save(handle, pieces, signal);
  }

  load(handle: Handle, range?: LoadRange): Promise<Uint8Array> {
    return this.inner.load(handle, range);
  }

  stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo> {
    return this.inner.stat(handle, signal);
  }

  list(type: FileType, signal?: AbortSignal): AsyncIterable<FileInfo> {
    return this.inner.list(type, signal);
  }

  remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    return this.inner.remove(handle, signal);
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}
