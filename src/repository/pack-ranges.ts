import type { PackedBlob } from "../format/pack-header.js";

/** Reading so many bytes for nothing is cheaper than another request. */
const MAX_GAP_BYTES = 1024 * 1024;
/** A range is closed when the next blob would make it longer; only a single blob may be. */
export const MAX_RANGE_BYTES = 8 * 1024 * 1024;

/** Bytes of a pack that are read at once, and the blobs in them by offset. */
export interface PackRange<Blob extends PackedBlob = PackedBlob> {
  readonly offset: number;
  readonly length: number;
  readonly blobs: readonly Blob[];
}

/**
 * Joins blobs of one pack, in any order, into few ranges. Blobs may overlap or repeat: a damaged index says
 * anything.
 */
export function planRanges<Blob extends PackedBlob>(blobs: readonly Blob[]): PackRange<Blob>[] {
  const ranges: PackRange<Blob>[] = [];
  let members: Blob[] = [];
  let end = 0;
  const close = () => {
    const [first] = members;
    if (first) ranges.push({ offset: first.offset, length: end - first.offset, blobs: members });
  };
  for (const blob of blobs.toSorted((a, b) => a.offset - b.offset)) {
    const blobEnd = blob.offset + blob.length;
    const [first] = members;
    const joins =
      first !== undefined &&
      blob.offset - end <= MAX_GAP_BYTES &&
      Math.max(end, blobEnd) - first.offset <= MAX_RANGE_BYTES;
    if (!joins) {
      close();
      members = [];
      end = 0;
    }
    members.push(blob);
    end = Math.max(end, blobEnd);
  }
  close();
  return ranges;
}
