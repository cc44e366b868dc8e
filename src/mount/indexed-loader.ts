import type { Id } from "../bytes/id.js";
import type { BlobType } from "../format/blob.js";
import type {
  BlobLoader,
  BlobResult,
  PackStretch,
  PlaintextSink,
  SizedBlob,
} from "../repository/blob-loader.js";
import type { Repository } from "../repository/repository.js";

/**
 * The repository as a loader whose index is loaded while the mount is already there: whoever needs a blob waits for
 * it, and a list of snapshots needs none. A load that failed is tried again by whoever comes next.
 */
export class IndexedLoader implements BlobLoader {
  readonly #repository: Repository;
  #loading: Promise<void> | undefined;
  #isLoaded = false;

  constructor(repository: Repository) {
    this.#repository = repository;
  }

  /** Resolves when the index is there. @throws what loading it throws */
  async ready(): Promise<void> {
    if (this.#isLoaded) return;
    this.#loading ??= this.#repository.loadIndex().then(
      () => {
        this.#isLoaded = true;
      },
      (error: unknown) => {
        this.#loading = undefined;
        throw error;
      },
    );
    await this.#loading;
  }

  async loadBlob(type: BlobType, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    if (!this.#isLoaded) await this.ready();
    return this.#repository.loadBlob(type, id, signal);
  }

  async loadBlobs(
    type: BlobType,
    ids: readonly Id[],
    on: (id: Id, result: BlobResult) => Promise<void> | void,
    signal?: AbortSignal,
  ): Promise<void> {
    if (!this.#isLoaded) await this.ready();
    await this.#repository.loadBlobs(type, ids, on, signal);
  }

  async loadBlobsInto(
    type: BlobType,
    ids: readonly Id[],
    sink: PlaintextSink,
    signal?: AbortSignal,
  ): Promise<void> {
    if (!this.#isLoaded) await this.ready();
    await this.#repository.loadBlobsInto(type, ids, sink, signal);
  }

  following(type: BlobType, id: Id, maxBytes: number): SizedBlob[] {
    return this.#repository.following(type, id, maxBytes);
  }

  stretch(type: BlobType, id: Id, stretchBytes: number): PackStretch | undefined {
    return this.#repository.stretch(type, id, stretchBytes);
  }

  blobSize(type: BlobType, id: Id): number | undefined {
    return this.#repository.blobSize(type, id);
  }
}
