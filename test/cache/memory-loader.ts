import { createHash } from "node:crypto";
import { formatId, type Id } from "../../src/bytes/id.js";
import { NotFoundError } from "../../src/errors.js";
import type { BlobType } from "../../src/format/blob.js";
import type { BlobLoader, BlobResult } from "../../src/repository/blob-loader.js";

/** A loader over a map, which counts its loads and can be made to fail or to hang. */
export class MemoryLoader implements BlobLoader {
  readonly #blobs = new Map<string, Uint8Array>();
  /** Hex IDs of what was loaded, one by one and many at once. */
  readonly loads: string[] = [];
  readonly bulks: string[][] = [];
  /** Thrown by every load while it is set. */
  failure: Error | undefined;
  stretch?: NonNullable<BlobLoader["stretch"]>;
  /** Loads wait for it. */
  gate: Promise<void> = Promise.resolve();

  add(type: BlobType, content: Uint8Array | string): Id {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    const id = createHash("sha256").update(bytes).digest() as Uint8Array as Id;
    this.#blobs.set(type + formatId(id), bytes);
    return id;
  }

  async loadBlob(type: BlobType, id: Id): Promise<Uint8Array> {
    this.loads.push(formatId(id));
    await this.gate;
    if (this.failure) throw this.failure;
    const blob = this.#blobs.get(type + formatId(id));
    if (!blob) throw new NotFoundError(`Cannot load ${type} blob: no index knows it`);
    return blob;
  }

  async loadBlobs(
    type: BlobType,
    ids: readonly Id[],
    on: (id: Id, result: BlobResult) => Promise<void> | void,
  ): Promise<void> {
    this.bulks.push(ids.map(formatId));
    for (const id of ids) {
      const result = await this.loadBlob(type, id).then(
        (blob) => ({ plaintext: Buffer.from(blob) }),
        (error: unknown) => ({ error }),
      );
      await on(id, result);
      // Not valid any more.
      if ("plaintext" in result) result.plaintext.fill(0);
      this.loads.pop();
    }
  }

  blobSize(type: BlobType, id: Id): number | undefined {
    return this.#blobs.get(type + formatId(id))?.length;
  }
}
