import type { Command } from "commander";
import { findInstallation, type Installation } from "../../commands/self-update.js";
import { YoreError } from "../../errors.js";
import { action } from "../command-context.js";
import type { Io } from "../output.js";

const KINDS: Readonly<Record<Installation["kind"], string>> = {
  git: "runs from a git checkout",
  "npm-global": "was installed by npm, for everybody",
  "npm-project": "was installed by npm, as a dependency",
  npx: "was fetched by npx",
  unknown: "was put there by hand or by another package manager",
};

export function registerSelfUpdate(program: Command, io: Io): void {
  program
    .command("self-update")
    .description(
      "say how yore was installed and what brings a newer one\n\nNothing is downloaded: what has installed the program also replaces it.",
    )
    .option("--output <file>", "restic's flag; refused, there is no single file to be written")
    .action(
      action<{ readonly output?: string }>(io, async (context, _args, flags) => {
        if (flags.output !== undefined)
          throw new YoreError(
            "not-supported",
            "Cannot write the new program to a file: yore is more than one file",
          );
        const found = findInstallation();
        const { version, folder, kind, commands, writable } = found;
        if (context.global.json) context.json({ message_type: "self_update", ...found });
        else io.stdout.line(`yore ${version} in ${folder} ${KINDS[kind]}.`);
        if (commands.length === 0)
          throw new YoreError("not-supported", "Cannot say how to update: nothing tells who installed yore", {
            hint: "use what has put it there",
          });
        if (context.global.json) return undefined;
        io.stdout.line(
          writable ? "To update it, run:" : "To update it, run as somebody who may write there:",
        );
        for (const command of commands) io.stdout.line(`  ${command}`);
        return undefined;
      }),
    );
}
