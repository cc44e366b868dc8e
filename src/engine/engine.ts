/**
 * The engine does the arithmetic of a repository: hash, compress, encrypt, authenticate, cut, derive keys. It knows no
 * file, no JSON and no policy. Two implementations stand behind this one interface, chosen at start-up by
 * `loadEngine()`: `native` (the addon, off the main thread) and `portable` (TypeScript and WebAssembly, anywhere).
 *
 * "Seal" is compress, encrypt, authenticate; "unseal" is the way back, verified before a byte is handed out.
 */

import type { Id, IdList } from "../bytes/id.js";

/** The three keys every sealed thing of a repository is made with. */
export interface MasterKey {
  /** AES-256 key, 32 bytes. */
  readonly encrypt: Uint8Array;
  /** AES-128 key of Poly1305-AES, 16 bytes. */
  readonly macK: Uint8Array;
  /** Polynomial key of Poly1305-AES, 16 bytes, clamped on use. */
  readonly macR: Uint8Array;
}

/** IV before and MAC behind the ciphertext: a sealed thing is this much longer than what was encrypted. */
export const SEAL_OVERHEAD = 32;

export interface SealInput {
  readonly plaintext: Uint8Array;
  /** zstd level (negative ones included); `undefined` stores the plaintext as it is. */
  readonly compressionLevel: number | undefined;
  /** SHA-256 of the plaintext as it was before; whoever verifies compares it again. */
  readonly id?: Id;
}

export interface Sealed {
  /** IV (16) | ciphertext | MAC (16). */
  readonly sealed: Uint8Array;
  /** Length of the plaintext if it was compressed, else 0: what the pack header and the index store. */
  readonly uncompressedLength: number;
}

/** One of several sealed things that lie one behind the other. */
export interface SealedPart {
  readonly length: number;
  /** As in `Sealed`. */
  readonly uncompressedLength: number;
}

/** Something sealed that lies in a file. */
export interface PlacedPart extends SealedPart {
  /** Bytes from the start of the file. */
  readonly offset: number;
}

/**
 * A file that grows by what is sealed into it. It is hashed on the way, and has no name before it is synced: whatever dies
 * while it grows, nothing is left. Several calls may be under way. Once one has failed, the file is good for nothing any more.
 */
export interface SealedFile {
  /** Seals as `Engine.seal` does, in one hop, and puts the results at the end. */
  seal(key: MasterKey, inputs: readonly SealInput[], options?: { verify?: boolean }): Promise<PlacedPart[]>;
  /** Puts bytes at the end, which must not be changed before it resolves. @returns their offset */
  append(pieces: readonly Uint8Array[]): Promise<number>;
  /**
   * Brings it to the disk; nothing is put in any more.
   *
   * @param mode permission bits
   * @param keepsCached whether it may stay in the kernel's cache, to be read again
   * @returns SHA-256 of it all
   */
  finish(mode: number, keepsCached: boolean): Promise<Id>;
  /** The whole content. */
  load(): Promise<Uint8Array>;
  /** Gives the finished file its name, replacing nothing but its equal. */
  commit(path: string): Promise<void>;
  /** Gives it up. Harmless when it has its name. */
  discard(): Promise<void>;
}

/** The most that so many bytes of plaintext can come to, sealed: what zstd cannot compress gets a little longer. */
export function maxSealedLength(plainLength: number): number {
  return plainLength + Math.ceil(plainLength / 256) + 64 + SEAL_OVERHEAD;
}

export interface UnsealInput {
  readonly sealed: Uint8Array;
  /** As in the index: 0 when the plaintext was not compressed; otherwise its exact length, which is also a bound. */
  readonly uncompressedLength: number;
  /** When given, SHA-256 of the plaintext must equal it. */
  readonly id: Id | undefined;
}

/** A sealed thing inside a larger piece of memory. */
export interface UnsealPart {
  readonly offset: number;
  readonly length: number;
  /** As of `UnsealInput`. */
  readonly uncompressedLength: number;
  /** SHA-256 of the plaintext. */
  readonly id: Id;
}

/** Why one thing could not be unsealed. Never comes with bytes. */
export type UnsealFailure = "too-short" | "mac" | "decompress" | "length" | "hash";

export type Unsealed = { readonly plaintext: Uint8Array } | { readonly failure: UnsealFailure };

/** What became of parts that were to be written. */
export interface UnsealedToFiles {
  /** For each part that a call wanted and that could not be unsealed the reason; nothing of it was written. */
  readonly failures: readonly (UnsealFailure | undefined)[];
  readonly callFailures: Int32Array;
}

/** What `Chunker.cut` found. */
export interface Cuts {
  /** Lengths of the chunks, from the start of the data on. */
  readonly lengths: Uint32Array;
  /** SHA-256 of each chunk. */
  readonly ids: IdList;
  /** Sum of the lengths; what lies behind belongs to the next chunk. */
  readonly consumed: number;
}

/** Cuts data into chunks by content (Rabin fingerprint). Holds tables only, no state: one serves any number of files. */
export interface Chunker {
  /**
   * Finds all chunks that end within `data`, which must begin at a chunk's start, and hashes them.
   * With `final` the rest is the last chunk. Without, the caller hands what lies behind `consumed` in again,
   * followed by more data. `scanned` is how many bytes of `data` an earlier call has seen without a cut in
   * them (0 when unknown), so that nothing is scanned twice.
   * The caller must not change `data` before the promise resolves.
   */
  cut(data: Uint8Array, options: { final: boolean; scanned?: number }): Promise<Cuts>;
}

/** restic's bounds, and no others so far. */
export const CHUNK_MIN_BYTES = 512 * 1024;
export const CHUNK_MAX_BYTES = 8 * 1024 * 1024;

export interface ScryptParameters {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** An index file as columns, which can be taken in without touching each blob. */
export interface IndexColumns {
  /** 32 bytes a pack. */
  readonly packIds: Uint8Array;
  /** Of each blob in turn: the 32 bytes of its ID as 8 words, little endian. */
  readonly ids: Int32Array;
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  /** 0 for a blob that is stored as it is. */
  readonly uncompressed: Uint32Array;
  /** Position of the blob's pack among the packs of the file, with `INDEX_TREE_BIT` for trees. */
  readonly packs: Uint32Array;
}

/** What a tree refers to. */
export interface TreeReferences {
  /** The trees of its directories. */
  readonly subtrees: IdList;
  /** The blobs of its files, in the order of the nodes. */
  readonly contents: IdList;
}

export const INDEX_TREE_BIT = 0x8000_0000;

/** Verifies a pack of which never more than a piece is in memory. */
export interface PackVerifier {
  /**
   * Hashes the next piece of the pack, and unseals parts of it only to know which cannot be, in one hop. The promise must
   * be settled before the next piece comes.
   *
   * @param parts with their offsets in the piece
   * @returns why not, for each part; `undefined` for those that can be unsealed
   */
  verify(piece: Uint8Array, parts: readonly UnsealPart[]): Promise<readonly (UnsealFailure | undefined)[]>;
  /** Once, behind the last piece. @returns SHA-256 of all pieces */
  finish(): Id;
}

export interface Engine {
  readonly name: "native" | "portable";
  /** SHA-256 at once, for small things. */
  hash(data: Uint8Array): Id;
  /** SHA-256 of many, off the main thread where there is one. */
  hashAll(data: readonly Uint8Array[]): Promise<IdList>;
  /** SHA-256 of pieces one behind the other, off the main thread where there is one. */
  hashJoined(pieces: readonly Uint8Array[]): Promise<Id>;
  /** An incremental SHA-256. */
  createHash(): { update(data: Uint8Array): void; digest(): Id };
  /**
   * Seals each input with a fresh random IV, in one hop. With `verify`, each result is unsealed again and compared
   * before it is handed out, and the plaintext with its ID if there is one. The caller must not change the inputs before
   * the promise resolves.
   * @throws {DamagedError} if the verification fails: the memory or the processor of this machine is broken
   */
  seal(key: MasterKey, inputs: readonly SealInput[], options?: { verify?: boolean }): Promise<Sealed[]>;
  /**
   * Seals as `seal` does, one result behind the other into memory of the caller, which spares making and collecting
   * a buffer for each. There must be room for `maxSealedLength` of each.
   */
  sealInto(
    key: MasterKey,
    inputs: readonly SealInput[],
    room: Uint8Array,
    options?: { verify?: boolean },
  ): Promise<SealedPart[]>;
  /**
   * Begins a file to seal into, in a folder; only the native engine can. Failures are those of node:fs, there and in all of
   * its functions, and `DamagedError` of a verification.
   *
   * @param temporaryName what it is called from its sync until it is whole, and from the beginning where the file system wants a name
   * @param mode permission bits meanwhile
   */
  createSealedFile?(folder: string, temporaryName: string, mode: number): Promise<SealedFile>;
  /** Unseals each input, in one hop; one failure does not touch the others. */
  unseal(key: MasterKey, inputs: readonly UnsealInput[]): Promise<Unsealed[]>;
  /**
   * Unseals parts of one piece of memory, in one hop; one failure does not touch the others. What ends beyond the memory
   * is cut off. The plaintexts may come as views of `into`, which must have room for all of them and can be used again
   * when they are done with.
   */
  unsealParts(
    key: MasterKey,
    sealed: Uint8Array,
    parts: readonly UnsealPart[],
    into: Uint8Array,
  ): Promise<Unsealed[]>;
  createPackVerifier(key: MasterKey): PackVerifier;
  /**
   * Unseals parts and writes them into files, in the same hop, so that no plaintext ever comes here. Only the native
   * engine can: what a program of file calls is, and what the numbers mean that come back, is drawn in
   * native/src/file_calls.h and none of the engine's business.
   */
  unsealToFiles?(
    key: MasterKey,
    sealed: Uint8Array,
    parts: readonly UnsealPart[],
    root: Uint8Array,
    program: Uint8Array,
  ): Promise<UnsealedToFiles>;
  compress(data: Uint8Array, level: number): Promise<Uint8Array>;
  /** @throws {DamagedError} for anything but one or more whole zstd frames of at most `maxBytes` plaintext */
  decompress(data: Uint8Array, maxBytes: number): Promise<Uint8Array>;
  /** @throws {RangeError} if the polynomial is not of degree 53 */
  createChunker(polynomial: bigint): Chunker;
  /**
   * Parses the JSON of an index file off the main thread, for engines that can. `undefined` for any form but the one in
   * which restic writes it: the general decoder is for those, and says what is wrong.
   */
  parseIndex?(json: Uint8Array): Promise<IndexColumns | undefined>;
  /**
   * Finds the IDs in the JSON of a tree, for engines that can, in a quarter of the time that decoding it takes. `undefined`
   * unless it is in the form in which restic writes it, every name is one that a file can have, every directory names its
   * tree, and every file its blobs: the general decoder is for all others.
   */
  parseTree?(json: Uint8Array): TreeReferences | undefined;
  scrypt(
    password: Uint8Array,
    salt: Uint8Array,
    parameters: ScryptParameters,
    length: number,
  ): Promise<Uint8Array>;
  randomBytes(length: number): Uint8Array;
}
