/**
 * Index, snapshot and lock files are JSON, encrypted as a whole. In version 2 the JSON is compressed, which the first
 * byte of the plaintext tells: no JSON of a repository begins with the byte 2.
 *
 *     version 1   { … }                version 2   02 | zstd frame of { … }
 */

import { FormatError } from "../errors.js";

/** First byte of a plaintext whose rest is one zstd frame. */
const COMPRESSED_MARKER = 0x02;

const OPENING_BRACE = 0x7b;
const OPENING_BRACKET = 0x5b;

/**
 * Tells how the plaintext of an unpacked file is stored; an empty one counts as JSON.
 *
 * @throws {FormatError} if the first byte says neither
 */
export function classifyUnpacked(plaintext: Uint8Array): "json" | "zstd" {
  const first = plaintext[0];
  if (first === undefined || first === OPENING_BRACE || first === OPENING_BRACKET) return "json";
  if (first === COMPRESSED_MARKER) return "zstd";
  throw new FormatError(
    `Cannot decode file: want "{", "[" or the byte 2 first, have the byte ${first} (a newer format?)`,
  );
}

/** The zstd frame of a plaintext that is classified `zstd`, as a view. */
export function frameOfUnpacked(plaintext: Uint8Array): Uint8Array {
  return plaintext.subarray(1);
}

/** The plaintext to encrypt for a compressed file. */
export function wrapFrame(frame: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(COMPRESSED_MARKER), frame]);
}
