import type { Command } from "commander";
import { runInit } from "../../commands/init.js";
import { UsageError } from "../../errors.js";
import { action } from "../command-context.js";
import { type GlobalFlags, parseCount } from "../global-options.js";
import type { Io } from "../output.js";
import { resolveNewRepositoryOptions } from "../repository-options.js";
import { addSourceOptions, resolveSourceOptions, type SourceFlags } from "../source-options.js";

interface InitFlags extends SourceFlags {
  readonly repositoryVersion: string;
  readonly copyChunkerParams?: boolean;
}

export function registerInit(program: Command, io: Io): void {
  const command = program
    .command("init")
    .description("make a new repository; without --repo, the default one of this user")
    .option("--copy-chunker-params", "cut files as another repository does, so that copies deduplicate")
    .option("--repository-version <version>", 'format version: 1, 2, "stable" or "latest"', "stable");
  addSourceOptions(command, io, "source repository to copy chunker parameters from");
  command.action(
    action<InitFlags>(io, async (context, _args, flags) => {
      const version = parseVersion(flags.repositoryVersion);
      const source = resolveSourceOptions(flags, context.global.access, io);
      if (source && !flags.copyChunkerParams)
        throw new UsageError(
          "Secondary repository must only be specified when copying the chunker parameters",
        );
      if (!source && flags.copyChunkerParams)
        throw new UsageError(
          "Please specify a source repository location (--from-repo or --from-repository-file)",
        );
      const result = await runInit(
        {
          repository: {
            ...resolveNewRepositoryOptions(program.opts<GlobalFlags>(), io),
            ...context.global.access,
          },
          version,
          ...(source ? { copyChunkerFrom: source.options } : {}),
        },
        { signal: context.signal, onRetry: (event) => context.showRetry(event) },
      );
      if (context.global.json) {
        context.json({ message_type: "initialized", id: result.id, repository: result.location });
        return;
      }
      context.print(`created restic repository ${result.id.slice(0, 10)} at ${result.location}`);
      if (source) context.print(" with chunker parameters copied from secondary repository");
      context.print();
      context.print("Please note that knowledge of your password is required to access");
      context.print("the repository. Losing your password means that your data is");
      context.print("irrecoverably lost.");
    }),
  );
}

function parseVersion(text: string): 1 | 2 {
  if (text === "stable" || text === "latest" || text === "") return 2;
  const version = parseCount("--repository-version", text);
  if (version !== 1 && version !== 2)
    throw new UsageError(`Cannot make a repository of version ${version}: only versions 1 and 2 are known`);
  return version;
}
