import type { RewriteProgress } from "../commands/rewrite.js";
import { PhaseView } from "./phase-progress.js";

/** How far `rewrite` and `repair snapshots` are. */
export function rewriteView(progress: RewriteProgress): PhaseView {
  return new PhaseView(() => ({
    phase: "snapshots",
    done: progress.snapshots,
    total: progress.snapshotsTotal,
    what: `snapshots, ${progress.trees} trees`,
    work: { done: progress.trees, total: progress.treesTotal },
  }));
}
