/**
 * Which repository is meant, and by which password it opens. There may be two (`--from-...` of `copy` and `init`), so
 * everything here takes what stands in the names of its variables.
 */

import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { systemPath } from "../bytes/system-path.js";
import { textKeepingBytes } from "../bytes/utf8.js";
import type { RepositoryOptions } from "../commands/session.js";
import { messageOf, systemCodeOf, UsageError, type YoreError } from "../errors.js";
import { type Environment, origins, type VariablePrefix, variableOf } from "./environment.js";
import type { Io } from "./output.js";
import { passwordSource } from "./password.js";
import { variableText } from "./raw-bytes.js";
import type { RepositoryFlags } from "./repository-flags.js";
import { decodeTextBytes, trimBytes } from "./text-file.js";

/** @throws {UsageError} if no repository is named, or two */
export function resolveRepositoryOptions(
  flags: RepositoryFlags,
  prefix: VariablePrefix,
  io: Io,
): RepositoryOptions {
  const location =
    namedLocation(flags, prefix, io.env) ?? (prefix === "" ? existingDefault(io.env) : undefined);
  if (location === undefined) throw noRepositoryNamed(prefix);
  return { location, password: passwordSource(flags, prefix, io) };
}

/** As `resolveRepositoryOptions`, but for a repository that does not exist yet. */
export function resolveNewRepositoryOptions(flags: RepositoryFlags, io: Io): RepositoryOptions {
  const location = namedLocation(flags, "", io.env) ?? defaultRepositoryPath(io.env);
  return { location, password: passwordSource(flags, "", io, { isNew: true }) };
}

/** Where `yore init` makes a repository when none is named. */
function defaultRepositoryPath(env: Environment): string {
  return join(env["XDG_DATA_HOME"] || join(env["HOME"] || homedir(), ".local/share"), "yore/repository");
}

/** @throws {UsageError} when what should name it is empty: the default one must not stand in for it */
function namedLocation(flags: RepositoryFlags, prefix: VariablePrefix, env: Environment): string | undefined {
  const named = { repo: flags.repo, file: flags.repositoryFile };
  const all = origins(
    named,
    env,
    (get, nameOf) => ({
      repo: variableText(nameOf("REPOSITORY"), get("REPOSITORY")),
      file: variableText(nameOf("REPOSITORY_FILE"), get("REPOSITORY_FILE")),
    }),
    prefix,
  );
  const isGiven = named.repo !== undefined || named.file !== undefined;
  const { repo, file } = (isGiven ? [named] : all).find((one) => one.repo || one.file) ?? {};
  if (repo && file) {
    const [from, two] = [prefix === "FROM_" ? "from-" : "", prefix === "2" ? "2" : ""];
    throw new UsageError(
      `Options --${from}repo${two} and --${from}repository-file${two} are mutually exclusive, please specify only one`,
    );
  }
  if (file) return readLocationFile(file);
  if (!repo && (isGiven || hasEmptyVariable(env, prefix))) throw noRepositoryNamed(prefix);
  return repo || undefined;
}

function hasEmptyVariable(env: Environment, prefix: VariablePrefix): boolean {
  return ["REPOSITORY", "REPOSITORY_FILE"].some((suffix) =>
    ["YORE_", "RESTIC_"].some((program) => env[`${program}${variableOf(prefix, suffix)}`] === ""),
  );
}

function readLocationFile(path: string): string {
  try {
    const text = textKeepingBytes(trimBytes(decodeTextBytes(readFileSync(systemPath(path)))));
    if (text === "") throw new UsageError("it is empty");
    return text;
  } catch (error) {
    const reason = systemCodeOf(error) === "ENOENT" ? "it does not exist" : messageOf(error);
    throw new UsageError(`Cannot read repository location from "${path}": ${reason}`, { cause: error });
  }
}

function existingDefault(env: Environment): string | undefined {
  const path = defaultRepositoryPath(env);
  return existsSync(join(path, "config")) ? path : undefined;
}

function noRepositoryNamed(prefix: VariablePrefix): YoreError {
  if (prefix !== "")
    return new UsageError(
      "Please specify a source repository location (--from-repo or --from-repository-file)",
    );
  return new UsageError("Please specify repository location (-r or --repository-file)", {
    hint: "Name one with --repo or YORE_REPOSITORY, or make one in your home directory with: yore init",
  });
}
