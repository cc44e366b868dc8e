import { type PruneCommandOptions, runPrune } from "../commands/prune.js";
import type { Session } from "../commands/session.js";
import { YoreError } from "../errors.js";
import { newPruneProgress } from "../mod.js";
import type { CommandContext } from "./command-context.js";
import { PruneProgressView, PruneReport } from "./prune-report.js";

/**
 * Prunes and shows what happens, for `prune` itself and for `forget --prune`.
 *
 * @param how `withJson: false` leaves out status and summary of `--json`, where another command's JSON is all there is
 * @throws {YoreError} also when packs could not be removed
 */
export async function runShownPrune(
  context: CommandContext,
  session: Session,
  options: PruneCommandOptions,
  { withJson = true }: { readonly withJson?: boolean } = {},
): Promise<void> {
  const report = new PruneReport(context, options.dryRun === true);
  const progress = newPruneProgress();
  const view = new PruneProgressView(progress);
  const renderer = context.startProgress(
    (seconds) => view.lines(seconds),
    withJson ? (seconds) => view.status(seconds) : undefined,
  );
  const result = await runPrune(session, options, { progress, on: (event) => report.show(event) })
    .catch((error: unknown) => {
      renderer.stop();
      report.explain(error);
      throw error;
    })
    .finally(() => renderer.stop());
  if (withJson || !context.global.json) report.finish(result);
  if (result.notRemoved > 0)
    throw new YoreError("backend", `Cannot remove ${result.notRemoved} packs; nothing needs them`);
}
