import type { Command } from "commander";
import type { RepositoryOptions } from "../commands/session.js";
import { describeEnvironment, readEnvironment } from "./environment.js";
import type { RepositoryAccess } from "./global-options.js";
import type { Io } from "./output.js";
import { resolveRepositoryOptions } from "./repository-options.js";

/** The flags of a second repository, which `init` and `copy` read from. */
export interface SourceFlags {
  readonly fromRepo?: string;
  readonly fromRepositoryFile?: string;
  readonly fromPasswordFile?: string;
  readonly fromPasswordCommand?: string;
  readonly fromInsecureNoPassword?: boolean;
  readonly fromKeyHint?: string;
}

/** Declares `--from-repo` and its companions. */
export function addSourceOptions(command: Command, description: string): void {
  const from = (suffix: string) => `(default: ${describeEnvironment(`FROM_${suffix}`)})`;
  command
    .option("--from-repo <repository>", `${description} ${from("REPOSITORY")}`)
    .option("--from-repository-file <file>", `file to read that location from ${from("REPOSITORY_FILE")}`)
    .option("--from-password-file <file>", `file to read its password from ${from("PASSWORD_FILE")}`)
    .option(
      "--from-password-command <command>",
      `command that prints its password ${from("PASSWORD_COMMAND")}`,
    )
    .option("--from-key-hint <key>", `ID of its key to try first ${from("KEY_HINT")}`)
    .option("--from-insecure-no-password", "it has an empty password (insecure)");
}

/** @returns `undefined` when no second repository is named. @throws {UsageError} for contradictions */
export function resolveSourceOptions(
  flags: SourceFlags,
  access: RepositoryAccess,
  io: Io,
): RepositoryOptions | undefined {
  const named =
    flags.fromRepo ||
    flags.fromRepositoryFile ||
    ["REPOSITORY", "REPOSITORY_FILE"].some((suffix) => readEnvironment(io.env, `FROM_${suffix}`)) ||
    io.env["RESTIC_REPOSITORY2"] ||
    io.env["RESTIC_REPOSITORY_FILE2"];
  if (!named) return undefined;
  const options = resolveRepositoryOptions(
    {
      repo: flags.fromRepo,
      repositoryFile: flags.fromRepositoryFile,
      passwordFile: flags.fromPasswordFile,
      passwordCommand: flags.fromPasswordCommand,
      insecureNoPassword: flags.fromInsecureNoPassword,
    },
    "FROM_",
    io,
  );
  const hint =
    flags.fromKeyHint ?? readEnvironment(io.env, "FROM_KEY_HINT")?.value ?? io.env["RESTIC_KEY_HINT2"];
  return { ...options, ...access, keyHint: hint };
}
