import { type Command, Help, type Option } from "commander";

/** How help looks: flags under their own headings, commands by name alone, and where a default comes from. */
export class YoreHelp extends Help {
  override showGlobalOptions = true;
  override sortSubcommands = true;
  override sortOptions = true;

  /** Of a program, the commands come before the flags: they are what one looks for first. */
  override formatHelp(command: Command, helper: Help): string {
    const sections = super
      .formatHelp(command, helper)
      .trimEnd()
      .split(/\n\n(?=\S)/);
    const commands = sections.findIndex((section) => section.startsWith("Commands:"));
    const flags = sections.findIndex((section) => section.startsWith("Flags:"));
    if (commands > flags && flags >= 0) sections.splice(flags, 0, ...sections.splice(commands, 1));
    return `${sections.join("\n\n")}\n`;
  }

  override commandUsage(command: Command): string {
    return super.commandUsage(command).replace("[options]", "[flags]");
  }

  override subcommandTerm(command: Command): string {
    return command.name();
  }

  /** The first line is the summary; the rest is for the command's own help. */
  override subcommandDescription(command: Command): string {
    return super.subcommandDescription(command).split("\n", 1)[0] ?? "";
  }

  override optionDescription(option: Option): string {
    const fallback = option.defaultValue;
    const shown = typeof fallback === "string" || typeof fallback === "number";
    if (!shown || fallback === "") return option.description;
    return `${option.description} (default: ${option.defaultValueDescription ?? fallback})`;
  }

  override styleTitle(title: string): string {
    return title.replace(/^Options:$/, "Flags:").replace(/^Global Options:$/, "Global flags:");
  }
}

/** Stands below the help of the program. */
export const EXIT_CODES_HELP = `
Exit codes:
  0    success
  1    failure
  3    done, but not all of it: some files could not be read, some snapshots not removed
  10   the repository does not exist
  11   the repository is locked
  12   wrong password
  130  interrupted
  141  whoever read the output went away

"yore [command] --help" tells more about a command.`;
