import { SEAL_OVERHEAD } from "../engine/engine.js";
import type { PackedBlob } from "../format/pack-header.js";

/** Blobs below this share hops to the thread pool: a hop costs as much as 16 KiB of cryptography. */
export const SMALL_BLOB_BYTES = 64 * 1024;
export const SMALL_BLOBS_A_HOP = 16;

/** Neighbours that are unsealed together. */
export interface BlobGroup<Blob extends PackedBlob = PackedBlob> {
  readonly blobs: readonly Blob[];
  /** Bytes of all their plaintexts. */
  readonly plainLength: number;
}

/** Cuts the blobs of a range into groups of at most so many bytes of plaintext; a larger blob is a group of its own. */
export function groupBlobs<Blob extends PackedBlob>(
  blobs: readonly Blob[],
  maxBytes: number,
): BlobGroup<Blob>[] {
  const groups: { blobs: Blob[]; plainLength: number }[] = [];
  let last: (typeof groups)[number] | undefined;
  for (const blob of blobs) {
    const length = plainLengthOf(blob);
    if (!last || last.plainLength + length > maxBytes) {
      last = { blobs: [], plainLength: 0 };
      groups.push(last);
    }
    last.blobs.push(blob);
    last.plainLength += length;
  }
  return groups;
}

/** Bytes of a blob's plaintext, as the index has them. */
export function plainLengthOf(blob: { uncompressedLength: number; length: number }): number {
  return blob.uncompressedLength || Math.max(0, blob.length - SEAL_OVERHEAD);
}
