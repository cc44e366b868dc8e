import type { Command } from "commander";
import { runUnlock } from "../../commands/unlock.js";
import { action } from "../command-context.js";
import type { Io } from "../output.js";

interface UnlockFlags {
  readonly removeAll?: boolean;
}

export function registerUnlock(program: Command, io: Io): void {
  program
    .command("unlock")
    .description("remove locks that other processes left behind")
    .option("--remove-all", "remove all locks, even those that are in use")
    .action(
      action<UnlockFlags>(io, async (context, _args, flags) => {
        const removed = await context.withSession({ lock: "none" }, (session) =>
          runUnlock(session, { removeAll: flags.removeAll === true }),
        );
        if (context.global.json) context.json({ message_type: "summary", removed_locks: removed });
        else if (removed > 0) context.print(`successfully removed ${removed} locks`);
        return undefined;
      }),
    );
}
