import type { UnsealFailure, UnsealPart } from "../engine/engine.js";
import type { YoreError } from "../errors.js";
import type { PackedBlob } from "../format/pack-header.js";

/** What became of one blob of a pack. */
export type PackBlobResult =
  | {
      readonly plaintext: Uint8Array;
      /** The bytes as they lie in the pack that was read; `undefined` when another copy had to help out. */
      readonly sealed?: Uint8Array | undefined;
    }
  | { readonly error: YoreError };

export type OnPackBlob<Blob extends PackedBlob = PackedBlob> = (
  blob: Blob,
  result: PackBlobResult,
) => Promise<void> | void;

/**
 * Does with the blobs in a stretch of a pack, sealed as they are, what is to be done with them, all in one hop off the
 * main thread. @returns for each why it could not be unsealed; `undefined` when it is done with
 */
export type TakeSealed<Blob extends PackedBlob = PackedBlob> = (
  blobs: readonly Blob[],
  sealed: Uint8Array,
  parts: readonly UnsealPart[],
) => Promise<readonly (UnsealFailure | undefined)[]>;

/** The bytes of a blob in those of a range. */
export function sealedInRange(bytes: Uint8Array, start: number, { offset, length }: PackedBlob): Uint8Array {
  return bytes.subarray(offset - start, offset - start + length);
}

/** Blobs of a pack as parts of a range of it. */
export function partsOf(blobs: readonly PackedBlob[], rangeOffset: number): UnsealPart[] {
  return blobs.map(({ id, offset, length, uncompressedLength }) => {
    return { id, offset: offset - rangeOffset, length, uncompressedLength };
  });
}
