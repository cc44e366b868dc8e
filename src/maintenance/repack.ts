import { forEachConcurrently } from "../async/map-concurrently.js";
import { formatId, formatShortId, type Id } from "../bytes/id.js";
import { YoreError } from "../errors.js";
import type { IndexedPack } from "../format/index-file.js";
import type { PackedBlob } from "../format/pack-header.js";
import { blobCompressionLevel } from "../repository/compression.js";
import type { PackBlobResult } from "../repository/pack-blobs.js";
import type { Repository } from "../repository/repository.js";

/** Packs that are read at a time: each takes about 24 MiB of memory. */
const MOST_AT_ONCE = 4;

export interface RepackWatch {
  readonly signal?: AbortSignal | undefined;
  /** A pack was read. */
  readonly onPack?: (pack: IndexedPack) => void;
  /** Told of a blob that no pack has whole; without it the first one fails the repack. */
  readonly onLost?: (blob: PackedBlob, packId: Id, error: YoreError) => void;
}

/**
 * Copies blobs to new packs. Each is verified, and then its sealed bytes are copied as they are: the keys stay the same,
 * so nothing has to be compressed or encrypted again, unless it was not compressed and should be. What was copied can
 * be found when it returns; also when it fails or is interrupted, so that the next attempt goes on from there.
 */
export async function repack(
  repository: Repository,
  packs: Iterable<IndexedPack>,
  watch: RepackWatch = {},
): Promise<void> {
  const { signal } = watch;
  const copy = (packId: Id) => async (blob: PackedBlob, result: PackBlobResult) => {
    if ("plaintext" in result) await saveCopy(repository, blob, result);
    else if (watch.onLost) watch.onLost(blob, packId, result.error);
    else throw lostBlob(blob, packId, result.error);
  };
  try {
    await forEachConcurrently(
      packs,
      Math.min(MOST_AT_ONCE, Math.max(2, repository.backend.connections)),
      async (pack) => {
        await repository.loadPackBlobs(pack.packId, pack.blobs, copy(pack.packId), signal);
        watch.onPack?.(pack);
      },
      signal,
    );
  } catch (error) {
    // What stopped it is what the caller must hear of.
    await repository.flush().catch(() => {});
    throw error;
  }
  await repository.flush();
}

function saveCopy(
  repository: Repository,
  { type, id, uncompressedLength }: PackedBlob,
  { plaintext, sealed }: Extract<PackBlobResult, { readonly plaintext: Uint8Array }>,
): Promise<void> {
  const { version } = repository.config;
  const isToCompress =
    uncompressedLength === 0 &&
    blobCompressionLevel(version, repository.compression, type, plaintext.length) !== undefined;
  return sealed && !isToCompress
    ? repository.saveSealedBlob(type, id, sealed, uncompressedLength)
    : repository.saveBlobAgain(type, id, plaintext);
}

function lostBlob({ type, id }: PackedBlob, packId: Id, cause: YoreError): YoreError {
  return new YoreError(cause.code, `Cannot repack pack ${formatShortId(packId)}: ${cause.message}`, {
    cause,
    hint:
      `The ${type} blob ${formatId(id)} is damaged, and nothing was lost by this. Keep a copy of the repository, then run\n` +
      `yore repair packs ${formatId(packId)}\nyore repair snapshots --forget`,
  });
}
