declare const masterKeyBrand: unique symbol;
declare const chunkerBrand: unique symbol;

/** A repository's keys inside the addon, wiped when the handle is collected. Opaque. */
export type MasterKeyHandle = object & { readonly [masterKeyBrand]: true };

/** The tables of one polynomial. Opaque. */
export type ChunkerHandle = object & { readonly [chunkerBrand]: true };

/** Among the levels of `sealMany`: store the plaintext as it is. */
export const STORED = -(2 ** 31);

/**
 * Functions of native/src/engine.cc. They check types and lengths (TypeError, RangeError) and know no defaults. What
 * returns a promise works on a pool thread; its inputs must be left alone, and not be transferred, until it is settled.
 */
export interface EngineFunctions {
  /** SHA-256, at once. */
  sha256(data: Uint8Array): Buffer;
  /** SHA-256 of each, 32 bytes one after the other. */
  sha256Many(inputs: readonly Uint8Array[]): Promise<Buffer>;
  /** SHA-256 of pieces one behind the other. */
  sha256Joined(pieces: readonly Uint8Array[]): Promise<Buffer>;
  /** Copies 32, 16 and 16 bytes. */
  createMasterKey(encrypt: Uint8Array, macK: Uint8Array, macR: Uint8Array): MasterKeyHandle;
  /**
   * Compresses, encrypts with a random IV and authenticates each plaintext of less than 4 GiB; an empty one is never
   * compressed.
   *
   * @param levels zstd levels or `STORED`, one for each plaintext
   * @param verify unseal each result again and compare, and hash each plaintext when there are IDs
   * @param ids SHA-256 of each plaintext as it was before, one behind the other
   * @returns IV | ciphertext | MAC of each; `undefined` where the verification failed
   */
  sealMany(
    key: MasterKeyHandle,
    plaintexts: readonly Uint8Array[],
    levels: Int32Array,
    verify: boolean,
    ids: Uint8Array | undefined,
  ): Promise<(Buffer | undefined)[]>;
  /**
   * The same, one result behind the other into `room`, which must be left alone meanwhile.
   *
   * @returns the length of each result; 0 where the verification failed
   * @throws {Error} if they do not fit
   */
  sealManyInto(
    key: MasterKeyHandle,
    plaintexts: readonly Uint8Array[],
    levels: Int32Array,
    verify: boolean,
    room: Uint8Array,
    ids: Uint8Array | undefined,
  ): Promise<Uint32Array>;
  /**
   * Authenticates, decrypts, decompresses and verifies each.
   *
   * @param uncompressedLengths 0 for what was not compressed, else the exact length of the plaintext
   * @param ids SHA-256 of the plaintext, or `undefined` not to verify it
   * @returns the plaintext of each, or a position in the engine's list of failures
   */
  unsealMany(
    key: MasterKeyHandle,
    sealed: readonly Uint8Array[],
    uncompressedLengths: Uint32Array,
    ids: readonly (Uint8Array | undefined)[],
  ): Promise<(Buffer | number)[]>;
  /** Poly1305 under the one-time key r | AES-128(k, nonce). For tests: `own` asks for the addon's own Poly1305. */
  poly1305Aes(k: Uint8Array, r: Uint8Array, nonce: Uint8Array, data: Uint8Array, own: boolean): Buffer;
  /** One zstd frame with content size, without checksum, with a window of at most 512 KiB. */
  compress(data: Uint8Array, level: number): Promise<Buffer>;
  /** One or more whole frames. @returns at most `maxBytes`, or a position in the engine's list of failures */
  decompress(data: Uint8Array, maxBytes: number): Promise<Buffer | number>;
  /**
   * Chunks of `minBytes` (64 or more) to `maxBytes`, cut where the low `averageBits` bits of the fingerprint are 0.
   *
   * @throws {RangeError} if the polynomial is not of degree 53
   */
  createChunker(polynomial: bigint, minBytes: number, maxBytes: number, averageBits: number): ChunkerHandle;
  /** See `Chunker.cut` of the engine. The ids are 32 bytes for each chunk. */
  cutChunks(
    chunker: ChunkerHandle,
    data: Uint8Array,
    final: boolean,
    scanned: number,
  ): Promise<{ readonly lengths: Uint32Array; readonly ids: Buffer }>;
  /**
   * scryptROMix of RFC 7914: mixes blocks of 128 * r bytes in place, side by side on one core, with
   * lanes * 128 * r * (cost / stride + 5) bytes of memory, at most 2 GiB.
   *
   * @param blocks one behind the other
   * @param lanes how many they are, 1 to 4
   * @param cost N, a power of two
   * @param stride a power of two up to the cost: so much less memory is taken, for more time
   */
  scryptMix(blocks: Uint8Array, lanes: number, cost: number, stride: number): Promise<void>;
  /**
   * Parses an index file in the form in which restic writes it.
   *
   * ```text
   * 0 packs u32 | 4 blobs u32 | pack IDs | blob IDs | offsets | lengths | uncompressed lengths | packs
   * ```
   *
   * IDs are 32 bytes; the columns behind them have a u32 of this machine for each blob: the last one the number of its
   * pack in the file, with the highest bit set for a tree.
   *
   * @returns `undefined` for any other form, which may be an index file all the same
   */
  parseIndex(json: Uint8Array): Promise<Buffer | undefined>;
}
