import { mayBeWhole, YoreError } from "../errors.js";
import type { Repository } from "../repository/repository.js";

/**
 * For work that takes what the index does not know for lost, or for nobody's.
 *
 * @throws {YoreError} if an index file could not be loaded
 */
export function requireWholeIndex(repository: Repository): void {
  const [problem] = repository.indexProblems;
  if (!problem) return;
  const { error } = problem;
  if (mayBeWhole(error)) throw error;
  throw new YoreError(error.code, error.message, {
    cause: error,
    hint: "`yore repair index` makes a new index of what is there",
  });
}
