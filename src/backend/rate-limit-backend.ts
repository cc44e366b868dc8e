import type { TokenBucket } from "../async/token-bucket.js";
import type { Backend, FileInfo, FileType, Handle, LoadRange } from "./backend.js";

/**
 * Holds a rate over whole files and ranges: what was moved is paid for before the next begins. For backends that cannot
 * hold it byte by byte themselves, as those behind HTTP do.
 */
export class RateLimitBackend implements Backend {
  readonly #inner: Backend;
  readonly #upload: TokenBucket | undefined;
  readonly #download: TokenBucket | undefined;

  constructor(
    inner: Backend,
    rates: { readonly upload?: TokenBucket | undefined; readonly download?: TokenBucket | undefined },
  ) {
    this.#inner = inner;
    this.#upload = rates.upload;
    this.#download = rates.download;
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

  async save(handle: Handle, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    await this.#upload?.pass(bytes, signal);
    await this.#inner.save(handle, pieces, signal);
  }

  async load(handle: Handle, range?: LoadRange): Promise<Uint8Array> {
    const bytes = await this.#inner.load(handle, range);
    await this.#download?.pass(bytes.length, range?.signal);
    return bytes;
  }

  stat(handle: Handle): Promise<FileInfo> {
    return this.#inner.stat(handle);
  }

  list(type: FileType): AsyncIterable<FileInfo> {
    return this.#inner.list(type);
  }

  remove(handle: Handle): Promise<void> {
    return this.#inner.remove(handle);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
