import { awaitedLater } from "../async/awaited-later.js";
import { type Id, idKey } from "../bytes/id.js";
import { throwIfAborted } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import type { BlobResult, PlaintextRoom, PlaintextSink } from "../repository/blob-loader.js";
import { RangeBuffers } from "../repository/range-buffers.js";
import type { Repository } from "../repository/repository.js";
import type { Written } from "./archive-writer.js";

const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_PIECES = 4096;
/** 3 GiB over REST with 50 ms a request: 30 s with one, 21 with four. */
const MAX_BATCHES_AHEAD = 4;

/** Something with content. */
export interface ContentEntry {
  readonly node: TreeNode;
  /** Why it cannot be written; nothing of it is loaded then. */
  readonly failure?: unknown;
}

/** A blob of an entry with its plaintext, or an entry without any. */
export interface ContentPiece<Entry extends ContentEntry> {
  readonly entry: Entry;
  readonly id: Id | undefined;
  readonly bytes: Uint8Array;
}

type PlannedPiece<Entry extends ContentEntry> = Omit<ContentPiece<Entry>, "bytes">;

/**
 * Loads what entries hold, in batches, and has it written in order: one batch, or up to four where the backend has the
 * connections for it, are on their way while two are written, each of 4 MiB and a blob, in memory that is used again.
 *
 * @param write is called for each piece of an entry, and once without bytes for an entry that has none. It need not wait
 * for what it was handed before; the bytes are its own until what it returns has resolved.
 * @throws what an entry or a blob of it failed with, or what `write` fails with, when all before it is written
 */
export async function writeContents<Entry extends ContentEntry>(
  repository: Repository,
  entries: AsyncIterable<Entry>,
  write: (piece: ContentPiece<Entry>) => Written,
  signal: AbortSignal,
): Promise<void> {
  const batches = planBatches(repository, entries);
  const buffers = new RangeBuffers();
  const startNext = async () => {
    const { value } = await batches.next();
    if (!value) return undefined;
    const batch = new Batch(value, buffers);
    return { batch, loading: awaitedLater(batch.load(repository, signal)) };
  };
  const coming: ReturnType<typeof startNext>[] = [];
  const writing: Promise<void>[] = [];
  const ahead = Math.max(1, Math.min(MAX_BATCHES_AHEAD, repository.backend.connections - 1));
  try {
    for (;;) {
      while (coming.length <= ahead) coming.push(awaitedLater(startNext()));
      const next = await coming.shift();
      if (!next) break;
      await next.loading;
      writing.push(awaitedLater(next.batch.write(write, signal)));
      if (writing.length > 1) await writing.shift();
    }
    await writing.shift();
  } finally {
    await Promise.allSettled(writing);
    await batches.return(undefined);
  }
}

async function* planBatches<Entry extends ContentEntry>(
  repository: Repository,
  entries: AsyncIterable<Entry>,
): AsyncGenerator<PlannedPiece<Entry>[], undefined, undefined> {
  let batch: PlannedPiece<Entry>[] = [];
  let bytes = 0;
  for await (const entry of entries) {
    const { content } = entry.node;
    const ids: Iterable<Id | undefined> = content?.length && !entry.failure ? content : [undefined];
    for (const id of ids) {
      batch.push({ entry, id });
      bytes += id ? (repository.blobSize("data", id) ?? 0) : 0;
      if (bytes < BATCH_BYTES && batch.length < BATCH_PIECES) continue;
      yield batch;
      batch = [];
      bytes = 0;
    }
  }
  if (batch.length > 0) yield batch;
  return undefined;
}

/** Pieces that are loaded together. */
class Batch<Entry extends ContentEntry> implements PlaintextSink {
  readonly #pieces: readonly PlannedPiece<Entry>[];
  readonly #buffers: RangeBuffers;
  readonly #rooms: Uint8Array[] = [];
  readonly #loaded = new Map<string, BlobResult>();

  constructor(pieces: readonly PlannedPiece<Entry>[], buffers: RangeBuffers) {
    this.#pieces = pieces;
    this.#buffers = buffers;
  }

  async load(repository: Repository, signal: AbortSignal): Promise<void> {
    const wanted = new Map<string, Id>();
    for (const { id } of this.#pieces) if (id) wanted.set(idKey(id), id);
    if (wanted.size > 0) await repository.loadBlobsInto("data", [...wanted.values()], this, signal);
  }

  room(bytes: number): PlaintextRoom {
    return { memory: this.#buffers.take(bytes) };
  }

  arrived(ids: readonly Id[], results: readonly BlobResult[], room: PlaintextRoom | undefined): void {
    for (const [i, id] of ids.entries()) this.#loaded.set(idKey(id), results[i]!);
    if (room) this.#rooms.push(room.memory);
  }

  /** Resolves when all is written, and its memory another's. */
  async write(write: (piece: ContentPiece<Entry>) => Written, signal: AbortSignal): Promise<void> {
    const written: Written[] = [];
    try {
      for (const { entry, id } of this.#pieces) {
        throwIfAborted(signal);
        if (entry.failure) throw entry.failure;
        const result = id ? this.#loaded.get(idKey(id))! : NOTHING;
        if ("error" in result) throw result.error;
        const one = write({ entry, id, bytes: result.plaintext });
        if (one) written.push(one);
      }
    } finally {
      await Promise.allSettled(written);
    }
    await Promise.all(written);
    for (const memory of this.#rooms) this.#buffers.giveBack(memory);
  }
}

const NOTHING = { plaintext: new Uint8Array(0) };
