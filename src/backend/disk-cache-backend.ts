import { createHash } from "node:crypto";
import { forEachConcurrently } from "../async/map-concurrently.js";
import { SingleFlight } from "../async/single-flight.js";
import { throwIfAborted } from "../errors.js";
import type { FileInfo, FileType, Handle, LoadRange } from "./backend.js";
import { BackendWrapper } from "./backend-wrapper.js";
import type { CachedType, DiskCache } from "./disk-cache.js";

/** Files of up to some 16 MiB that wait for the disk. */
const MAX_WRITES = 4;

/** What a cache must be told about the repository behind it. */
export interface CachePolicy {
  readonly cache: DiskCache;
  /** Whether a pack holds trees: those are kept whole, as everything that walks through snapshots needs them. */
  readonly holdsTrees: (packName: string) => boolean;
  /** Whether parts of other packs are kept too. */
  readonly keepsData: boolean;
}

/**
 * Keeps what is read of a far repository on the local disk: index and snapshots, packs of trees, and when wanted what
 * was read of all others. Does nothing until it is told which repository it is, which takes a password to know.
 */
export class DiskCacheBackend extends BackendWrapper {
  #policy: CachePolicy | undefined;
  /** Whoever wants a file that is on its way waits for it. */
  readonly #loading = new SingleFlight<string, Uint8Array>();
  /** What is being written, `MAX_WRITES` at most; waited for at the end, so that the next process finds it. */
  readonly #writing = new Set<Promise<void>>();
  /** What of it is whole files: nobody finds them on the disk yet, and nobody shall load them once more. */
  readonly #fresh = new Map<string, Uint8Array>();

  readonly #distrusted = new Set<string>();

  use(policy: CachePolicy): void {
    this.#policy = policy;
  }

  override async save(handle: Handle, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    await this.inner.save(handle, pieces, signal);
    const isMetadata = handle.type === "index" || handle.type === "snapshot";
    // The caller may use its memory again when this resolves.
    if (isMetadata || (handle.type === "pack" && handle.holdsTrees))
      await this.#policy?.cache.save(handle.type as CachedType, handle.name, pieces);
  }

  override async load(handle: Handle, range: LoadRange = {}): Promise<Uint8Array> {
    const policy = this.#policy;
    if (!policy) return this.inner.load(handle, range);
    throwIfAborted(range.signal);
    const { offset = 0, length } = range;
    switch (handle.type) {
      case "index":
      case "snapshot": {
        if (offset !== 0 || length !== undefined) return this.inner.load(handle, range);
        return this.#loadWhole(policy, { type: handle.type, name: handle.name });
      }
      case "pack":
        if (length === undefined) return this.inner.load(handle, range);
        return this.#loadOfPack(policy, handle, offset, length, range);
      default:
        return this.inner.load(handle, range);
    }
  }

  /**
   * Loads those of these files that are not here yet, as many at a time as there are connections. A file that cannot be
   * loaded is left to whoever needs it. @throws {YoreError} `interrupted`
   */
  async fill(
    type: "index" | "snapshot",
    files: readonly { readonly name: string }[],
    signal: AbortSignal,
  ): Promise<void> {
    const policy = this.#policy;
    if (!policy) return;
    const missing = await policy.cache.missing(
      type,
      files.map(({ name }) => name),
    );
    const load = async (name: string) => {
      await this.#loadWhole(policy, { type, name }).catch(() => {});
    };
    await forEachConcurrently(missing, this.connections, load, signal);
  }

  override async *list(type: FileType, signal?: AbortSignal): AsyncIterable<FileInfo> {
    const isCached = type === "index" || type === "snapshot" || type === "pack";
    if (!this.#policy || !isCached) {
      yield* this.inner.list(type, signal);
      return;
    }
    const names = new Set<string>();
    for await (const file of this.inner.list(type, signal)) {
      names.add(file.name);
      yield file;
    }
    for (const key of this.#fresh.keys()) {
      const [ofType, name] = key.split("/");
      if (ofType === type && !names.has(name!)) this.#fresh.delete(key);
    }
    await this.#policy.cache.retain(type, names);
  }

  override async remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    await this.inner.remove(handle, signal);
    this.#fresh.delete(keyOf(handle));
    if (handle.type === "index" || handle.type === "snapshot" || handle.type === "pack")
      await this.#policy?.cache.forget(handle.type, handle.name);
  }

  /**
   * A whole pack, which is verified, is fetched anew once: for all blobs that were read of it before, that one will do. Parts
   * are kept as they came, and may come damaged each time.
   */
  async distrust({ type, name }: Handle, offset: number, length: number): Promise<void> {
    const cache = this.#policy?.cache;
    if (type !== "pack" || !cache) return;
    const isHere = cache.keepsOf(name) || this.#fresh.has(keyOf({ type, name }));
    if (!isHere || this.#distrusted.has(name)) return cache.forgetParts(name, offset, length);
    this.#distrusted.add(name);
    await cache.forget(type, name);
  }

  override async close(): Promise<void> {
    await Promise.all(this.#writing);
    await this.#policy?.cache.close();
    await this.inner.close();
  }

  async #loadOfPack(
    { cache, holdsTrees, keepsData }: CachePolicy,
    handle: Handle,
    offset: number,
    length: number,
    range: LoadRange,
  ): Promise<Uint8Array> {
    const cached = await cache.loadRange(handle.name, offset, length);
    if (cached) return cached;
    if (holdsTrees(handle.name)) {
      const whole = await this.#loadWhole(this.#policy!, { type: "pack", name: handle.name });
      // A pack that is cut short: let the backend say so.
      if (offset + length > whole.length && !range.upTo) return this.inner.load(handle, range);
      return whole.subarray(offset, offset + length);
    }
    const bytes = await this.inner.load(handle, range);
    if (keepsData && bytes.length > 0) {
      // The reader may use its memory again before the copy is on the disk.
      const copy = Buffer.from(bytes);
      await this.#keep(() => cache.savePart(handle.name, offset, copy));
    }
    return bytes;
  }

  async #loadWhole(
    { cache }: CachePolicy,
    handle: { readonly type: CachedType; readonly name: string },
  ): Promise<Uint8Array> {
    const key = keyOf(handle);
    return this.#loading.run(key, async () => {
      const cached = this.#fresh.get(key) ?? (await cache.load(handle.type, handle.name));
      if (cached) return cached;
      // Without anybody's signal: others may wait for it too.
      const bytes = await this.inner.load(handle);
      // Whoever finds damage reads once more, and must then get what the backend has, not the same again.
      if (createHash("sha256").update(bytes).digest("hex") !== handle.name) return bytes;
      this.#fresh.set(key, bytes);
      await this.#keep(() =>
        cache.save(handle.type, handle.name, [bytes]).finally(() => this.#fresh.delete(key)),
      );
      return bytes;
    });
  }

  /** In the background, but only so much of it. */
  async #keep(write: () => Promise<void>): Promise<void> {
    while (this.#writing.size >= MAX_WRITES) await Promise.race(this.#writing);
    const writing: Promise<void> = write().finally(() => this.#writing.delete(writing));
    this.#writing.add(writing);
  }
}

function keyOf({ type, name }: { readonly type: FileType; readonly name: string }): string {
  return `${type}/${name}`;
}
