import type { Command } from "commander";
import { runUmount } from "../../commands/umount.js";
import { action } from "../command-context.js";
import type { Io } from "../output.js";

export function registerUmount(program: Command, io: Io): void {
  program
    .command("umount")
    .description("take a mount away, whoever serves it; programs that use it may finish")
    .argument("<mountpoint>", "directory that a repository is mounted on")
    .action(
      action(io, async (context, [mountpoint = ""]) => {
        const { wasBusy } = await runUmount(mountpoint);
        if (context.global.json) void context.json({ message_type: "unmounted", busy: wasBusy });
        else if (wasBusy)
          context.print("It was in use: it is out of sight now, and ends when nobody uses it.");
        return undefined;
      }),
    );
}
