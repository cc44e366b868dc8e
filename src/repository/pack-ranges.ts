import type { Backend } from "../backend/backend.js";
import { formatId, type Id } from "../bytes/id.js";
import type { PackedBlob } from "../format/pack-header.js";
import type { Settled } from "./settle.js";

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

/** Bytes of a pack that were asked for, and what became of it. */
export interface ReadRange {
  readonly offset: number;
  readonly bytes: Settled<Uint8Array>;
}

/** As those of `LoadRange`. */
export interface LoadPackRangeOptions {
  readonly signal?: AbortSignal | undefined;
  readonly into?: Uint8Array | undefined;
  readonly once?: boolean;
  readonly isKept?: boolean;
}

/** Reads so many bytes of a pack. Throws what `Backend.load` does. */
export type LoadPackRange = (
  packId: Id,
  offset: number,
  length: number,
  options?: LoadPackRangeOptions,
) => Promise<Uint8Array>;

export function packRangeLoader(backend: Backend): LoadPackRange {
  return (packId, offset, length, { signal, into, once = false, isKept = false } = {}) =>
    backend.load(
      { type: "pack", name: formatId(packId) },
      { offset, length, once, isKept, ...(signal ? { signal } : {}), ...(into ? { into } : {}) },
    );
}
