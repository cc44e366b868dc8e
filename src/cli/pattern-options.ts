import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { append } from "../bytes/append.js";
import { systemPath } from "../bytes/system-path.js";
import { messageOf, UsageError } from "../errors.js";
import { type PatternList, parsePatternFile, parsePatterns } from "../patterns/mod.js";
import { collect } from "./global-options.js";
import type { Io } from "./output.js";

/** Values of a family of pattern flags, each of which can be repeated. */
export interface PatternFlags {
  readonly plain?: readonly string[] | undefined;
  readonly ignoringCase?: readonly string[] | undefined;
  readonly files?: readonly string[] | undefined;
  readonly filesIgnoringCase?: readonly string[] | undefined;
}

/** Declares `--exclude` or `--include`, the variant that ignores case, and both again for files of patterns. */
export function addPatternFlags(command: Command, verb: "exclude" | "include"): void {
  const short = verb === "exclude" ? "-e" : "-i";
  command
    .option(`${short}, --${verb} <pattern>`, `${verb} a pattern (repeatable)`, collect)
    .option(`--i${verb} <pattern>`, `as --${verb}, but without regard to case`, collect)
    .option(`--${verb}-file <file>`, `${verb} the patterns of a file (repeatable)`, collect)
    .option(`--i${verb}-file <file>`, `as --${verb}-file, but without regard to case`, collect);
}

/**
 * The lists of a family of flags; those that are empty are left out.
 *
 * @throws {UsageError} for a pattern that is none, or a file that cannot be read
 */
export async function resolvePatternFlags(
  verb: "exclude" | "include",
  flags: PatternFlags,
  io: Io,
): Promise<PatternList[]> {
  const lists = [
    await resolveList(`--${verb}`, { patterns: flags.plain, files: flags.files }, io),
    await resolveList(
      `--i${verb}`,
      { patterns: flags.ignoringCase, files: flags.filesIgnoringCase, ignoreCase: true },
      io,
    ),
  ];
  return lists.filter((list) => list.length > 0);
}

interface PatternSources {
  readonly patterns: readonly string[] | undefined;
  readonly files: readonly string[] | undefined;
  readonly ignoreCase?: boolean;
}

async function resolveList(
  flag: string,
  { patterns = [], files = [], ignoreCase = false }: PatternSources,
  io: Io,
): Promise<PatternList> {
  const texts = [...patterns];
  const sources = patterns.map((pattern) => `${flag} "${pattern}"`);
  for (const path of files) {
    const read = await readPatternFile(`${flag}-file`, path, io);
    append(texts, read);
    append(
      sources,
      read.map((pattern) => `${flag}-file "${path}": "${pattern}"`),
    );
  }
  return parsePatterns(texts, { ignoreCase, sources });
}

async function readPatternFile(flag: string, path: string, io: Io): Promise<string[]> {
  try {
    return parsePatternFile(await readFile(systemPath(path)), io.env);
  } catch (cause) {
    throw new UsageError(`Cannot read the pattern file "${path}" of ${flag}: ${messageOf(cause)}`, { cause });
  }
}
