import type { TokenBucket } from "../async/token-bucket.js";
import type { Backend, Handle, LoadRange } from "./backend.js";
import { BackendWrapper } from "./backend-wrapper.js";

/**
 * Holds a rate over whole files and ranges: what was moved is paid for before the next begins. For backends that cannot
 * hold it byte by byte themselves, as those behind HTTP do.
 */
export class RateLimitBackend extends BackendWrapper {
  readonly #upload: TokenBucket | undefined;
  readonly #download: TokenBucket | undefined;

  constructor(
    inner: Backend,
    rates: { readonly upload?: TokenBucket | undefined; readonly download?: TokenBucket | undefined },
  ) {
    super(inner);
    this.#upload = rates.upload;
    this.#download = rates.download;
  }

  override async save(handle: Handle, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    await this.#upload?.pass(bytes, signal);
    await this.inner.save(handle, pieces, signal);
  }

  override async load(handle: Handle, range?: LoadRange): Promise<Uint8Array> {
    const bytes = await this.inner.load(handle, range);
    await this.#download?.pass(bytes.length, range?.signal);
    return bytes;
  }
}
