/**
 * The header of a pack: which blobs it holds. It stands behind them, encrypted, followed by its own length:
 *
 *     blob 0 | blob 1 | … | sealed header | length of the sealed header (4 bytes, little-endian)
 *
 *     entry of a blob stored as it is      type 0 data, 1 tree (1) | length (4)                           | ID (32)
 *     entry of a compressed blob           type 2 data, 3 tree (1) | length (4) | uncompressed length (4) | ID (32)
 *
 * `length` counts the sealed blob in the pack, IV and MAC included. Offsets are not stored: entries are in the order of
 * the blobs and nothing lies between them, so they are running sums, and the last one must end where the header starts.
 */

import { ByteReader } from "../bytes/byte-reader.js";
import { ByteWriter } from "../bytes/byte-writer.js";
import { formatShortId, ID_LENGTH, type Id } from "../bytes/id.js";
import { FormatError } from "../errors.js";
import type { BlobHandle, BlobType } from "./blob.js";

/** Where a blob lies within its pack. */
export interface PackedBlob extends BlobHandle {
  readonly type: BlobType;
  readonly id: Id;
  /** Bytes from the start of the pack. */
  readonly offset: number;
  /** Bytes in the pack, IV and MAC included. */
  readonly length: number;
  /** Length of the plaintext if it was compressed, else 0; nothing empty is ever compressed. */
  readonly uncompressedLength: number;
}

/** IV (16) and MAC (16) around everything that is encrypted. */
export const SEAL_LENGTH = 32;
/** The length of the header, behind the header. */
export const HEADER_LENGTH_LENGTH = 4;
export const PLAIN_ENTRY_LENGTH = 1 + 4 + ID_LENGTH;
export const COMPRESSED_ENTRY_LENGTH = 1 + 4 + 4 + ID_LENGTH;
/** A pack with one blob that is stored as it is and has no bytes. */
export const MIN_PACK_LENGTH = PLAIN_ENTRY_LENGTH + SEAL_LENGTH + HEADER_LENGTH_LENGTH;
/** What restic reads at most, length field included: more is damage or malice. */
const MAX_HEADER_LENGTH = 16 * 1024 * 1024 + HEADER_LENGTH_LENGTH;
/** A pack must be finished before it has more blobs than this. */
export const MAX_HEADER_ENTRIES = Math.floor(
  (MAX_HEADER_LENGTH - SEAL_LENGTH - HEADER_LENGTH_LENGTH) / COMPRESSED_ENTRY_LENGTH,
);
/** Entries that restic fetches together with the length field; a longer header costs a second read. */
const EAGER_ENTRIES = 15;
export const EAGER_TAIL_LENGTH = EAGER_ENTRIES * COMPRESSED_ENTRY_LENGTH + SEAL_LENGTH + HEADER_LENGTH_LENGTH;

const COMPRESSED = 2;
const TREE = 1;

/** Length in bytes of the sealed header of so many blobs, without the length field. */
export function sealedHeaderLength(blobs: readonly PackedBlob[]): number {
  return SEAL_LENGTH + plainHeaderLength(blobs);
}

/**
 * Reads the length of the sealed header from the last four bytes of a pack.
 *
 * @param tail the end of the pack, any length from 4 bytes on
 * @throws {FormatError} if the pack cannot have such a header
 */
export function decodeHeaderLength(tail: Uint8Array, packSize: number): number {
  const cannot = "Cannot read pack header";
  if (packSize < MIN_PACK_LENGTH)
    throw new FormatError(`${cannot}: want a pack of at least ${MIN_PACK_LENGTH} bytes, have ${packSize}`);
  if (tail.length < HEADER_LENGTH_LENGTH)
    throw new FormatError(`${cannot}: want ${HEADER_LENGTH_LENGTH} bytes at the end, have ${tail.length}`);
  const length = new ByteReader(tail.subarray(tail.length - HEADER_LENGTH_LENGTH), "pack header").u32le();
  const most = Math.min(MAX_HEADER_LENGTH, packSize) - HEADER_LENGTH_LENGTH;
  const least = SEAL_LENGTH + PLAIN_ENTRY_LENGTH;
  if (length < least || length > most)
    throw new FormatError(`${cannot}: want a header of ${least} to ${most} bytes, have ${length}`);
  return length;
}

/** The plaintext of a header. @throws {FormatError} if the blobs do not lie one behind the other from 0 on */
export function encodePackHeader(blobs: readonly PackedBlob[]): Buffer {
  const writer = new ByteWriter(plainHeaderLength(blobs));
  let offset = 0;
  for (const blob of blobs) {
    if (blob.offset !== offset)
      throw new FormatError(
        `Cannot encode pack header: want blob ${formatShortId(blob.id)} at ${offset}, have ${blob.offset}`,
      );
    offset += blob.length;
    const compressed = blob.uncompressedLength > 0;
    writer.u8((blob.type === "tree" ? TREE : 0) | (compressed ? COMPRESSED : 0)).u32le(blob.length);
    if (compressed) writer.u32le(blob.uncompressedLength);
    writer.bytes(blob.id);
  }
  return writer.finish();
}

/**
 * Decodes the plaintext of a header.
 *
 * @param packSize bytes of the whole pack
 * @param sealedLength bytes of the sealed header, as `decodeHeaderLength` has it
 * @param options version 1 has no compressed blobs, and restic refuses them there; the default is 2
 * @throws {FormatError} for an unknown type, a broken entry, or blobs that do not end where the header starts
 */
export function decodePackHeader(
  plaintext: Uint8Array,
  packSize: number,
  sealedLength: number,
  options: { readonly version?: 1 | 2 } = {},
): PackedBlob[] {
  const blobs = decodeHeaderEntries(plaintext, options);
  const last = blobs.at(-1);
  const end = last ? last.offset + last.length : 0;
  const headerStart = packSize - HEADER_LENGTH_LENGTH - sealedLength;
  if (end !== headerStart)
    throw new FormatError(
      `Cannot decode pack header: want blobs of ${headerStart} bytes in all, have ${end} in ${blobs.length} entries`,
    );
  return blobs;
}

/** As `decodePackHeader`, of a pack that may have lost or got bytes in front of its header: where the blobs were once. */
export function decodeHeaderEntries(
  plaintext: Uint8Array,
  options: { readonly version?: 1 | 2 } = {},
): PackedBlob[] {
  const reader = new ByteReader(plaintext, "pack header");
  const blobs: PackedBlob[] = [];
  let offset = 0;
  while (reader.remaining > 0) {
    const blob = decodeEntry(reader, offset, options.version ?? 2);
    blobs.push(blob);
    offset += blob.length;
  }
  return blobs;
}

function decodeEntry(reader: ByteReader, offset: number, version: 1 | 2): PackedBlob {
  const at = reader.offset;
  const code = reader.u8();
  const highest = version === 1 ? 1 : 3;
  if (code > highest)
    throw new FormatError(
      `Cannot decode pack header: want a type from 0 to ${highest} at offset ${at}, have ${code}`,
    );
  const compressed = (code & COMPRESSED) !== 0;
  const length = reader.u32le();
  if (length < SEAL_LENGTH)
    throw new FormatError(
      `Cannot decode pack header: want a blob of at least ${SEAL_LENGTH} bytes at offset ${at}, have ${length}`,
    );
  const uncompressedLength = compressed ? reader.u32le() : 0;
  if (compressed && uncompressedLength === 0)
    throw new FormatError(
      `Cannot decode pack header: want an uncompressed length above 0 at offset ${at}, have 0`,
    );
  // A copy, because the blob's ID may live in an index long after the header.
  const id = new Uint8Array(reader.id()) as Id;
  return { type: (code & TREE) !== 0 ? "tree" : "data", id, offset, length, uncompressedLength };
}

function plainHeaderLength(blobs: readonly PackedBlob[]): number {
  let length = 0;
  for (const blob of blobs)
    length += blob.uncompressedLength > 0 ? COMPRESSED_ENTRY_LENGTH : PLAIN_ENTRY_LENGTH;
  return length;
}
