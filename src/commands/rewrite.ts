import {
  checkRewriteOptions,
  type RewriteOptions,
  type RewriteWatch,
  rewriteSnapshots,
} from "../maintenance/rewrite-snapshots.js";
import type { SnapshotFilter } from "../repository/snapshots.js";
import { type IgnoredSnapshot, selectSnapshots } from "./select-snapshots.js";
import type { Session } from "./session.js";

export {
  checkRewriteOptions,
  type RewriteEvent,
  type RewriteOptions,
} from "../maintenance/rewrite-snapshots.js";
export { newRewriteProgress, type RewriteProgress } from "../maintenance/tree-rewriter.js";

export interface RewriteCommandOptions extends RewriteOptions {
  /** Snapshot arguments; all snapshots that pass the filter when empty. */
  readonly names: readonly string[];
  readonly filter: SnapshotFilter;
}

/** Rewrites the snapshots that are meant. See `rewriteSnapshots`. @returns how many changed */
export async function runRewrite(
  session: Session,
  options: RewriteCommandOptions,
  watch: Pick<RewriteWatch, "on" | "progress"> & { readonly onIgnored?: (ignored: IgnoredSnapshot) => void },
): Promise<number> {
  checkRewriteOptions(options);
  const { repository, signal } = session;
  const snapshots = await selectSnapshots(repository, options.names, options.filter, { ...watch, signal });
  await session.loadIndex();
  return rewriteSnapshots(repository, snapshots, options, { ...watch, signal });
}
