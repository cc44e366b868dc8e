import { EXIT_CODES_HELP } from "../help.js";
import { type CommandInfo, type FlagInfo, flatten, HELP_FLAG } from "./command-tree.js";

export interface ManPage {
  /** "yore-key-add.1". */
  readonly filename: string;
  /** In the `man` macros of roff. */
  readonly text: string;
}

/** A man page for the program and for every command. */
export function manPages(program: CommandInfo, version: string): ManPage[] {
  return flatten(program).map((command) => ({
    filename: `${pageName(command)}.1`,
    text: manPage(command, program, version),
  }));
}

function manPage(command: CommandInfo, program: CommandInfo, version: string): string {
  const name = pageName(command);
  const [summary = "", ...more] = command.description.split("\n");
  const sections = [
    `.TH ${quote(name.toUpperCase())} 1 "" ${quote(`yore ${version}`)} "yore manual"`,
    `.SH NAME\n${roff(name)} \\- ${roff(summary)}`,
    `.SH SYNOPSIS\n.B ${roff(`yore ${command.path}`.trim())}\n${roff(synopsis(command))}`,
    ...(more.join("").trim() ? [`.SH DESCRIPTION\n${paragraphs(more.join("\n"))}`] : []),
    ...list(
      "ARGUMENTS",
      command.arguments.map(({ term, description }) => item(roff(term), description)),
    ),
    ...list(
      "COMMANDS",
      command.commands.map((one) => item(roff(one.name), one.summary)),
    ),
    ...list("FLAGS", [HELP_FLAG, ...(command === program ? [] : command.flags)].map(flagItem)),
    ...(command === program ? list("GLOBAL FLAGS", program.flags.map(flagItem)) : []),
    ...(command === program ? exitCodes() : []),
    `.SH SEE ALSO\n${seeAlso(command, program)}`,
  ];
  return `${sections.join("\n")}\n`;
}

function pageName({ path }: CommandInfo): string {
  return `yore ${path}`.trim().replaceAll(" ", "-");
}

function synopsis({ commands, usage }: CommandInfo): string {
  return commands.length > 0 ? "[command] [flags]" : `[flags] ${usage}`.trim();
}

function list(title: string, items: readonly string[]): string[] {
  return items.length > 0 ? [`.SH ${title}\n${items.join("\n")}`] : [];
}

function item(term: string, text: string): string {
  return `.TP\n${term}\n${text === "" ? "\\&" : roff(text.replaceAll("\n", " "))}`;
}

function flagItem({ short, long, valueName, optional, description }: FlagInfo): string {
  const bold = [short, long].filter((name) => name !== "").map((name) => `\\fB${roff(name)}\\fR`);
  const value =
    valueName === "" ? "" : optional ? `[=\\fI${roff(valueName)}\\fR]` : ` \\fI${roff(valueName)}\\fR`;
  return item(`${bold.join(", ")}${value}`, description);
}

/** The lines "  10   meaning" of the help. */
function exitCodes(): string[] {
  const codes = [...EXIT_CODES_HELP.matchAll(/^ {2}(\d+) +(.+)$/gm)];
  return list(
    "EXIT STATUS",
    codes.map(([, code = "", meaning = ""]) => item(code, meaning)),
  );
}

function seeAlso(command: CommandInfo, program: CommandInfo): string {
  const others = command === program ? program.commands : [program, ...command.commands];
  return others
    .map((one) => `.BR ${roff(pageName(one))} (1)`)
    .join(",\n")
    .replaceAll("(1),\n", "(1),\n");
}

function paragraphs(text: string): string {
  return text
    .trim()
    .split(/\n{2,}/)
    .map((paragraph) => roff(paragraph.replaceAll("\n", " ")))
    .join("\n.PP\n");
}

/** Text that roff shows as it is: no line starts a request, a dash stays one that can be copied. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("`", "\\(ga")
    .replace(/^(?=[.'])/gm, "\\&");
}

function quote(text: string): string {
  return `"${roff(text).replaceAll('"', "\\(dq")}"`;
}
