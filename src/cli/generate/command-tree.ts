import type { Argument, Command, Option } from "commander";

/** What stands behind a flag or a command, as far as a shell can help with it. */
export type ValueKind = "nothing" | "text" | "file" | "directory" | readonly string[];

export interface FlagInfo {
  /** "-r"; "" when there is none. */
  readonly short: string;
  readonly long: string;
  readonly description: string;
  /** "repository", as the help shows it; "" for a switch. */
  readonly valueName: string;
  readonly value: ValueKind;
  /** The value may be left out, and is only taken after "=". */
  readonly optional: boolean;
}

/** One command, with those below it: what completions and man pages are made from. */
export interface CommandInfo {
  /** The words behind the program's name: "" for the program itself, "key add". */
  readonly path: string;
  readonly name: string;
  /** The first line of the description. */
  readonly summary: string;
  readonly description: string;
  /** "<snapshotID> [dir...]". */
  readonly usage: string;
  readonly arguments: readonly { readonly term: string; readonly description: string }[];
  /** What the arguments are. */
  readonly operand: ValueKind;
  /** Its own flags, without those of the commands above. */
  readonly flags: readonly FlagInfo[];
  readonly commands: readonly CommandInfo[];
}

/** Reads a program as commander holds it. Hidden commands and flags are left out. */
export function describeCommand(command: Command, parents: readonly string[] = []): CommandInfo {
  const words = command.parent ? [...parents, command.name()] : [];
  const below = command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== "help")
    .map((one) => describeCommand(one, words));
  const description = command.description();
  return {
    path: words.join(" "),
    name: command.name(),
    summary: description.split("\n", 1)[0] ?? "",
    description,
    usage: command.registeredArguments.map(argumentTerm).join(" "),
    arguments: command.registeredArguments.map((argument) => ({
      term: argumentTerm(argument),
      description: argument.description,
    })),
    operand: operandKind(command.registeredArguments),
    flags: command.options
      .filter((option) => !option.hidden)
      .map(describeFlag)
      .sort((a, b) => (a.long < b.long ? -1 : 1)),
    commands: [...below].sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

/** A command and all below it, parents first. */
export function flatten(command: CommandInfo): CommandInfo[] {
  return [command, ...command.commands.flatMap(flatten)];
}

/** The help flag, which commander keeps apart from the options. */
export const HELP_FLAG: FlagInfo = {
  short: "-h",
  long: "--help",
  description: "show help",
  valueName: "",
  value: "nothing",
  optional: false,
};

function describeFlag(option: Option): FlagInfo {
  const valueName = /[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1] ?? "";
  return {
    short: option.short ?? "",
    long: option.long ?? "",
    description: withDefault(option),
    valueName,
    value: flagValue(valueName, option.description),
    optional: option.optional,
  };
}

function withDefault({ description, defaultValue }: Option): string {
  const shown = typeof defaultValue === "string" || typeof defaultValue === "number";
  return shown && defaultValue !== "" ? `${description} (default: ${defaultValue})` : description;
}

/** Words with "|" between them, in the description or as the value's name, are all values that there are. */
function flagValue(valueName: string, description: string): ValueKind {
  if (valueName === "") return "nothing";
  const words = /(?<![\w|<])[a-z][\w-]*(?:\|[a-z][\w-]*)+/.exec(`${description} ${valueName}`)?.[0];
  if (words) return words.split("|");
  if (/^(file|filename\[:header\])$/.test(valueName)) return "file";
  return /^(directory|dir|folder|repository)$/.test(valueName) ? "directory" : "text";
}

function argumentTerm(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function operandKind(args: readonly Argument[]): ValueKind {
  const [first] = args;
  if (!first) return "nothing";
  if (first.name() === "path") return "file";
  if (first.name() === "mountpoint") return "directory";
  if (first.name() === "snapshotID") return ["latest"];
  // The description of a type lists the types.
  if (first.name() === "type") return first.description.split(", ");
  return "text";
}
