import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { runVersion } from "../../commands/version.js";
import { UsageError } from "../../errors.js";
import { action } from "../command-context.js";
import { bashCompletion } from "../generate/bash-completion.js";
import { describeCommand } from "../generate/command-tree.js";
import { fishCompletion } from "../generate/fish-completion.js";
import { manPages } from "../generate/man-page.js";
import { powershellCompletion } from "../generate/powershell-completion.js";
import { zshCompletion } from "../generate/zsh-completion.js";
import type { Io } from "../output.js";

interface GenerateFlags {
  readonly bashCompletion?: string;
  readonly fishCompletion?: string;
  readonly man?: string;
  readonly powershellCompletion?: string;
  readonly zshCompletion?: string;
}

const COMPLETIONS = [
  { flag: "bashCompletion", shell: "bash", make: bashCompletion },
  { flag: "fishCompletion", shell: "fish", make: fishCompletion },
  { flag: "powershellCompletion", shell: "powershell", make: powershellCompletion },
  { flag: "zshCompletion", shell: "zsh", make: zshCompletion },
] as const;

export function registerGenerate(program: Command, io: Io): void {
  program
    .command("generate")
    .description("write completions for shells, and man pages")
    .option("--bash-completion <file>", "write the completion for bash, to standard output with -")
    .option("--fish-completion <file>", "the same for fish")
    .option("--man <directory>", "write man pages into a directory")
    .option("--powershell-completion <file>", "the same as --bash-completion for PowerShell")
    .option("--zsh-completion <file>", "the same for zsh")
    .action(
      action<GenerateFlags>(io, async (context, _args, flags) => {
        // The program that runs has loaded this command alone.
        const { createProgram } = await import("../program.js");
        const described = describeCommand(await createProgram(io));
        const wanted = COMPLETIONS.filter(({ flag }) => flags[flag] !== undefined);
        if (wanted.length === 0 && flags.man === undefined)
          throw new UsageError("nothing to do, please specify at least one output file or directory");
        const toStdout = wanted.filter(({ flag }) => flags[flag] === "-");
        if (toStdout.length > 1)
          throw new UsageError("the command supports only one output to standard output at a time");
        if (toStdout.length > 0 && context.global.json)
          throw new UsageError("--json and a completion on standard output cannot be used together");
        const say = (type: string, path: string, text: string) => {
          if (context.global.json) context.json({ message_type: "written", type, path });
          else if (toStdout.length === 0) context.print(text);
        };
        if (flags.man !== undefined) {
          say("man", flags.man, `writing man pages to directory ${flags.man}`);
          for (const { filename, text } of manPages(described, (await runVersion()).yore))
            await writeFile(join(flags.man, filename), text);
        }
        for (const { flag, shell, make } of wanted) {
          const file = flags[flag]!;
          if (file === "-") await io.stdout.write(make(described));
          else {
            say(shell, file, `writing ${shell} completion file to ${file}`);
            await writeFile(file, make(described));
          }
        }
        return undefined;
      }),
    );
}
