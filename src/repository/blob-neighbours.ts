import type { Id } from "../bytes/id.js";
import type { BlobType } from "../format/blob.js";
import type { BlobIndex } from "./blob-index.js";
import type { PackStretch, SizedBlob } from "./blob-loader.js";

/** A pack is cut into no more parts; the last takes what is left. */
const MAX_PARTS = 1 << 20;

/**
 * The blobs of the same type that stand behind the first copy of one in its pack, up to so many bytes of plaintext.
 * Index files list packs in the order of the offsets; where one does not, fewer are found.
 */
export function following(index: BlobIndex, type: BlobType, id: Uint8Array, maxBytes: number): SizedBlob[] {
  const entry = index.entryOf(type, id);
  if (entry < 0) return [];
  const found: SizedBlob[] = [];
  const pack = index.packOf(entry);
  let offset = index.offsetOf(entry);
  let sum = 0;
  for (let next = entry + 1; next < index.entryEnd && index.packOf(next) === pack; next++) {
    const bytes = index.uncompressedLengthOf(next) || index.lengthOf(next);
    sum += bytes;
    if (index.typeOf(next) !== type || index.offsetOf(next) <= offset || sum > maxBytes) break;
    offset = index.offsetOf(next);
    found.push({ id: index.idOf(next), bytes });
  }
  return found;
}

/** The part of its pack that the first copy of a blob begins in, the pack being cut into parts of so many bytes. */
export function stretchAround(
  index: BlobIndex,
  type: BlobType,
  id: Uint8Array,
  partBytes: number,
): PackStretch | undefined {
  const entry = index.entryOf(type, id);
  if (entry < 0) return undefined;
  return {
    key: index.packOf(entry) * MAX_PARTS + partOf(index, entry, partBytes),
    // Looked for again: entries may have moved since.
    ids: (maxBlobBytes) => idsInPart(index, index.entryOf(type, id), partBytes, maxBlobBytes),
  };
}

function idsInPart(index: BlobIndex, entry: number, partBytes: number, maxBlobBytes: number): Id[] {
  if (entry < 0) return [];
  const pack = index.packOf(entry);
  const part = partOf(index, entry, partBytes);
  const type = index.typeOf(entry);
  const isWithin = (other: number) =>
    other >= 0 &&
    other < index.entryEnd &&
    index.packOf(other) === pack &&
    partOf(index, other, partBytes) === part;
  let first = entry;
  while (isWithin(first - 1)) first--;
  const found: Id[] = [];
  for (let other = first; isWithin(other); other++) {
    const blob = index.blobOf(other);
    if (blob.type === type && (blob.uncompressedLength || blob.length) <= maxBlobBytes) found.push(blob.id);
  }
  return found;
}

function partOf(index: BlobIndex, entry: number, partBytes: number): number {
  return Math.min(Math.floor(index.offsetOf(entry) / partBytes), MAX_PARTS - 1);
}
