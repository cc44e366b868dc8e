import { ROOM_FOR_BLOCKS } from "../backend/backend.js";
import { equalIds, formatId } from "../bytes/id.js";
import type { UnsealFailure } from "../engine/engine.js";
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

/** Memory that is kept for the next pack: the largest that restic and yore make, and what the last blobs add. */
const MAX_KEPT_BYTES = 144 * 1024 * 1024;

/**
 * Checks packs, several at a time. The memory for one is used for the next: with new memory for each, a third of the time
 * goes into clearing and collecting it.
 */
export class PackChecker {
  readonly #repository: Repository;
  readonly #largest: number;
  readonly #spare: Uint8Array[] = [];

  /** @param largest of the packs that will be checked, bytes: memory for one does for every other */
  constructor(repository: Repository, largest: number) {
    this.#repository = repository;
    this.#largest = Math.min(largest, MAX_KEPT_BYTES);
  }

  /**
   * Reads a pack as a whole and verifies everything in it: its hash, every blob that the index has in it, its header, and
   * that header and index agree. A pack that fails is read once more, and what the second reading says counts: a bad
   * connection is not damage. It is told all the same.
   *
   * @param expectedSize of the pack file as the index has it, bytes; as much memory is taken, up to 144 MiB
   * @throws {YoreError} with code `interrupted`
   */
  async check(
    pack: IndexedPack,
    expectedSize: number,
    signal: AbortSignal | undefined,
  ): Promise<CheckProblem | undefined> {
    const first = await this.#read(pack, expectedSize, signal);
    if (!first) return undefined;
    const second = await this.#read(pack, expectedSize, signal);
    if (second) return second;
    const error = new YoreError(
      "backend",
      "the first reading failed, the second one did not: the way to it is unreliable",
    );
    return { kind: "pack-unreadable", packId: pack.packId, error };
  }

  async #read(
    pack: IndexedPack,
    expectedSize: number,
    signal: AbortSignal | undefined,
  ): Promise<CheckProblem | undefined> {
    const into = this.#memoryFor(expectedSize);
    const handle = { type: "pack", name: formatId(pack.packId) } as const;
    let bytes: Uint8Array;
    try {
      bytes = await this.#repository.backend.load(handle, {
        once: true,
        ...(into ? { into } : {}),
        ...(signal ? { signal } : {}),
      });
    } catch (cause) {
      // The memory is left alone: what failed may write to it later still.
      throwIfAborted(signal);
      const reason = cause instanceof NotFoundError ? "it does not exist" : messageOf(cause);
      const error = cause instanceof YoreError ? cause : new YoreError("backend", reason, { cause });
      return { kind: "pack-unreadable", packId: pack.packId, error };
    }
    const problem = await checkBytes(this.#repository, pack, expectedSize, bytes, signal);
    if (into) this.#spare.push(into);
    return problem;
  }

  /** What an index claims may be gigabytes: beyond what packs are, only the backend knows how much there is. */
  #memoryFor(expectedSize: number): Uint8Array | undefined {
    return expectedSize > this.#largest
      ? undefined
      : (this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#largest + ROOM_FOR_BLOCKS));
  }
}

async function checkBytes(
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
  const { hash, failures } = await repository.engine.verifyPack(repository.masterKey, bytes, pack.blobs);
  const blobs = damagedBlobs(pack.blobs, failures, bytes.length);
  // A pack of another hash was not written by anyone who has the keys: its header proves nothing.
  if (!equalIds(hash, packId)) reasons.push(`its SHA-256 is ${formatId(hash)}`);
  else reasons.push(...(await headerProblems(repository, pack, bytes)));
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

/** What is wrong with the header of a pack whose bytes are what they were when it was written. */
async function headerProblems(
  repository: Repository,
  { blobs }: IndexedPack,
  bytes: Uint8Array,
): Promise<string[]> {
  try {
    const length = decodeHeaderLength(bytes, bytes.length);
    const end = bytes.length - HEADER_LENGTH_LENGTH;
    const sealed = bytes.subarray(end - length, end);
    const [result] = await repository.engine.unseal(repository.masterKey, [
      { sealed, uncompressedLength: 0, id: undefined },
    ]);
    if ("failure" in result!) return [`its header: ${formatUnsealFailure(result.failure)}`];
    const { version } = repository.config;
    return compareWithIndex(decodePackHeader(result!.plaintext, bytes.length, length, { version }), blobs);
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
