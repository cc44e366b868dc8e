/**
 * Where restic cuts. The IDs of the first list were read from a snapshot that restic made of the stream, in a
 * repository with that polynomial; the second list comes from an independent implementation that gave the first too.
 */

import { createHash } from "node:crypto";

/** SHA-256 of the whole stream. */
export const STREAM_HASH = "3e228225817752562a96e39e211a8a0ead879701eba071fd9fdef5bd4d90a5f3";

/** 16 MiB: the SHA-256 of each number from 0 to 524287, written as 4 bytes big-endian, one after the other. */
export function makeStream(): Buffer {
  const stream = Buffer.alloc(16 * 1024 * 1024);
  const number = Buffer.alloc(4);
  for (let i = 0; i * 32 < stream.length; i++) {
    number.writeUInt32BE(i);
    createHash("sha256")
      .update(number)
      .digest()
      .copy(stream, i * 32);
  }
  return stream;
}

export const RESTIC_POLYNOMIAL = 0x3caf26730a7f8dn;

/** Length, and the first 16 digits of the ID. */
export const RESTIC_CHUNKS = [
  [1142201, "a15177326997727a"],
  [2779979, "bf971ef6204bd202"],
  [958349, "eede1fa38857a2ab"],
  [3212411, "f90514dc213cbb47"],
  [1484178, "2b80ecb991690380"],
  [711146, "c0b70436c4afaaf0"],
  [595647, "b825375d73556bd4"],
  [1237447, "8d6b54cc9eb64d25"],
  [1052931, "8caaffb34e07bc7d"],
  [1195772, "7fba641aa22fd5fc"],
  [1366847, "4402b04faf441467"],
  [1040308, "0bfef37d1320cd8c"],
] as const;

/** The polynomial of the chunker's own tests. */
export const OTHER_POLYNOMIAL = 0x3da3358b4dc173n;

export const OTHER_LENGTHS = [
  1259413, 610437, 1164952, 618831, 593429, 1374443, 1502920, 603503, 630419, 632592, 4187264, 1510286,
  1107588, 903714, 77425,
] as const;

/** What every run of zeros is cut into. */
export const ZERO_CHUNK_ID = "07854d2fef297a06ba81685e660c332de36d5d18d546927d30daad6d7fda1541";
