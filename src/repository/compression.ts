import type { BlobType } from "../format/blob.js";

/**
 * How hard to compress, in restic's words. `off` means blobs of file content only; all else stays compressed.
 */
export type CompressionMode = "auto" | "off" | "fastest" | "better" | "max";

export const COMPRESSION_MODES: readonly CompressionMode[] = ["auto", "off", "fastest", "better", "max"];

/**
 * zstd levels. restic's own encoder is not libzstd; these give about the ratio and effort of its four speeds.
 */
const LEVELS: Readonly<Record<CompressionMode, number>> = { fastest: 1, auto: 3, better: 7, max: 12, off: 3 };

/** The level for index, snapshot and lock files, which version 2 always compresses. */
export function unpackedCompressionLevel(mode: CompressionMode): number {
  return LEVELS[mode];
}

/**
 * The level for a blob, `undefined` to store it as it is: in version 1 always, and in both versions when it
 * is empty (restic never stores an empty blob compressed).
 */
export function blobCompressionLevel(
  version: 1 | 2,
  mode: CompressionMode,
  type: BlobType,
  length: number,
): number | undefined {
  if (version === 1 || length === 0) return undefined;
  return mode === "off" && type === "data" ? undefined : LEVELS[mode];
}
