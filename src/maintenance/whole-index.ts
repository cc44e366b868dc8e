import { YoreError } from "../errors.js";
import type { Repository } from "../repository/repository.js";

/**
 * For work that takes what the index does not know for lost, or for nobody's.
 *
 * @throws {YoreError} if an index file could not be loaded
 */
export function requireWholeIndex(repository: Repository): void {
  const [problem] = repository.indexProblems;
  if (!problem) return;
  throw new YoreError(problem.error.code, problem.error.message, {
    cause: problem.error,
    hint: "`yore repair index` makes a new index of what is there",
  });
}
