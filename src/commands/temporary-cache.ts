import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseLocation } from "../backend/location.js";
import { messageOf } from "../errors.js";
import type { RepositoryOptions } from "./session.js";

export interface TemporaryCacheWatch {
  /** The cache was made. */
  readonly onMade?: (folder: string) => void;
  /** It could not be made; the work goes on without one. */
  readonly onProblem?: (message: string) => void;
}

/**
 * Gives a repository that is far away a cache that ends with the work: for those who must see what is in the repository
 * itself, and would otherwise ask for each tree alone. It takes as much of the disk as the packs of trees have. Without a
 * cache in the options there is none, and a repository that is near needs none.
 */
export async function withTemporaryCache<T>(
  repository: RepositoryOptions,
  watch: TemporaryCacheWatch,
  work: (repository: RepositoryOptions) => Promise<T>,
): Promise<T> {
  const { cache, location } = repository;
  if (!cache || parseLocation(location).scheme === "local") return work({ ...repository, cache: undefined });
  let folder: string;
  try {
    folder = await mkdtemp(join(tmpdir(), "yore-check-cache-"));
  } catch (error) {
    watch.onProblem?.(`Cannot make a temporary cache: ${messageOf(error)}; going on without`);
    return work({ ...repository, cache: undefined });
  }
  watch.onMade?.(folder);
  try {
    return await work({ ...repository, cache: { folder, keepsData: false } });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
