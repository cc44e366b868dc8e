import { LRUCache } from "lru-cache";
import type { Handle, LoadRange } from "../backend/backend.js";
import { BackendWrapper } from "../backend/backend-wrapper.js";

/** One read gets this much; trees of a few KiB that were saved together lie together. */
const WINDOW_BYTES = 256 * 1024;
const WINDOWS = 16;
/** Distrusted ranges that are remembered: each is read again at once. */
const DOUBTED = 64;

interface Doubted {
  readonly name: string;
  readonly offset: number;
  readonly end: number;
}

/**
 * A backend that reads packs in windows and keeps the last of them: for blobs that are asked for one by one,
 * about in the order in which they were saved, as a walk through the trees of a snapshot does. 5,000 trees of
 * a kernel's source come with 20 reads. What is larger than a window is read as it is asked for. It holds at
 * most 4 MiB, until `clear`.
 */
export class PackWindowBackend extends BackendWrapper {
  readonly #windows = new LRUCache<string, Promise<Uint8Array>>({ max: WINDOWS });

  #doubted: readonly Doubted[] = [];

  /** Forgets what was read. */
  clear(): void {
    this.#windows.clear();
    this.#doubted = [];
  }

  override async load(handle: Handle, range: LoadRange = {}): Promise<Uint8Array> {
    const { offset = 0, length, into, signal } = range;
    const isWindowed = handle.type === "pack" && length !== undefined && length > 0 && length <= WINDOW_BYTES;
    if (!isWindowed || this.#isDoubted(handle.name, offset, length)) return this.inner.load(handle, range);
    const first = Math.floor(offset / WINDOW_BYTES);
    const last = Math.floor((offset + length - 1) / WINDOW_BYTES);
    // Both at once where a blob lies across the border: the next will be wanted anyway.
    const windows = await Promise.all(
      Array.from({ length: last - first + 1 }, (_, i) => this.#window(handle, first + i)),
    );
    signal?.throwIfAborted();
    const start = offset - first * WINDOW_BYTES;
    // A pack that is cut short: let the backend say so.
    if (start + length > windows.reduce((sum, window) => sum + window.length, 0))
      return this.inner.load(handle, range);
    const head = windows[0]!.subarray(start, start + length);
    if (head.length === length) return head;
    const bytes = into && into.length >= length ? into.subarray(0, length) : Buffer.allocUnsafe(length);
    bytes.set(head);
    bytes.set(windows[1]!.subarray(0, length - head.length), head.length);
    return bytes;
  }

  /** Reads these bytes past the windows from now on; what else is in those may be good. */
  async distrust(handle: Handle, offset: number, length: number): Promise<void> {
    const doubted = { name: handle.name, offset, end: offset + length };
    this.#doubted = [...this.#doubted.slice(1 - DOUBTED), doubted];
    await this.inner.distrust?.(handle, offset, length);
  }

  #isDoubted(name: string, offset: number, length: number): boolean {
    return this.#doubted.some((one) => one.name === name && offset < one.end && one.offset < offset + length);
  }

  #window(handle: Handle, number: number): Promise<Uint8Array> {
    const key = `${handle.name} ${number}`;
    const known = this.#windows.get(key);
    if (known) return known;
    // How large the pack is need not be asked: over a slow line that is felt.
    const range = { offset: number * WINDOW_BYTES, length: WINDOW_BYTES, upTo: true };
    const window = this.inner.load(handle, range);
    this.#windows.set(key, window);
    // A failure is not kept: the next who asks tries again.
    window.catch(() => this.#windows.delete(key));
    return window;
  }
}
