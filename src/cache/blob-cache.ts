/**
 * Plaintext blobs in memory, bounded in bytes, those that were loaded longest ago given up first. One load a blob at a
 * time; a failure is never kept, so what was unreadable for a moment heals by itself.
 *
 * The memory is used again and again (see blob-arena.ts). What `peek` returns is therefore good until the caller gives up
 * control, what `borrow` resolves to until the callbacks of its promise have run. `loadBlob` makes a copy.
 */

import { type Id, idKey } from "../bytes/id.js";
import { largeMemory } from "../bytes/large-memory.js";
import { NotFoundError, YoreError } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import type {
  BlobLoader,
  BlobResult,
  PlaintextRoom,
  PlaintextSink,
  SizedBlob,
} from "../repository/blob-loader.js";
import { type ArenaSegment, BlobArena } from "./blob-arena.js";
import { BlobWaiter } from "./blob-waiter.js";
import { GoneBlobs } from "./gone-blobs.js";

export interface BlobCacheOptions {
  /** Bytes of plaintext that are kept, with what keeping them costs; 64 MiB when left out. */
  readonly maxBytes?: number;
  /** Milliseconds after which a load is given up; 60,000 when left out. */
  readonly timeoutMs?: number;
}

export interface BlobCacheStatistics {
  hits: number;
  misses: number;
  /** Blobs that were loaded before anybody asked. */
  loadedAhead: number;
  /** Bytes of plaintext that came from the loader. */
  loadedBytes: number;
}

/** With all that a mount needs beside it, this stays below 300 MiB while everything is read. */
export const DEFAULT_BLOB_CACHE_BYTES = 64 * 1024 * 1024;

/**
 * What it begins with: what was read is in the kernel's cache, so that this one need only hold what is ahead of the readers,
 * and for a few of them more is not faster. It grows when a blob is wanted again that a larger one would still have: with
 * this alone 16 readers at once would cost a fourth more processor time, since they push out what is ahead of each other.
 */
const FIRST_BYTES = 36 * 1024 * 1024;

const DEFAULT_TIMEOUT_MS = 60_000;

/** A verified plaintext, and the segment that it lies in; one that is too large for the cache has memory of its own. */
export interface HeldBlob {
  readonly plaintext: Uint8Array;
  readonly segment: ArenaSegment | undefined;
}

/** Loads that were begun together, each waited for by those who want its blob. */
interface Flight {
  readonly plaintext: undefined;
  /** Begun to read ahead: a failure there may be that of a neighbour. */
  readonly ahead: boolean;
  /** When it is given up, on the clock of `performance.now`. */
  readonly endsAt: number;
  readonly waiters: Map<string, BlobWaiter[]>;
  /** How many have not arrived yet, well or badly. */
  left: number;
}

/** The two types are separate worlds. */
function blobKey(type: BlobType, id: Id): string {
  return type === "data" ? idKey(id) : `t${idKey(id)}`;
}

/** Memory for neighbours; without a segment when too much of the cache is in use. */
interface Room extends PlaintextRoom {
  readonly segment: ArenaSegment | undefined;
}

export class BlobCache implements BlobLoader {
  readonly maxBytes: number;
  readonly statistics: BlobCacheStatistics = { hits: 0, misses: 0, loadedAhead: 0, loadedBytes: 0 };
  readonly #loader: BlobLoader;
  readonly #timeoutMs: number;
  readonly #arena: BlobArena;
  /** What is in memory, or on its way. One map for both: a walk through small files is half made of looking here. */
  readonly #blobs = new Map<string, HeldBlob | Flight>();
  /** Those that a cache of `maxBytes` would still have. */
  readonly #gone: GoneBlobs;

  /** @throws {RangeError} if the bound is no positive integer */
  constructor(loader: BlobLoader, options: BlobCacheOptions = {}) {
    this.maxBytes = options.maxBytes ?? DEFAULT_BLOB_CACHE_BYTES;
    if (!Number.isSafeInteger(this.maxBytes) || this.maxBytes < 1)
      throw new RangeError(`"maxBytes" expected a positive integer, got ${this.maxBytes}`);
    this.#loader = loader;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#arena = new BlobArena(this.maxBytes, (segment) => this.#onEvict(segment), FIRST_BYTES);
    this.#gone = new GoneBlobs(this.maxBytes - FIRST_BYTES);
  }

  #onEvict(segment: ArenaSegment): void {
    for (const key of segment.blobs) {
      const held = this.#blobs.get(key);
      if (held?.plaintext === undefined || held.segment !== segment) continue;
      this.#blobs.delete(key);
      this.#gone.add(key, held.plaintext.length);
    }
  }

  /** Bytes that may be loaded ahead without pushing out what is being read. */
  get aheadBytes(): number {
    return Math.min(this.maxBytes, FIRST_BYTES) / 2;
  }

  /** Bytes kept now. */
  get bytes(): number {
    return this.#arena.bytes;
  }

  blobSize(type: BlobType, id: Id): number | undefined {
    return this.#loader.blobSize(type, id);
  }

  following(type: BlobType, id: Id, maxBytes: number): SizedBlob[] {
    return this.#loader.following?.(type, id, maxBytes) ?? [];
  }

  /** The blob, if it is in memory. */
  peek(type: BlobType, id: Id): Uint8Array | undefined {
    const plaintext = this.#blobs.get(blobKey(type, id))?.plaintext;
    if (plaintext) this.statistics.hits++;
    return plaintext;
  }

  /** True when the blob is in memory or on its way. */
  knows(type: BlobType, id: Id): boolean {
    return this.#blobs.has(blobKey(type, id));
  }

  /** A copy of the blob. */
  async loadBlob(type: BlobType, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    const kept = this.peek(type, id);
    if (kept && !signal?.aborted) return Buffer.from(kept);
    const waiter = this.#waitFor(type, [id], signal);
    const [plaintext] = await waiter.promise;
    const copy = Buffer.from(plaintext!);
    waiter.release();
    return copy;
  }

  /**
   * Blobs in the order of their IDs. What is not here is loaded with few requests; joining loads that are under way.
   *
   * @throws what loading the first that failed throws, or the `interrupted` error as soon as the signal fires
   */
  async borrow(type: BlobType, ids: readonly Id[], signal?: AbortSignal): Promise<readonly Uint8Array[]> {
    const waiter = this.#waitFor(type, ids, signal);
    const plaintexts = await waiter.promise;
    // Not before those who wait have had their turn.
    setImmediate(() => waiter.release());
    return plaintexts;
  }

  #waitFor(type: BlobType, ids: readonly Id[], signal: AbortSignal | undefined): BlobWaiter {
    const keys = ids.map((id) => blobKey(type, id));
    const waiter = new BlobWaiter(keys, signal);
    if (waiter.isDone) return waiter;
    const missing: Id[] = [];
    const until = performance.now() + this.#timeoutMs;
    const flight = newFlight(false, until);
    for (const [i, key] of keys.entries()) {
      const known = this.#blobs.get(key);
      if (known?.plaintext) {
        waiter.arrived(key, known);
        continue;
      }
      this.statistics.misses++;
      if (known && known !== flight) {
        this.#join(known, type, ids[i]!, key, waiter, until);
      } else if (this.#begin(flight, key)) {
        missing.push(ids[i]!);
        addWaiter(flight, key, waiter);
      }
    }
    if (missing.length > 0) void this.#run(flight, type, missing);
    return waiter;
  }

  /** Loads what is neither here nor on its way. Resolves when all loads have ended; never fails. */
  async loadAhead(type: BlobType, ids: readonly Id[]): Promise<void> {
    const flight = newFlight(true, performance.now() + this.#timeoutMs);
    const wanted = ids.filter((id) => this.#begin(flight, blobKey(type, id)));
    if (wanted.length > 0) await this.#run(flight, type, wanted);
  }

  /**
   * What fails ahead is tried once more on its own: what failed may have been a neighbour. What gets no answer is tried once
   * more for those who joined late: each of them has the whole time to wait.
   */
  #join(flight: Flight, type: BlobType, id: Id, key: string, waiter: BlobWaiter, until: number): void {
    if (!flight.ahead && !this.#isWorthWaiting(until - flight.endsAt)) {
      addWaiter(flight, key, waiter);
      return;
    }
    const again = new BlobWaiter([key], undefined);
    again.onEnd = (held, error) => {
      const isLate = error instanceof YoreError && error.code === "timeout";
      const isTriedAgain = isLate ? this.#isWorthWaiting(until - performance.now()) : flight.ahead;
      if (held) waiter.arrived(key, held);
      else if (waiter.isDone || !isTriedAgain) waiter.fail(error);
      else this.#loadFor(type, id, key, waiter, until);
    };
    addWaiter(flight, key, again);
  }

  #isWorthWaiting(ms: number): boolean {
    return ms > this.#timeoutMs / 10;
  }

  #loadFor(type: BlobType, id: Id, key: string, waiter: BlobWaiter, until: number): void {
    const known = this.#blobs.get(key);
    if (known?.plaintext) {
      waiter.arrived(key, known);
      return;
    }
    if (known) {
      this.#join(known, type, id, key, waiter, until);
      return;
    }
    const flight = newFlight(false, until);
    addWaiter(flight, key, waiter);
    if (this.#begin(flight, key)) void this.#run(flight, type, [id]);
  }

  /** @returns false when the blob is here or on its way */
  #begin(flight: Flight, key: string): boolean {
    if (this.#blobs.has(key)) return false;
    this.#blobs.set(key, flight);
    flight.left++;
    if (this.#gone.take(key)) this.#arena.grow();
    return true;
  }

  /** Resolves when all of a flight have arrived, or the time is over. Never fails. */
  async #run(flight: Flight, type: BlobType, ids: readonly Id[]): Promise<void> {
    const controller = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const what = flight.ahead ? "load blobs ahead" : `load ${type} blob`;
        const reason = `no answer within ${this.#timeoutMs / 1000} s`;
        const error = new YoreError("timeout", `Cannot ${what}: ${reason}`);
        reject(error);
        controller.abort(error);
      }, flight.endsAt - performance.now());
      timer.unref();
    });
    let failure: unknown = new NotFoundError("Cannot load blob: the loader gave no answer for it");
    try {
      await Promise.race([this.#load(flight, type, ids, controller.signal), late]);
    } catch (error) {
      failure = error;
    } finally {
      clearTimeout(timer);
    }
    if (flight.left > 0) for (const id of ids) this.#fail(flight, blobKey(type, id), failure);
  }

  async #load(flight: Flight, type: BlobType, ids: readonly Id[], signal: AbortSignal): Promise<void> {
    const rooms = new Set<Room>();
    const sink: PlaintextSink = {
      room: (bytes, blobs) => {
        const segment = this.#arena.take(bytes, blobs);
        const room = { segment, memory: segment?.memory ?? largeMemory(bytes) };
        rooms.add(room);
        return room;
      },
      arrived: (arrived, results, room) => {
        for (const [i, id] of arrived.entries())
          this.#arrived(flight, blobKey(type, id), results[i]!, room as Room);
        if (!room) return;
        rooms.delete(room as Room);
        (room as Room).segment?.unpin();
      },
    };
    const loader = this.#loader;
    if (loader.loadBlobsInto) {
      try {
        await loader.loadBlobsInto(type, ids, sink, signal);
      } finally {
        // Nobody writes to them any more.
        for (const { segment } of rooms) segment?.unpin();
      }
    } else if (loader.loadBlobs && ids.length > 1) {
      const arrived = (id: Id, result: BlobResult) =>
        sink.arrived(
          [id],
          ["error" in result ? result : { plaintext: Buffer.from(result.plaintext) }],
          undefined,
        );
      await loader.loadBlobs(type, ids, arrived, signal);
    } else {
      await Promise.all(
        ids.map(async (id) => {
          const result: BlobResult = await loader.loadBlob(type, id, signal).then(
            (plaintext) => ({ plaintext }),
            (error: unknown) => ({ error }),
          );
          sink.arrived([id], [result], undefined);
        }),
      );
    }
  }

  #arrived(flight: Flight, key: string, result: BlobResult, room: Room | undefined): void {
    flight.left--;
    if ("error" in result) {
      this.#fail(flight, key, result.error);
      return;
    }
    const { plaintext } = result;
    this.statistics.loadedBytes += plaintext.length;
    if (flight.ahead) this.statistics.loadedAhead++;
    const held = this.#keep(key, plaintext, room);
    if (!held.segment) this.#leave(flight, key);
    const waiters = flight.waiters.get(key);
    if (!waiters) return;
    flight.waiters.delete(key);
    for (const waiter of waiters) waiter.arrived(key, held);
  }

  /** What did not come in a room is copied into one, so that the bound is the truth. */
  #keep(key: string, plaintext: Uint8Array, room: Room | undefined): HeldBlob {
    let held: HeldBlob = { plaintext, segment: room?.segment };
    if (!room || plaintext.buffer !== room.memory.buffer) {
      const segment = this.#arena.take(plaintext.length, 1);
      if (segment) {
        segment.memory.set(plaintext);
        segment.unpin();
        held = { plaintext: segment.memory, segment };
      } else held = { plaintext, segment: undefined };
    }
    if (!held.segment) return held;
    held.segment.blobs.push(key);
    this.#blobs.set(key, held);
    return held;
  }

  #fail(flight: Flight, key: string, error: unknown): void {
    this.#leave(flight, key);
    const waiters = flight.waiters.get(key);
    flight.waiters.delete(key);
    for (const waiter of waiters ?? []) waiter.fail(error);
  }

  /** A blob is not on its way any more. */
  #leave(flight: Flight, key: string): void {
    if (this.#blobs.get(key) === flight) this.#blobs.delete(key);
  }
}

function newFlight(ahead: boolean, endsAt: number): Flight {
  return { plaintext: undefined, ahead, endsAt, waiters: new Map(), left: 0 };
}

function addWaiter(flight: Flight, key: string, waiter: BlobWaiter): void {
  const waiters = flight.waiters.get(key);
  if (waiters) waiters.push(waiter);
  else flight.waiters.set(key, [waiter]);
}
