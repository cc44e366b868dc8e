import type { Command } from "commander";
import { loadPatterns } from "../commands/load-patterns.js";
import type { PatternList } from "../patterns/mod.js";
import { collect } from "./global-options.js";

type PatternVerb = "exclude" | "include";

/** A family of pattern flags as commander names them, each of which can be repeated. */
export type PatternFlags<Verb extends PatternVerb> = {
  readonly [Flag in Verb | `i${Verb}` | `${Verb}File` | `i${Verb}File`]?: string[];
};

/** Declares `--exclude` or `--include`, the variant that ignores case, and both again for files of patterns. */
export function addPatternFlags(command: Command, verb: PatternVerb): void {
  const short = verb === "exclude" ? "-e" : "-i";
  command
    .option(`${short}, --${verb} <pattern>`, `${verb} a pattern (repeatable)`, collect)
    .option(`--i${verb} <pattern>`, `as --${verb}, but without regard to case`, collect)
    .option(`--${verb}-file <file>`, `${verb} the patterns of a file (repeatable)`, collect)
    .option(`--i${verb}-file <file>`, `as --${verb}-file, but without regard to case`, collect);
}

/**
 * The lists of a family of flags that was given. An empty pattern matches nothing, as with restic: `--include ""` is not the same
 * as no `--include` at all, which would restore everything when a variable of a script is empty.
 *
 * @param environment for the variables in files of patterns
 * @param withEmptyFiles whether a file without patterns counts as well; for restic's `restore` it is as if it was not named
 * @throws {UsageError} for a pattern that is none, or a file that cannot be read
 */
export async function resolvePatternFlags(
  verb: PatternVerb,
  flags: PatternFlags<PatternVerb>,
  environment: Readonly<Record<string, string | undefined>>,
  withEmptyFiles = false,
): Promise<PatternList[]> {
  const load = async (flag: PatternVerb | `i${PatternVerb}`, ignoreCase: boolean) => {
    const patterns = flags[flag] ?? [];
    const files = flags[`${flag}File`] ?? [];
    const { list } = await loadPatterns({ flag: `--${flag}`, patterns, files, ignoreCase }, environment);
    const isGiven = patterns.length > 0 || (withEmptyFiles && files.length > 0);
    return isGiven || list.length > 0 ? [list] : [];
  };
  return [...(await load(verb, false)), ...(await load(`i${verb}`, true))];
}
