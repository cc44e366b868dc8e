import type { Command } from "commander";
import { YoreError } from "../../errors.js";
import { acceptAnything } from "../arguments.js";
import type { Io } from "../output.js";

/** What restic has; those that yore does not have yet say so instead of "unknown command". */
const COMMANDS_OF_RESTIC = [
  "backup cache cat check copy diff dump features find forget generate init key list ls migrate mount options prune",
  "recover repair restore rewrite self-update snapshots stats tag unlock version",
]
  .join(" ")
  .split(" ");

/** Must be called after all others. */
export function registerUnsupported(program: Command, _io: Io): void {
  const known = new Set(program.commands.map((command) => command.name()));
  for (const name of COMMANDS_OF_RESTIC.filter((one) => !known.has(one))) {
    const command = program.command(name, { hidden: true }).description("not supported yet");
    acceptAnything(command);
    command.action(() => {
      throw new YoreError("not-supported", `Cannot run "${name}": the command is not supported yet`, {
        hint: "restic can run it on the same repository",
      });
    });
  }
}
