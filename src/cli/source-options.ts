import { type Command, Option } from "commander";
import type { RepositoryOptions } from "../commands/session.js";
import { UsageError } from "../errors.js";
import { addDeprecatedOption } from "./deprecated-option.js";
import { describeEnvironment, readEnvironment, type VariablePrefix, variableOf } from "./environment.js";
import type { RepositoryAccess } from "./global-options.js";
import type { Io } from "./output.js";
import type { RepositoryFlags } from "./repository-flags.js";
import { resolveRepositoryOptions } from "./repository-options.js";

/** The flags of a second repository of `init` and `copy`. */
export interface SourceFlags {
  readonly fromRepo?: string;
  readonly fromRepositoryFile?: string;
  readonly fromPasswordFile?: string;
  readonly fromPasswordCommand?: string;
  readonly fromInsecureNoPassword?: boolean;
  readonly fromKeyHint?: string;
  readonly repo2?: string;
  readonly repositoryFile2?: string;
  readonly passwordFile2?: string;
  readonly passwordCommand2?: string;
  readonly keyHint2?: string;
}

export interface SecondRepository {
  readonly options: RepositoryOptions;
  /** Named in the old way, `copy` copies to it: from the one that `--repo` names. */
  readonly isTarget: boolean;
}

/** Declares `--from-repo` and its companions, and `--repo2` and those of old, which no help shows. */
export function addSourceOptions(command: Command, io: Io, description: string): void {
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
  addDeprecatedOption(command, io, {
    flags: "--repo2 <repository>",
    instead: "use --repo or --from-repo instead",
  });
  addDeprecatedOption(command, io, {
    flags: "--repository-file2 <file>",
    instead: "use --repository-file or --from-repository-file instead",
  });
  // Of these, restic says nothing.
  for (const flag of ["password-file2", "password-command2", "key-hint2"])
    command.addOption(new Option(`--${flag} <value>`, "use --from-repo and the like instead").hideHelp());
}

/** @returns `undefined` when no second repository is named. @throws {UsageError} for contradictions */
export function resolveSourceOptions(
  flags: SourceFlags,
  access: RepositoryAccess,
  io: Io,
): SecondRepository | undefined {
  const now: NamedRepository = {
    repo: flags.fromRepo,
    repositoryFile: flags.fromRepositoryFile,
    passwordFile: flags.fromPasswordFile,
    passwordCommand: flags.fromPasswordCommand,
    insecureNoPassword: flags.fromInsecureNoPassword,
    keyHint: flags.fromKeyHint,
  };
  const once: NamedRepository = {
    repo: flags.repo2,
    repositoryFile: flags.repositoryFile2,
    passwordFile: flags.passwordFile2,
    passwordCommand: flags.passwordCommand2,
    keyHint: flags.keyHint2,
  };
  if (![now, once].some((one) => one.repo || one.repositoryFile) && !namesLocation(io)) return undefined;
  const [isNow, isOnce] = [saysAnything(now, "FROM_", io), saysAnything(once, "2", io)];
  if (isNow && isOnce)
    throw new UsageError("Option groups repo2 and from-repo are mutually exclusive, please specify only one");
  const [named, prefix] = isNow ? ([now, "FROM_"] as const) : ([once, "2"] as const);
  const hint = named.keyHint ?? readEnvironment(io.env, variableOf(prefix, "KEY_HINT"))?.value;
  return {
    options: { ...resolveRepositoryOptions(named, prefix, io), ...access, keyHint: hint },
    isTarget: isOnce,
  };
}

interface NamedRepository extends RepositoryFlags {
  readonly keyHint?: string | undefined;
}

const LOCATIONS = ["REPOSITORY", "REPOSITORY_FILE"];
const VARIABLES = [...LOCATIONS, "PASSWORD_FILE", "PASSWORD_COMMAND", "KEY_HINT"];

function namesLocation({ env }: Io): boolean {
  return (["FROM_", "2"] as const).some((prefix) =>
    LOCATIONS.some((suffix) => readEnvironment(env, variableOf(prefix, suffix))),
  );
}

function saysAnything(flags: NamedRepository, prefix: VariablePrefix, { env }: Io): boolean {
  return (
    Object.values(flags).some((value) => value !== undefined && value !== "" && value !== false) ||
    VARIABLES.some((suffix) => readEnvironment(env, variableOf(prefix, suffix)))
  );
}
