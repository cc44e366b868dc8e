import { formatId, type Id, idKey } from "../bytes/id.js";
import { mayBeWhole, YoreError } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import type { Repository } from "../repository/repository.js";
import { visitTrees } from "../repository/walk-tree.js";

/** A blob that a snapshot needs and that no index file knows. */
export interface MissingBlob {
  readonly type: BlobType;
  readonly id: Id;
}

export interface UsedBlobs {
  /** 1 at the entry of the first copy of each blob that is used; one byte an entry of the index. */
  readonly marks: Uint8Array;
  readonly missing: readonly MissingBlob[];
}

/**
 * Finds every blob that can be reached from some trees. Each tree is loaded once. The index must be pinned, and no entry
 * may be added meanwhile.
 *
 * @throws {YoreError} if a tree that is known cannot be read: what is below it cannot be told
 */
export async function findUsedBlobs(
  repository: Repository,
  trees: readonly Id[],
  watch: {
    readonly signal?: AbortSignal | undefined;
    readonly onTree?: () => void;
    readonly onRoot?: () => void;
  } = {},
): Promise<UsedBlobs> {
  const { index } = repository;
  const marks = new Uint8Array(index.entryEnd);
  const missing = new Map<string, MissingBlob>();
  /** @returns whether the blob is there, and was not met before */
  const mark = (type: BlobType, id: Id): boolean => {
    const entry = index.entryOf(type, id);
    if (entry < 0) missing.set(`${type} ${idKey(id)}`, { type, id });
    if (entry < 0 || marks[entry] === 1) return false;
    marks[entry] = 1;
    return true;
  };
  await visitTrees(
    repository,
    trees,
    (id, loaded) => {
      if ("error" in loaded) throw unreadable(id, loaded.error);
      watch.onTree?.();
      for (const blob of loaded.contents) mark("data", blob);
    },
    {
      signal: watch.signal,
      isNew: (id) => mark("tree", id),
      onRoot: watch.onRoot,
      engine: repository.engine,
    },
  );
  return { marks, missing: [...missing.values()] };
}

function unreadable(id: Id, cause: YoreError): YoreError {
  const advice = mayBeWhole(cause) ? "" : "; `yore repair snapshots` lets the snapshots do without it";
  return new YoreError(cause.code, `Cannot find out which blobs are in use: ${cause.message}`, {
    cause,
    hint: `The tree is ${formatId(id)}${advice}`,
  });
}
