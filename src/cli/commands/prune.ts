import type { Command } from "commander";
import { WRITING } from "../../commands/ask-ahead.js";
import { UsageError } from "../../errors.js";
import { action } from "../command-context.js";
import type { Io } from "../output.js";
import { addPruneOptions, type PruneFlags, resolvePruneOptions } from "../prune-options.js";
import { runShownPrune } from "../run-shown-prune.js";

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
  addPruneOptions(command, io);
  command.action(
    action<OwnFlags>(io, async (context, _args, flags) => {
      const dryRun = flags.dryRun === true;
      const options = resolvePruneOptions(flags);
      if (context.global.noLock && !dryRun)
        throw new UsageError("--no-lock is only applicable in combination with --dry-run for prune command");
      const recoverRepositoryId = flags.unsafeRecoverNoFreeSpace || undefined;
      await context.withSession({ lock: "exclusive", lockAlways: !dryRun, ahead: WRITING }, (session) =>
        runShownPrune(context, session, { ...options, dryRun, recoverRepositoryId }),
      );
      return undefined;
    }),
  );
}
