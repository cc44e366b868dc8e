/**
 * What both engines refuse, in the same words. Imports nothing of Node.js.
 */

import { DamagedError, FormatError } from "../errors.js";
import { CHUNK_MAX_BYTES, type MasterKey, type ScryptParameters, type UnsealFailure } from "./engine.js";

/** Bits of the fingerprint that are 0 at a cut: chunks are 1 MiB long on average. */
export const CHUNK_AVERAGE_BITS = 20;

/** scrypt may not take more memory than this: a key file names its own costs, and may come from a stranger. */
const SCRYPT_MAX_BYTES = 2 ** 31;

/** ZSTD_minCLevel() and ZSTD_maxCLevel(). */
const MIN_LEVEL = -131072;
const MAX_LEVEL = 22;

/** @throws {RangeError} for keys of wrong lengths */
export function checkMasterKey(key: MasterKey): void {
  for (const [name, length] of [
    ["encrypt", 32],
    ["macK", 16],
    ["macR", 16],
  ] as const) {
    if (key[name].length !== length)
      throw new RangeError(`"${name}" expected ${length} bytes, got ${key[name].length}`);
  }
}

/** @throws {RangeError} if `scanned` does not lie within the data */
export function checkScanned(scanned: number, available: number): void {
  if (!Number.isInteger(scanned) || scanned < 0 || scanned > available)
    throw new RangeError(`"scanned" expected 0 to ${available}, got ${scanned}`);
}

/** @throws {RangeError} if the polynomial is not of degree 53 */
export function checkPolynomial(polynomial: bigint): void {
  if (polynomial >> 53n !== 1n)
    throw new RangeError(`"polynomial" expected degree 53, got 0x${polynomial.toString(16)}`);
}

/** @throws {RangeError} if it is no level of zstd */
export function checkLevel(level: number | undefined): void {
  if (level !== undefined && (!Number.isInteger(level) || level < MIN_LEVEL || level > MAX_LEVEL))
    throw new RangeError(`"level" expected a whole number from ${MIN_LEVEL} to ${MAX_LEVEL}, got ${level}`);
}

/** @throws {RangeError} if it does not fit into the 32 bits that a pack header has for it */
export function checkUncompressedLength(length: number): void {
  if (!Number.isInteger(length) || length < 0 || length >= 2 ** 32)
    throw new RangeError(`"uncompressedLength" expected 0 to ${2 ** 32 - 1}, got ${length}`);
}

/** @throws {RangeError} if the bound is no number of bytes */
export function checkMaxBytes(maxBytes: number): void {
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 0)
    throw new RangeError(`"maxBytes" expected a number of bytes, got ${maxBytes}`);
}

/**
 * The memory that scrypt takes with these parameters, in bytes (RFC 7914 section 6).
 *
 * @throws {FormatError} for parameters outside RFC 7914, or for more than 2 GiB
 */
export function scryptMemory({ N, r, p }: ScryptParameters): number {
  const whole = [N, r, p].every((value) => Number.isSafeInteger(value) && value > 0);
  if (!whole || N < 2 || N > 2 ** 31 || !Number.isInteger(Math.log2(N)) || r * p >= 2 ** 30)
    throw new FormatError(`Cannot derive a key: N=${N}, r=${r}, p=${p} are no parameters of scrypt`);
  const bytes = 128 * r * (N + p + 2);
  if (bytes > SCRYPT_MAX_BYTES) {
    const mebibytes = Math.ceil(bytes / 2 ** 20);
    throw new FormatError(
      `Cannot derive a key: N=${N}, r=${r}, p=${p} would take ${mebibytes} MiB of memory, more than 2 GiB`,
    );
  }
  return bytes;
}

/** The error for data that `decompress` refuses. */
export function decompressError(failure: UnsealFailure | undefined, maxBytes: number): DamagedError {
  const reason =
    failure === "length"
      ? `it would give more than the ${maxBytes} bytes expected`
      : "it is not made of whole zstd frames";
  return new DamagedError(`Cannot decompress data: ${reason}`);
}

/** The error for a seal that does not open again, or a plaintext that is not what its ID says. */
export function verifyError(plainLength: number): DamagedError {
  return new DamagedError(
    `Cannot seal ${plainLength} bytes: they changed meanwhile, or did not open again as they were before`,
    {
      hint: "The memory or the processor of this machine may be faulty; nothing of it was saved",
    },
  );
}

/** A whole 8 MiB chunk is hashed, or sealed, in at most so many bytes at a time before the event loop may go on. */
export const SLICE_BYTES = CHUNK_MAX_BYTES / 16;
