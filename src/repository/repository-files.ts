import { type Backend, type FileType, formatHandle, type Handle } from "../backend/backend.js";
import { equalIds, formatId, type Id } from "../bytes/id.js";
import type { Engine, MasterKey } from "../engine/engine.js";
import { DamagedError, FormatError, throwIfAborted } from "../errors.js";
import { classifyUnpacked, frameOfUnpacked, wrapFrame } from "../format/unpacked-file.js";
import { type CompressionMode, unpackedCompressionLevel } from "./compression.js";
import { formatUnsealFailure } from "./unseal-failure.js";

/** Files of a repository that are named by the SHA-256 of their stored bytes. */
export type NamedFileType = Exclude<FileType, "config">;

/** Files that hold one sealed JSON text. */
export type UnpackedFileType = "snapshot" | "index" | "lock";

/** More than an index of half a million blobs needs; what claims to be larger is an attack or a defect. */
const MAX_UNPACKED_BYTES = 1024 * 1024 * 1024;

export interface RepositoryFilesOptions {
  readonly backend: Backend;
  readonly engine: Engine;
  readonly masterKey: MasterKey;
  readonly version: 1 | 2;
  readonly compression: CompressionMode;
  /** Unseal and compare what was sealed before it is saved. */
  readonly extraVerify: boolean;
}

/**
 * The files of a repository that are no packs: snapshots, indexes, locks, each one sealed JSON text.
 *
 * Version 1 seals the JSON as it is; version 2 puts the byte 0x02 and a zstd frame in its place, whatever the
 * compression mode. When reading, the first byte decides, in both versions.
 */
export class RepositoryFiles {
  readonly #options: RepositoryFilesOptions;

  constructor(options: RepositoryFilesOptions) {
    this.#options = options;
  }

  /** @throws {DamagedError} naming the file if its hash, its seal or its compression is wrong */
  async load(type: UnpackedFileType, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    const { backend, engine, masterKey } = this.#options;
    const handle = { type, name: formatId(id) };
    const sealed = await loadRawFile(backend, engine, type, id, signal);
    const plaintext = await unsealFile(engine, masterKey, handle, sealed);
    if (plaintext.length === 0) return plaintext;
    try {
      if (classifyUnpacked(plaintext) === "json") return plaintext;
      return await engine.decompress(frameOfUnpacked(plaintext), MAX_UNPACKED_BYTES);
    } catch (cause) {
      if (!(cause instanceof FormatError || cause instanceof DamagedError)) throw cause;
      throw new DamagedError(`Cannot load ${formatHandle(handle)}: ${cause.message}`, {
        cause,
        hint: nameHint(handle),
      });
    }
  }

  /** @returns the ID of the new file */
  async save(type: UnpackedFileType, json: Uint8Array, signal?: AbortSignal): Promise<Id> {
    const { backend, engine, masterKey, version, compression, extraVerify } = this.#options;
    let plaintext = json;
    if (version >= 2)
      plaintext = wrapFrame(await engine.compress(json, unpackedCompressionLevel(compression)));
    const sealed = await sealFile(engine, masterKey, plaintext, extraVerify);
    const id = engine.hash(sealed);
    throwIfAborted(signal);
    await backend.save({ type, name: formatId(id) }, [sealed], signal);
    return id;
  }
}

/**
 * Loads the stored bytes of a file and checks them against its name. A mismatch is tried once more: what a
 * cache or a bad connection spoiled may come whole the second time.
 *
 * @throws {DamagedError} if the bytes have another hash than the name says
 */
export async function loadRawFile(
  backend: Backend,
  engine: Engine,
  type: NamedFileType,
  id: Id,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const handle = { type, name: formatId(id) };
  for (let attempt = 1; ; attempt++) {
    const bytes = await backend.load(handle, signal ? { signal } : {});
    const hash = (await engine.hashAll([bytes])).at(0);
    if (equalIds(hash, id)) return bytes;
    if (attempt === 2)
      throw new DamagedError(
        `Cannot load ${formatHandle(handle)}: SHA-256 of its ${bytes.length} bytes is ${formatId(hash)}`,
        { hint: nameHint(handle) },
      );
  }
}

/** Seals one uncompressed file. */
export async function sealFile(
  engine: Engine,
  masterKey: MasterKey,
  plaintext: Uint8Array,
  verify: boolean,
): Promise<Uint8Array> {
  const [sealed] = await engine.seal(masterKey, [{ plaintext, compressionLevel: undefined }], { verify });
  return sealed!.sealed;
}

/** @throws {DamagedError} naming the file */
export async function unsealFile(
  engine: Engine,
  masterKey: MasterKey,
  handle: Handle,
  sealed: Uint8Array,
): Promise<Uint8Array> {
  const [result] = await engine.unseal(masterKey, [{ sealed, uncompressedLength: 0, id: undefined }]);
  if ("plaintext" in result!) return result.plaintext;
  throw new DamagedError(`Cannot load ${formatHandle(handle)}: ${formatUnsealFailure(result!.failure)}`, {
    hint: nameHint(handle),
  });
}

function nameHint(handle: Handle): string {
  return handle.name === ""
    ? "The damaged file is the config"
    : `The damaged file is ${handle.type} ${handle.name}`;
}
