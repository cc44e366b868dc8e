/**
 * Reads command lines the way restic's do (Go's pflag and cobra), and hands them to commander in the one form that
 * both understand: command words, then `--flag=value` for every flag, then `--`, then the rest.
 *
 * That covers what commander reads differently: `-r=repo`, `--json=false`, `-vv` and `-v=2`, flags before the command,
 * a flag given twice, a value that starts with a dash. Unknown flags and commands are refused here, with a suggestion.
 */

import type { Command, Option } from "commander";
import { append } from "../bytes/append.js";
import { UsageError } from "../errors.js";
import { invalidArgument } from "./invalid-argument.js";
import { knownBytes } from "./known-bytes.js";
import { nearestWord } from "./nearest-word.js";

/** Commander's preset of a flag whose value is optional and only taken after "=": one more. */
export const ONE_MORE = "+1";

/** @throws {UsageError} for unknown commands and flags, missing values and values of the wrong kind */
export function normaliseArguments(program: Command, argv: readonly string[]): string[] {
  const { command, words, rest } = findCommand(program, argv);
  const flags: string[] = [];
  const positionals: string[] = [];
  const switches = new Map<Option, boolean>();
  // The next one last: of 90,000 names, taking the first from the front costs 8 s.
  const tokens = rest.reverse();
  for (let token = tokens.pop(); token !== undefined; token = tokens.pop()) {
    if (token === "--") {
      append(positionals, tokens.reverse());
      break;
    }
    if (token === "-" || !token.startsWith("-")) {
      positionals.push(token);
      continue;
    }
    for (const { option, value } of readFlag(command, token, tokens)) {
      if (option === "help") return [...words, "--help"];
      if (isSwitch(option)) switches.set(option, value === undefined || parseSwitch(option, value));
      else flags.push(`${option.long}=${value === undefined ? ONE_MORE : knownBytes(option, value)}`);
    }
  }
  for (const [option, on] of switches) if (on) flags.push(option.long ?? "");
  return [...words, ...flags, "--", ...positionals];
}

interface FoundCommand {
  readonly command: Command;
  /** The command's name, and its parent's before it. */
  readonly words: string[];
  /** Everything but the words. */
  readonly rest: string[];
}

/** Finds the command among the arguments; flags may stand before it. */
function findCommand(program: Command, argv: readonly string[]): FoundCommand {
  let command = program;
  const words: string[] = [];
  const rest: string[] = [];
  const tokens = [...argv];
  while (command.commands.length > 0) {
    const token = tokens.shift();
    if (token === undefined || token === "--") {
      if (token) rest.push(token);
      break;
    }
    rest.push(token);
    if (token !== "-" && token.startsWith("-")) {
      if (takesNextToken(program, token) && tokens.length > 0) rest.push(tokens.shift()!);
      continue;
    }
    const found = command.commands.find((one) => one.name() === token || one.aliases().includes(token));
    if (!found) {
      // A group such as `key` says itself what it wants; an unknown first word can be nothing but a mistake.
      throw unknownCommand(command, token);
    }
    rest.pop();
    command = found;
    words.push(found.name());
  }
  return { command, words, rest: [...rest, ...tokens] };
}

function unknownCommand(parent: Command, word: string): UsageError {
  const names = parent
    .createHelp()
    .visibleCommands(parent)
    .flatMap((one) => [one.name(), ...one.aliases()]);
  const nearest = nearestWord(word, names);
  return new UsageError(`unknown command "${word}" for "${commandPath(parent)}"`, {
    hint: nearest ? `Did you mean "${nearest}"?` : `"${commandPath(parent)} --help" lists the commands`,
  });
}

/** "yore key add" */
function commandPath(command: Command): string {
  return command.parent ? `${commandPath(command.parent)} ${command.name()}` : command.name();
}

/** Whether a flag that stands before the command has its value in the next argument. */
function takesNextToken(program: Command, token: string): boolean {
  if (token.includes("=")) return false;
  const everywhere = [program, ...program.commands];
  if (token.startsWith("--")) {
    return everywhere.some((one) => one.options.some((option) => option.long === token && option.required));
  }
  const position = [...token.slice(1)].findIndex((letter) =>
    everywhere.some((one) => one.options.some((option) => option.short === `-${letter}` && option.required)),
  );
  // In a cluster, the first flag that wants a value takes what follows it in the same argument.
  return position >= 0 && position === token.length - 2;
}

interface ReadFlag {
  readonly option: Option | "help";
  readonly value: string | undefined;
}

/**
 * Reads one argument that starts with a dash, and its value from the next one where there is need.
 *
 * @param tokens what follows, the next one last
 */
function readFlag(command: Command, token: string, tokens: string[]): ReadFlag[] {
  if (token.startsWith("--")) {
    const equals = token.indexOf("=");
    const name = equals < 0 ? token : token.slice(0, equals);
    const option = findOption(command, name);
    if (!option) throw unknownFlag(command, name);
    if (equals >= 0) return [{ option, value: token.slice(equals + 1) }];
    return [{ option, value: needsValue(option) ? nextValue(name, tokens) : undefined }];
  }
  const found: ReadFlag[] = [];
  for (let at = 1; at < token.length; at++) {
    const name = `-${token[at]}`;
    const option = findOption(command, name);
    if (!option) throw unknownFlag(command, name, token);
    const behind = token.slice(at + 1);
    if (behind.startsWith("=")) return [...found, { option, value: behind.slice(1) }];
    if (!needsValue(option)) {
      found.push({ option, value: undefined });
      continue;
    }
    return [...found, { option, value: behind || nextValue(name, tokens) }];
  }
  return found;
}

function nextValue(name: string, tokens: string[]): string {
  const value = tokens.pop();
  if (value === undefined) throw new UsageError(`flag needs an argument: ${name}`);
  return value;
}

function findOption(command: Command, name: string): Option | "help" | undefined {
  if (name === "--help" || name === "-h") return "help";
  for (let at: Command | null = command; at; at = at.parent) {
    const option = at.options.find((one) => one.long === name || one.short === name);
    if (option) return option;
  }
  return undefined;
}

function unknownFlag(command: Command, name: string, cluster = name): UsageError {
  const known: string[] = [];
  for (let at: Command | null = command; at; at = at.parent) {
    for (const option of at.options) if (option.long && !option.hidden) known.push(option.long);
  }
  const nearest = name.startsWith("--") ? nearestWord(name, known) : undefined;
  const where = cluster === name ? "" : ` in ${cluster}`;
  return new UsageError(`unknown flag: ${name}${where}`, {
    hint: nearest ? `Did you mean "${nearest}"?` : `"${commandPath(command)} --help" lists the flags`,
  });
}

function needsValue(option: Option | "help"): boolean {
  return option !== "help" && option.required;
}

function isSwitch(option: Option): boolean {
  return !option.required && !option.optional;
}

/** The words that Go takes for true and false. */
function parseSwitch(option: Option, value: string): boolean {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(value)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(value)) return false;
  throw invalidArgument(option.long!, value, "only true or false can be meant");
}
