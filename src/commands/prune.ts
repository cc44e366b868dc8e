import { UsageError } from "../errors.js";
import { pruneRepository } from "../maintenance/prune.js";
import type { PruneOptions, PruneResult, PruneWatch } from "../maintenance/prune-options.js";
import type { Session } from "./session.js";

export { MissingBlobsError, MissingPacksError, PackSizeError } from "../maintenance/prune-plan.js";

export interface PruneCommandOptions extends PruneOptions {
  /** The ID of the repository, which the user has to know to have `removeIndexFirst`. */
  readonly recoverRepositoryId?: string | undefined;
}

/** Prunes the repository of a session, which should hold the exclusive lock. See `pruneRepository`. */
export function runPrune(
  session: Session,
  options: PruneCommandOptions,
  watch: PruneWatch = {},
): Promise<PruneResult> {
  const { id } = session.repository.config;
  const { recoverRepositoryId } = options;
  if (recoverRepositoryId !== undefined && recoverRepositoryId !== id)
    throw new UsageError(`must pass id '${id}' to --unsafe-recover-no-free-space`);
  const removeIndexFirst = recoverRepositoryId !== undefined;
  return pruneRepository(
    session.repository,
    { ...options, removeIndexFirst },
    { ...watch, signal: session.signal },
  );
}
