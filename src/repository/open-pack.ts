import { equalIds, type Id } from "../bytes/id.js";
import { type Engine, type MasterKey, SEAL_OVERHEAD, type SealInput } from "../engine/engine.js";
import { DamagedError } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import {
  decodePackHeader,
  encodePackHeader,
  HEADER_LENGTH_LENGTH,
  MAX_HEADER_ENTRIES,
  type PackedBlob,
} from "../format/pack-header.js";
import { unsealFile } from "./repository-files.js";

/** A blob on its way into a pack. */
export interface NewBlob extends SealInput {
  readonly type: BlobType;
  readonly id: Id;
}

/** What packs are made with. */
export interface PackParts {
  readonly engine: Engine;
  readonly masterKey: MasterKey;
  readonly version: 1 | 2;
  /** Unseal and compare what was sealed before it goes into a pack. */
  readonly extraVerify: boolean;
}

/** A pack that is saved. */
export interface SavedPack {
  readonly id: Id;
  /** In the order of their offsets. */
  readonly blobs: readonly PackedBlob[];
}

/** A pack being filled. It may only be saved or merged when nothing is under way any more. */
export interface OpenPack {
  /** What was sealed into it, in no order. */
  readonly blobs: readonly PackedBlob[];
  /** Bytes that it takes; what is being sealed is guessed. */
  readonly length: number;
  /** Blobs, without those that are being sealed. */
  readonly count: number;
  /** It lies in memory as a whole. */
  readonly holdsMemory: boolean;
  /** Something went wrong that nobody knows the extent of: it can only be released. */
  readonly isSpoilt: boolean;
  /** Seals blobs and puts them in. @returns the bytes that each takes */
  seal(blobs: readonly NewBlob[]): Promise<number[]>;
  /** Puts in what is sealed already, and must not be changed before it resolves. */
  add(type: BlobType, id: Id, sealed: Uint8Array, uncompressedLength: number): Promise<void>;
  /** Resolves when nothing is under way any more, however it went. */
  settled(): Promise<void>;
  /** Puts the blobs of another pack of the same kind behind those of this one; that one is done with. */
  merge(other: this): Promise<void>;
  /** Adds the header and saves the whole pack under the name that its bytes give it. */
  save(): Promise<SavedPack>;
  /** Lets go of whatever it holds. What lay in it stays in `blobs`. Never throws. */
  release(): void;
}

export function plainBytesOf(blobs: readonly NewBlob[]): number {
  return blobs.reduce((sum, { plaintext }) => sum + plaintext.length, 0);
}

export function isFull({ length, count }: OpenPack, targetBytes: number): boolean {
  return length >= targetBytes || count >= FULL_AT_ENTRIES;
}

export function canTake(pack: OpenPack, other: OpenPack, targetBytes: number): boolean {
  return pack.length + other.length <= targetBytes && pack.count + other.count <= FULL_AT_ENTRIES;
}

/** What is under way when a pack is found to be full gets in as well. */
const FULL_AT_ENTRIES = MAX_HEADER_ENTRIES - 4096;

/**
 * The end of a pack: sealed header and its length. The header is unsealed and decoded again first, because a pack with a
 * broken one is lost as soon as its index is.
 *
 * @param blobs in the order of their offsets, without gaps
 * @param length of the blobs together
 */
export async function sealPackHeader(
  { engine, masterKey, version }: PackParts,
  blobs: readonly PackedBlob[],
  length: number,
): Promise<readonly [header: Uint8Array, headerLength: Uint8Array]> {
  const plainHeader = encodePackHeader(blobs);
  const [result] = await engine.seal(masterKey, [{ plaintext: plainHeader, compressionLevel: undefined }]);
  const header = result!.sealed;
  const size = length + header.length + HEADER_LENGTH_LENGTH;
  await checkHeader(engine, masterKey, header, size, blobs, version);
  const headerLength = Buffer.alloc(HEADER_LENGTH_LENGTH);
  headerLength.writeUInt32LE(header.length);
  return [header, headerLength];
}

async function checkHeader(
  engine: Engine,
  masterKey: MasterKey,
  sealed: Uint8Array,
  packSize: number,
  blobs: readonly PackedBlob[],
  version: 1 | 2,
): Promise<void> {
  const plaintext = await unsealFile(engine, masterKey, { type: "pack", name: "" }, sealed);
  const decoded = decodePackHeader(plaintext, packSize, sealed.length, { version });
  const same =
    sealed.length === plaintext.length + SEAL_OVERHEAD &&
    decoded.length === blobs.length &&
    decoded.every((blob, i) => equalBlobs(blob, blobs[i]!));
  if (!same)
    throw new DamagedError("Cannot save pack: its header does not come back as it was written", {
      hint: "The memory or the processor of this machine may be broken",
    });
}

function equalBlobs(a: PackedBlob, b: PackedBlob): boolean {
  return (
    a.type === b.type &&
    a.offset === b.offset &&
    a.length === b.length &&
    a.uncompressedLength === b.uncompressedLength &&
    equalIds(a.id, b.id)
  );
}
