import { UsageError } from "../errors.js";

/**
 * The environment as the command line reads it. Every `RESTIC_<NAME>` has a twin `YORE_<NAME>`, and the twin wins, so
 * that both programs can live in one shell. A variable that is empty counts as not set, as with restic.
 */

export type Environment = Readonly<Record<string, string | undefined>>;

/** A value and the variable that it came from, for messages. */
export interface EnvironmentValue {
  readonly name: string;
  readonly value: string;
}

/** Reads `YORE_<suffix>`, else `RESTIC_<suffix>`. */
export function readEnvironment(env: Environment, suffix: string): EnvironmentValue | undefined {
  for (const name of [`YORE_${suffix}`, `RESTIC_${suffix}`]) {
    const value = env[name];
    if (value) return { name, value };
  }
  return undefined;
}

/** The words that Go takes for true and false. */
export function parseBoolean(text: string): boolean | undefined {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}

/** A variable that switches something on. @throws {UsageError} when it says neither yes nor no */
export function readSwitch(env: Environment, suffix: string): boolean {
  const found = readEnvironment(env, suffix);
  const on = found ? parseBoolean(found.value) : false;
  if (on === undefined) throw new UsageError(`invalid value "${found?.value}" for $${found?.name}`);
  return on;
}

/** How the help names the variables of a flag. */
export function describeEnvironment(suffix: string): string {
  return `$YORE_${suffix}, $RESTIC_${suffix}`;
}

/** The environment without our own variables: what children get, so that no password leaks into them. */
export function environmentForChildren(env: Environment): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(RESTIC|YORE)_/.test(name)));
}

/**
 * What stands in the names of a repository's variables: nothing for the one that a command is about, `FROM_` in front for
 * the second one of `copy` and `init`, and `2` behind where that is named as it once was.
 */
export type VariablePrefix = "" | "FROM_" | "2";

/** The name of a variable without the program in front. */
export function variableOf(prefix: VariablePrefix, suffix: string): string {
  return prefix === "2" ? `${suffix}2` : `${prefix}${suffix}`;
}

/**
 * What the three origins say about one thing, in the order in which they count: the flags, `YORE_*`, `RESTIC_*`. Taken
 * whole, because a password file of one origin and a password command of another are no contradiction.
 */
export function origins<T>(
  fromFlags: T,
  env: Environment,
  read: (get: (suffix: string) => string | undefined, nameOf: (suffix: string) => string) => T,
  prefix: VariablePrefix,
): T[] {
  const readOf = (program: string) => {
    const nameOf = (suffix: string) => `${program}${variableOf(prefix, suffix)}`;
    return read((suffix) => env[nameOf(suffix)] || undefined, nameOf);
  };
  return [fromFlags, readOf("YORE_"), readOf("RESTIC_")];
}
