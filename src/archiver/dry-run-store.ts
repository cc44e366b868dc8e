import { type Id, idKey } from "../bytes/id.js";
import { SEAL_OVERHEAD } from "../engine/engine.js";
import type { BlobType } from "../format/blob.js";
import type { SavedBlob, SmallBlob } from "../repository/blob-saver.js";
import { blobCompressionLevel, type CompressionMode } from "../repository/compression.js";
import type { BlobStore } from "./blob-store.js";

/** Answers as the store behind it would and saves nothing: it only measures what saving would add. */
export class DryRunStore implements BlobStore {
  readonly #store: BlobStore;
  readonly #compression: CompressionMode;
  readonly #seen = new Set<string>();

  constructor(store: BlobStore, compression: CompressionMode) {
    this.#store = store;
    this.#compression = compression;
  }

  get engine() {
    return this.#store.engine;
  }

  get config() {
    return this.#store.config;
  }

  get index() {
    return this.#store.index;
  }

  loadBlob(type: BlobType, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#store.loadBlob(type, id, signal);
  }

  get inOrder() {
    return this.#store.inOrder;
  }

  blobSize(type: BlobType, id: Id): number | undefined {
    return this.#store.blobSize(type, id);
  }

  saveSmallBlobs(blobs: readonly SmallBlob[]): Promise<SavedBlob[]> {
    return Promise.all(blobs.map(({ id, plaintext }) => this.saveBlob("data", plaintext, id)));
  }

  async saveBlob(type: BlobType, plaintext: Uint8Array, id?: Id): Promise<SavedBlob> {
    const plainLength = plaintext.length;
    const blobId = id ?? this.engine.hash(plaintext);
    const key = `${type} ${idKey(blobId)}`;
    if (this.#seen.has(key) || this.index.has(type, blobId))
      return { id: blobId, known: true, plainLength, packedLength: 0 };
    this.#seen.add(key);
    const level = blobCompressionLevel(this.config.version, this.#compression, type, plainLength);
    const length = level === undefined ? plainLength : (await this.engine.compress(plaintext, level)).length;
    return { id: blobId, known: false, plainLength, packedLength: length + SEAL_OVERHEAD };
  }
}
