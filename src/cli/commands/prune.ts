import type { Command } from "commander";
import { runPrune } from "../../commands/prune.js";
import { UsageError, YoreError } from "../../errors.js";
import { newPruneProgress } from "../../mod.js";
import { action } from "../command-context.js";
import type { Io } from "../output.js";
import { addPruneOptions, type PruneFlags, resolvePruneOptions } from "../prune-options.js";
import { PruneProgressView, PruneReport } from "../prune-report.js";

interface OwnFlags extends PruneFlags {
  readonly dryRun?: boolean;
  readonly unsafeRecoverNoFreeSpace?: string;
}

export function registerPrune(program: Command, io: Io): void {
  const command = program
    .command("prune")
    .description("remove data that no snapshot needs")
    .option("-n, --dry-run", "only say what would be done")
    .option(
      "--unsafe-recover-no-free-space <id>",
      "UNSAFE: for a full disk, remove the index before anything else; takes the repository's ID. Try --max-repack-size 0 first",
    );
  addPruneOptions(command);
  command.action(
    action<OwnFlags>(io, async (context, _args, flags) => {
      const dryRun = flags.dryRun === true;
      const options = resolvePruneOptions(flags);
      if (context.global.noLock && !dryRun)
        throw new UsageError("--no-lock is only applicable in combination with --dry-run for prune command");
      const report = new PruneReport(context, dryRun);
      const result = await context.withSession({ lock: "exclusive" }, async (session) => {
        const progress = newPruneProgress();
        const view = new PruneProgressView(progress);
        const renderer = context.startProgress(
          (seconds) => view.lines(seconds),
          (seconds) => view.status(seconds),
        );
        try {
          return await runPrune(
            session,
            { ...options, dryRun, recoverRepositoryId: flags.unsafeRecoverNoFreeSpace || undefined },
            { progress, on: (event) => report.show(event) },
          );
        } catch (error) {
          renderer.stop();
          report.explain(error);
          throw error;
        } finally {
          renderer.stop();
        }
      });
      report.finish(result);
      if (result.notRemoved > 0)
        throw new YoreError("backend", `Cannot remove ${result.notRemoved} packs; nothing needs them`);
      return undefined;
    }),
  );
}
