import { readFile } from "node:fs/promises";
import { append } from "../bytes/append.js";
import { systemPath } from "../bytes/system-path.js";
import { messageOf, UsageError } from "../errors.js";
import { type PatternList, parsePatternFile, parsePatterns } from "../patterns/mod.js";

type Environment = Readonly<Record<string, string | undefined>>;

export interface PatternsWanted {
  /** The flag that patterns come with, as people type it: `--exclude`. Files of patterns come with `--exclude-file`. */
  readonly flag: string;
  readonly patterns?: readonly string[] | undefined;
  /** Paths of files of patterns. */
  readonly files?: readonly string[] | undefined;
  /** Compare without regard to case; false when left out. */
  readonly ignoreCase?: boolean;
}

export interface LoadedPatterns {
  readonly list: PatternList;
  /** Of each pattern of the list, where it was said, as people read it: `--exclude "*.o"`. */
  readonly sources: readonly string[];
}

/**
 * Patterns of a flag and of the files that are named beside it, in this order; empty ones are left out.
 *
 * @param environment for the variables in files
 * @throws {UsageError} for a pattern that is none, or a file that cannot be read
 */
export async function loadPatterns(
  { flag, patterns = [], files = [], ignoreCase = false }: PatternsWanted,
  environment: Environment,
): Promise<LoadedPatterns> {
  const isSaid = (pattern: string) => pattern !== "";
  const texts = patterns.filter(isSaid);
  const sources = texts.map((pattern) => `${flag} "${pattern}"`);
  for (const path of files) {
    const read = (await readPatternFile(`${flag}-file`, path, environment)).filter(isSaid);
    append(texts, read);
    append(
      sources,
      read.map((pattern) => `${flag}-file "${path}": "${pattern}"`),
    );
  }
  return { list: parsePatterns(texts, { ignoreCase, sources }), sources };
}

async function readPatternFile(flag: string, path: string, environment: Environment): Promise<string[]> {
  try {
    return parsePatternFile(await readFile(systemPath(path)), environment);
  } catch (cause) {
    throw new UsageError(`Cannot read the pattern file "${path}" of ${flag}: ${messageOf(cause)}`, { cause });
  }
}
