import { forEachConcurrently } from "../async/map-concurrently.js";
import type { Id } from "../bytes/id.js";
import { NotFoundError, YoreError } from "../errors.js";
import type { NamedFileType } from "../repository/repository-files.js";
import type { Session } from "./session.js";

/** Counters that a removal adds to. */
export interface RemoveProgress {
  files: number;
  filesTotal: number;
}

export interface RemoveWatch {
  readonly progress?: RemoveProgress | undefined;
  readonly onRemoved?: ((id: Id) => void) | undefined;
}

export interface FailedRemoval {
  readonly id: Id;
  readonly error: YoreError;
}

/** Removes files, several at a time. One that is gone already counts as removed. @returns what could not be removed */
export async function removeFiles(
  { repository, signal }: Session,
  type: NamedFileType,
  ids: readonly Id[],
  watch: RemoveWatch = {},
): Promise<FailedRemoval[]> {
  const { progress } = watch;
  if (progress) progress.filesTotal += ids.length;
  const failed: FailedRemoval[] = [];
  const remove = async (id: Id) => {
    try {
      await repository.removeFile(type, id);
    } catch (error) {
      if (!(error instanceof YoreError) || error.code === "interrupted") throw error;
      if (!(error instanceof NotFoundError)) {
        failed.push({ id, error });
        return;
      }
    }
    if (progress) progress.files++;
    watch.onRemoved?.(id);
  };
  await forEachConcurrently(ids, Math.max(2, repository.backend.connections), remove, signal);
  return failed;
}
