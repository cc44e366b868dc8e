import { equalIds, formatId } from "../bytes/id.js";
import type { Unsealed } from "../engine/engine.js";
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

/** Bytes of blobs that are unsealed in one go: bounds the plaintext in memory. */
const GROUP_BYTES = 1024 * 1024;

/**
 * Reads a pack as a whole and verifies everything in it: its hash, every blob that the index has in it, its header, and
 * that header and index agree. A pack that fails is read once more, and what the second reading says counts: a bad
 * connection is not damage. It is told all the same.
 */
export async function checkPack(
  repository: Repository,
  pack: IndexedPack,
  expectedSize: number,
  signal: AbortSignal | undefined,
): Promise<CheckProblem | undefined> {
  const first = await readPack(repository, pack, expectedSize, signal);
  if (!first) return undefined;
  const second = await readPack(repository, pack, expectedSize, signal);
  if (second) return second;
  const error = new YoreError(
    "backend",
    "the first reading failed, the second one did not: the way to it is unreliable",
  );
  return { kind: "pack-unreadable", packId: pack.packId, error };
}

async function readPack(
  repository: Repository,
  pack: IndexedPack,
  expectedSize: number,
  signal: AbortSignal | undefined,
): Promise<CheckProblem | undefined> {
  const { packId } = pack;
  let bytes: Uint8Array;
  try {
    const handle = { type: "pack", name: formatId(packId) } as const;
    bytes = await repository.backend.load(handle, signal ? { signal } : {});
  } catch (cause) {
    throwIfAborted(signal);
    const reason = cause instanceof NotFoundError ? "it does not exist" : messageOf(cause);
    const error = cause instanceof YoreError ? cause : new YoreError("backend", reason, { cause });
    return { kind: "pack-unreadable", packId, error };
  }
  const reasons: string[] = [];
  if (bytes.length !== expectedSize) reasons.push(`it has ${bytes.length} bytes instead of ${expectedSize}`);
  if (!isContinuous(pack.blobs)) reasons.push("the index has gaps or overlapping blobs in it");
  const blobs = await damagedBlobs(repository, pack.blobs, bytes, signal);
  const hash = (await repository.engine.hashAll([bytes])).at(0);
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

/** Unseals every blob of a pack and tells which fail. */
async function damagedBlobs(
  repository: Repository,
  blobs: readonly PackedBlob[],
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<DamagedBlob[]> {
  const damaged: DamagedBlob[] = [];
  const plaintexts = Buffer.allocUnsafeSlow(GROUP_BYTES);
  for (let first = 0; first < blobs.length; ) {
    throwIfAborted(signal);
    const group: PackedBlob[] = [];
    let size = 0;
    do {
      const blob = blobs[first++]!;
      group.push(blob);
      size += plainLength(blob);
    } while (first < blobs.length && size + plainLength(blobs[first]!) <= GROUP_BYTES);
    const results = await unsealGroup(repository, group, bytes, plaintexts);
    for (const [i, result] of results.entries()) {
      const { type, id, offset, length } = group[i]!;
      const isCut = offset + length > bytes.length;
      if ("failure" in result)
        damaged.push({
          type,
          id,
          reason: isCut ? "the pack ends before it" : formatUnsealFailure(result.failure),
        });
    }
  }
  return damaged;
}

function unsealGroup(
  { engine, masterKey }: Repository,
  group: readonly PackedBlob[],
  bytes: Uint8Array,
  plaintexts: Uint8Array,
): Promise<Unsealed[]> {
  if (group.length > 1) return engine.unsealParts(masterKey, bytes, group, plaintexts);
  // A large one alone: whatever length a damaged index claims, no memory is taken before the MAC is right.
  const { id, offset, length, uncompressedLength } = group[0]!;
  return engine.unseal(masterKey, [
    { id, sealed: bytes.subarray(offset, offset + length), uncompressedLength },
  ]);
}

function plainLength({ length, uncompressedLength }: PackedBlob): number {
  return uncompressedLength || length;
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
