import { availableParallelism } from "node:os";
import { BatchQueue } from "../async/batch-queue.js";
import { equalIds, formatId, formatShortId, type Id } from "../bytes/id.js";
import type { Engine, MasterKey, Unsealed, UnsealInput } from "../engine/engine.js";
import {
  DamagedError,
  type ErrorCode,
  messageOf,
  NotFoundError,
  throwIfAborted,
  YoreError,
} from "../errors.js";
import type { BlobType } from "../format/blob.js";
import type { PackedBlob } from "../format/pack-header.js";
import { SMALL_BLOB_BYTES, SMALL_BLOBS_A_HOP } from "./blob-groups.js";
import type { BlobIndex, BlobLocation } from "./blob-index.js";
import { type PackBlobResult, sealedInRange } from "./pack-blobs.js";
import type { LoadPackRange, ReadRange } from "./pack-ranges.js";
import { settle } from "./settle.js";
import { formatUnsealFailure } from "./unseal-failure.js";

export interface BlobCopiesOptions {
  readonly engine: Engine;
  readonly masterKey: MasterKey;
  readonly index: BlobIndex;
  readonly loadRange: LoadPackRange;
  /** See `Backend.distrust`. */
  readonly distrust: (packId: Id, offset: number, length: number) => Promise<void>;
  /** Loads the index again, unless that was done a moment ago, when these packs were gone already. */
  readonly refreshIndex: (gone: readonly Id[], signal?: AbortSignal) => Promise<void>;
}

/** One failed copy of a blob. */
interface Failure {
  readonly copy: BlobLocation;
  readonly place: string;
  readonly reason: string;
  readonly code: ErrorCode;
  readonly cause: unknown;
  /** The pack is gone: another client may have pruned, and the index may be out of date. */
  readonly gone: boolean;
}

/** How far the search for a good copy has come. */
interface Attempt {
  readonly tried: BlobLocation[];
  readonly failures: Failure[];
}

/**
 * Finds a good copy of a blob. One that is bad is read once more, then the others are tried; when a pack is gone, the index
 * is loaded again once, so that a reader survives the prune of another client. Nothing leaves that was not verified.
 */
export class BlobCopies {
  readonly #options: BlobCopiesOptions;
  readonly #unsealing: BatchQueue<UnsealInput, Unsealed>;

  constructor(options: BlobCopiesOptions) {
    this.#options = options;
    const { engine, masterKey } = options;
    this.#unsealing = new BatchQueue({
      work: (inputs) => engine.unseal(masterKey, inputs),
      weigh: (input) => Math.max(input.sealed.length, input.uncompressedLength),
      aloneFrom: SMALL_BLOB_BYTES,
      maxItems: SMALL_BLOBS_A_HOP,
      maxInFlight: 2 * availableParallelism(),
    });
  }

  /** @throws {YoreError} naming each copy, and what is wrong with it */
  load(type: BlobType, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#loadAny(type, id, { tried: [], failures: [] }, signal);
  }

  /**
   * Tries every copy that the attempt has not tried yet; when none is good and a pack was gone, or there was
   * no copy at all, once more those that are new after a refresh of the index.
   */
  async #loadAny(type: BlobType, id: Id, attempt: Attempt, signal?: AbortSignal): Promise<Uint8Array> {
    const { index, refreshIndex } = this.#options;
    const plaintext = await this.#tryCopies(id, index.lookupAll(type, id), attempt, signal);
    if (plaintext) return plaintext;
    if (attempt.failures.every(({ gone }) => !gone) && attempt.failures.length > 0)
      throw blobError(type, id, attempt.failures);
    const gone = attempt.failures.filter((failure) => failure.gone).map(({ copy }) => copy.packId);
    await refreshIndex(gone, signal);
    const found = await this.#tryCopies(id, index.lookupAll(type, id), attempt, signal);
    if (found) return found;
    throw blobError(type, id, attempt.failures);
  }

  async #tryCopies(
    id: Id,
    copies: readonly BlobLocation[],
    { tried, failures }: Attempt,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    for (const copy of copies) {
      if (tried.some((place) => samePlace(place, copy))) continue;
      tried.push(copy);
      try {
        const read = () => this.#options.loadRange(copy.packId, copy.offset, copy.length, { signal });
        return (await this.#open(id, copy, read, read)).plaintext;
      } catch (error) {
        throwIfAborted(signal);
        failures.push(failureOf(copy, error));
      }
    }
    return undefined;
  }

  /** @param readAgain for what the way or a cache may have spoiled */
  async #open(
    id: Id,
    { packId, offset, length, uncompressedLength }: BlobLocation,
    read: () => Promise<Uint8Array>,
    readAgain: () => Promise<Uint8Array>,
  ): Promise<{ readonly plaintext: Uint8Array; readonly sealed: Uint8Array }> {
    const open = async (sealed: Uint8Array) => ({
      plaintext: await this.#unseal(id, sealed, uncompressedLength),
      sealed,
    });
    try {
      return await open(await read());
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      await this.#options.distrust(packId, offset, length);
      return open(await readAgain());
    }
  }

  async #unseal(id: Id, sealed: Uint8Array, uncompressedLength: number): Promise<Uint8Array> {
    const result = await this.#unsealing.run({ sealed, uncompressedLength, id });
    if ("plaintext" in result) return result.plaintext;
    throw new DamagedError(formatUnsealFailure(result.failure));
  }

  /**
   * Unseals a blob that lies in a range just read; whatever is wrong with it or the range, other copies are
   * tried. Never rejects.
   */
  async openInRange(
    packId: Id,
    blob: PackedBlob,
    range: ReadRange,
    signal: AbortSignal | undefined,
  ): Promise<PackBlobResult> {
    const { type, id, offset, length, uncompressedLength } = blob;
    const here: BlobLocation = { packId, offset, length, uncompressedLength };
    const attempt: Attempt = { tried: [], failures: [] };
    try {
      if ("value" in range.bytes) {
        attempt.tried.push(here);
        const { value } = range.bytes;
        const read = async () => sealedInRange(value, range.offset, blob);
        const readAgain = () => this.#options.loadRange(packId, offset, length, { signal });
        return await this.#open(id, here, read, readAgain);
      }
      // A pack that is cut short may still hold this blob: read it alone. For any other reason, this pack is
      // done with.
      if (range.bytes.error instanceof DamagedError) {
        const plaintext = await this.#tryCopies(id, [here], attempt, signal);
        if (plaintext) return { plaintext };
      } else {
        attempt.tried.push(here);
        attempt.failures.push(failureOf(here, range.bytes.error));
      }
    } catch (error) {
      attempt.failures.push(failureOf(here, error));
    }
    const result = await settle(this.#loadAny(type, id, attempt, signal));
    return "value" in result ? { plaintext: result.value } : { error: asYoreError(result.error) };
  }
}

function samePlace(a: BlobLocation, b: BlobLocation): boolean {
  return a.offset === b.offset && equalIds(a.packId, b.packId);
}

function asYoreError(error: unknown): YoreError {
  return error instanceof YoreError ? error : new YoreError("backend", messageOf(error), { cause: error });
}

function failureOf(copy: BlobLocation, cause: unknown): Failure {
  const gone = cause instanceof NotFoundError;
  const reason = gone ? "the pack is missing" : messageOf(cause);
  const place = `pack ${formatShortId(copy.packId)} at offset ${copy.offset}`;
  const code = gone ? "damaged" : asYoreError(cause).code;
  return { copy, place, reason, code, cause, gone };
}

/**
 * One sentence for all failed copies of a blob. An error of the backend outweighs damage: what it hides may
 * be whole.
 */
function blobError(type: BlobType, id: Id, failures: readonly Failure[]): YoreError {
  const subject = `Cannot load ${type} blob ${formatShortId(id)}`;
  const [first] = failures;
  if (!first) {
    return new NotFoundError(`${subject}: no index knows it`, {
      hint: `The missing blob is ${formatId(id)}`,
    });
  }
  const reasons = failures.map(({ place, reason }) => `${place}: ${reason}`).join("; ");
  const packs = failures.map(({ copy }) => formatId(copy.packId)).join(", ");
  const options = { cause: first.cause, hint: `The blob is ${formatId(id)} in pack ${packs}` };
  const other = failures.find(({ code }) => code !== "damaged" && code !== "format");
  if (other) return new YoreError(other.code, `${subject}: ${reasons}`, { ...options, cause: other.cause });
  return new DamagedError(`${subject}: ${reasons}`, options);
}
