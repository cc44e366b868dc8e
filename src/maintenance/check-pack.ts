import { awaitedLater } from "../async/awaited-later.js";
import { Semaphore } from "../async/semaphore.js";
import { type Handle, ROOM_FOR_BLOCKS } from "../backend/backend.js";
import { equalIds, formatId, type Id } from "../bytes/id.js";
import { giveBackMemory, largeMemory } from "../bytes/large-memory.js";
import { CHUNK_MAX_BYTES, type UnsealFailure } from "../engine/engine.js";
import { messageOf, NotFoundError, throwIfAborted, YoreError } from "../errors.js";
import type { IndexedPack } from "../format/index-file.js";
import {
  decodeHeaderLength,
  decodePackHeader,
  HEADER_LENGTH_LENGTH,
  type PackedBlob,
} from "../format/pack-header.js";
import type { Repository } from "../repository/repository.js";
import { formatUnsealFailure } from "../repository/unseal-failure.js";
import type { CheckProblem, DamagedBlob } from "./check-options.js";

/**
 * So much is read of a pack at a time, from whole blob to whole blob, where that takes no more requests. Of 3.3 GiB in packs of
 * 16 MiB all is verified in 3.5 s so; in pieces of 4 MiB in 3.7, with packs as a whole in 4.0 and 16 MiB more.
 */
const PIECE_BYTES = 2 * 1024 * 1024;
/** Room for a piece and the blob that it ends with. Smaller packs are read as a whole. */
const PIECE_ROOM_BYTES = PIECE_BYTES + CHUNK_MAX_BYTES;
/** What most pieces have at most; the memory of longer ones is given back when they are through. */
const USUAL_PIECE_BYTES = 2 * PIECE_BYTES;
/** The largest packs that restic and yore make, and what the last blobs add. */
const MAX_PACK_BYTES = 144 * 1024 * 1024;

/** What is read of a pack at a time. */
interface Piece {
  readonly offset: number;
  readonly length: number;
  readonly blobs: readonly PackedBlob[];
}

interface ReadPiece {
  readonly bytes: Uint8Array;
  /** To be used again. */
  readonly memory: Uint8Array | undefined;
}

/**
 * Checks packs, several at a time. The memory for one is used for the next: with new memory for each, a third of the time
 * goes into clearing and collecting it.
 */
export class PackChecker {
  readonly #repository: Repository;
  readonly #readsPieces: boolean;
  readonly #memoryBytes: number;
  /** Memory that checking one pack takes, bytes. Packs that take more are checked one after the other. */
  readonly bytesOfOne: number;
  readonly #spare: Uint8Array[] = [];
  readonly #large = new Semaphore(1);

  /** @param largest of the packs that will be checked, bytes: memory for one does for every other */
  constructor(repository: Repository, largest: number) {
    this.#repository = repository;
    this.#readsPieces = repository.backend.place !== undefined;
    this.#memoryBytes = Math.min(largest, this.#readsPieces ? PIECE_ROOM_BYTES : MAX_PACK_BYTES);
    // Of a pack in pieces there are two in memory.
    const hasPieces = this.#readsPieces && largest > PIECE_ROOM_BYTES;
    this.bytesOfOne = hasPieces ? 2 * this.#memoryBytes : this.#memoryBytes;
  }

  /**
   * Reads all of a pack and verifies everything in it: its hash, every blob that the index has in it, its header, and
   * that header and index agree. A pack that fails is read once more, as a whole, and what the second reading says counts: a
   * bad connection is not damage. It is told all the same.
   *
   * @param expectedSize of the pack file as the index has it, bytes
   * @throws {YoreError} with code `interrupted`
   */
  async check(
    pack: IndexedPack,
    expectedSize: number,
    signal: AbortSignal | undefined,
  ): Promise<CheckProblem | undefined> {
    if (await this.#isSound(pack, expectedSize, signal)) return undefined;
    const second = await this.#large.run(() => this.#findProblem(pack, expectedSize, signal));
    if (second) return second;
    const error = new YoreError(
      "backend",
      "the first reading failed, the second one did not: the way to it is unreliable",
    );
    return { kind: "pack-unreadable", packId: pack.packId, error };
  }

  async #isSound(pack: IndexedPack, size: number, signal: AbortSignal | undefined): Promise<boolean> {
    if (!isContinuous(pack.blobs)) return false;
    const isCut = this.#readsPieces && size > PIECE_ROOM_BYTES;
    const pieces = cutPieces(pack.blobs, size, isCut ? PIECE_BYTES : size);
    // A tree of a million files is one blob.
    const isLarge = pieces.some(({ length }) => length > this.#memoryBytes);
    const verify = () => this.#arePiecesSound(pack, size, pieces, signal);
    return isLarge ? this.#large.run(verify) : verify();
  }

  /** Verifies one piece while the next is read. */
  async #arePiecesSound(
    pack: IndexedPack,
    size: number,
    pieces: readonly Piece[],
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const verifier = this.#repository.engine.createPackVerifier(this.#repository.masterKey);
    let next: Promise<ReadPiece> | undefined;
    try {
      for (const [i, { offset, length, blobs }] of pieces.entries()) {
        const { bytes, memory } = await (next ?? this.#read(pack.packId, pieces, i, signal));
        const hasNext = i + 1 < pieces.length;
        next = hasNext ? awaitedLater(this.#read(pack.packId, pieces, i + 1, signal)) : undefined;
        try {
          throwIfAborted(signal);
          if (bytes.length !== length) return false;
          const parts = blobs.map((blob) => ({ ...blob, offset: blob.offset - offset }));
          const failures = await verifier.verify(bytes, parts);
          if (failures.some((failure) => failure !== undefined)) return false;
          if (!next && (await headerProblems(this.#repository, pack, bytes, size)).length > 0) return false;
        } finally {
          if (memory) this.#giveBack(memory, length);
        }
      }
    } catch {
      throwIfAborted(signal);
      return false;
    }
    return equalIds(verifier.finish(), pack.packId);
  }

  async #read(
    packId: Id,
    pieces: readonly Piece[],
    i: number,
    signal: AbortSignal | undefined,
  ): Promise<ReadPiece> {
    const { offset, length } = pieces[i]!;
    const memory = this.#memoryFor(length);
    // When it fails, the memory is left alone: it may be written to later still.
    const bytes = await this.#repository.backend.load(handleOf(packId), {
      once: true,
      ...(offset > 0 ? { offset } : {}),
      // The last one to the end: the file may be longer than it should be.
      ...(i + 1 < pieces.length ? { length } : {}),
      ...(memory ? { into: memory } : {}),
      ...(signal ? { signal } : {}),
    });
    return { bytes, memory };
  }

  /** Reads a pack as a whole, and tells all that is wrong with it. */
  async #findProblem(
    pack: IndexedPack,
    expectedSize: number,
    signal: AbortSignal | undefined,
  ): Promise<CheckProblem | undefined> {
    const { packId } = pack;
    let read: ReadPiece;
    try {
      read = await this.#read(packId, [{ offset: 0, length: expectedSize, blobs: pack.blobs }], 0, signal);
    } catch (cause) {
      throwIfAborted(signal);
      const reason = cause instanceof NotFoundError ? "it does not exist" : messageOf(cause);
      const error = cause instanceof YoreError ? cause : new YoreError("backend", reason, { cause });
      return { kind: "pack-unreadable", packId, error };
    }
    try {
      return await problemOf(this.#repository, pack, expectedSize, read.bytes, signal);
    } finally {
      if (read.memory) this.#giveBack(read.memory, read.bytes.length);
    }
  }

  /** @param used bytes of it */
  #giveBack(memory: Uint8Array, used: number): void {
    if (memory.length !== this.#memoryBytes + ROOM_FOR_BLOCKS) return;
    if (this.#readsPieces && used > USUAL_PIECE_BYTES) giveBackMemory(memory.subarray(USUAL_PIECE_BYTES));
    this.#spare.push(memory);
  }

  /** What an index claims may be gigabytes: beyond what packs are, only the backend knows how much there is. */
  #memoryFor(length: number): Uint8Array | undefined {
    if (length > MAX_PACK_BYTES) return undefined;
    const kept = length <= this.#memoryBytes ? this.#spare.pop() : undefined;
    return kept ?? largeMemory(Math.max(length, this.#memoryBytes) + ROOM_FOR_BLOCKS);
  }
}

function handleOf(packId: Id): Handle {
  return { type: "pack", name: formatId(packId) };
}

/** Pieces of about so many bytes, which end where blobs do; the last one has the header. */
function cutPieces(blobs: readonly PackedBlob[], size: number, bytes: number): Piece[] {
  const pieces: Piece[] = [];
  let first = 0;
  let offset = 0;
  for (const [i, blob] of blobs.entries()) {
    const end = blob.offset + blob.length;
    if (end - offset < bytes || size - end < bytes / 2) continue;
    pieces.push({ offset, length: end - offset, blobs: blobs.slice(first, i + 1) });
    first = i + 1;
    offset = end;
  }
  pieces.push({ offset, length: Math.max(0, size - offset), blobs: blobs.slice(first) });
  return pieces;
}

async function problemOf(
  repository: Repository,
  pack: IndexedPack,
  expectedSize: number,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<CheckProblem | undefined> {
  const { packId } = pack;
  const reasons: string[] = [];
  if (bytes.length !== expectedSize) reasons.push(`it has ${bytes.length} bytes instead of ${expectedSize}`);
  if (!isContinuous(pack.blobs)) reasons.push("the index has gaps or overlapping blobs in it");
  throwIfAborted(signal);
  const verifier = repository.engine.createPackVerifier(repository.masterKey);
  const failures = await verifier.verify(bytes, pack.blobs);
  const hash = verifier.finish();
  const blobs = damagedBlobs(pack.blobs, failures, bytes.length);
  // A pack of another hash was not written by anyone who has the keys: its header proves nothing.
  if (!equalIds(hash, packId)) reasons.push(`its SHA-256 is ${formatId(hash)}`);
  else reasons.push(...(await headerProblems(repository, pack, bytes, bytes.length)));
  if (reasons.length === 0 && blobs.length === 0) return undefined;
  return { kind: "pack-data", packId, blobs, reasons };
}

function isContinuous(blobs: readonly PackedBlob[]): boolean {
  let end = 0;
  for (const { offset, length } of blobs) {
    if (offset !== end) return false;
    end += length;
  }
  return true;
}

function damagedBlobs(
  blobs: readonly PackedBlob[],
  failures: readonly (UnsealFailure | undefined)[],
  packBytes: number,
): DamagedBlob[] {
  const damaged: DamagedBlob[] = [];
  for (const [i, failure] of failures.entries()) {
    if (failure === undefined) continue;
    const { type, id, offset, length } = blobs[i]!;
    const reason = offset + length > packBytes ? "the pack ends before it" : formatUnsealFailure(failure);
    damaged.push({ type, id, reason });
  }
  return damaged;
}

/**
 * What is wrong with the header of a pack.
 *
 * @param tail the end of it
 * @param size of all of it, bytes
 */
async function headerProblems(
  repository: Repository,
  { blobs }: IndexedPack,
  tail: Uint8Array,
  size: number,
): Promise<string[]> {
  try {
    const length = decodeHeaderLength(tail, size);
    const end = tail.length - HEADER_LENGTH_LENGTH;
    const sealed = tail.subarray(Math.max(0, end - length), end);
    const [result] = await repository.engine.unseal(repository.masterKey, [
      { sealed, uncompressedLength: 0, id: undefined },
    ]);
    if ("failure" in result!) return [`its header: ${formatUnsealFailure(result.failure)}`];
    const { version } = repository.config;
    return compareWithIndex(decodePackHeader(result!.plaintext, size, length, { version }), blobs);
  } catch (error) {
    return [`its header: ${messageOf(error)}`];
  }
}

/** Both in order of their offsets. */
function compareWithIndex(header: readonly PackedBlob[], index: readonly PackedBlob[]): string[] {
  const problems: string[] = [];
  const known = new Set(index.map(placeOf));
  for (const blob of header)
    if (!known.delete(placeOf(blob)))
      problems.push(`blob ${formatId(blob.id)} is not in the index, or at another place there`);
  if (known.size > 0) problems.push(`the index has ${known.size} blobs in it that its header does not know`);
  return problems;
}

function placeOf({ type, id, offset, length, uncompressedLength }: PackedBlob): string {
  return `${type} ${formatId(id)} ${offset} ${length} ${uncompressedLength}`;
}
