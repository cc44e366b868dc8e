/**
 * The command line: all commands under one program, and what happens around each of them.
 *
 * To add a command `foo`:
 *
 * 1. `src/commands/foo.ts` does the work: `runFoo(session, options, watch)`, typed options in, typed result out. It
 *    prints nothing and knows no flag.
 * 2. `src/cli/commands/foo.ts` exports `registerFoo(program, io)`, which declares the flags and renders:
 *
 *    ```ts
 *    export function registerFoo(program: Command, io: Io): void {
 *      program
 *        .command("foo")
 *        .description("do something to snapshots")
 *        .argument("[snapshotID...]")
 *        .option("-n, --dry-run", "only say what would be done")
 *        .action(
 *          action<FooFlags>(io, async (context, args, flags) => {
 *            const result = await context.withSession({ lock: "shared" }, async (session) => {
 *              const progress = context.startProgress(() => [`${counters.done} packs`], () => ({ ... }));
 *              try {
 *                return await runFoo(session, { dryRun: flags.dryRun === true }, { signal: session.signal, progress: counters });
 *              } finally {
 *                progress.stop();
 *              }
 *            });
 *            if (context.global.json) context.json(result);
 *            else context.print(`done: ${result.count}`);
 *            return result.incomplete ? EXIT_INCOMPLETE : EXIT_SUCCESS; // nothing returned means success
 *          }),
 *        );
 *    }
 *    ```
 *
 * 3. One line in `src/cli/commands/mod.ts`, which loads it when it is named.
 *
 * Flags are read as restic reads them (`arguments.ts`); values of flags that may be repeated are gathered with
 * `collect`. Whatever is thrown becomes one message on stderr and an exit code (`exit-code.ts`); throw a `UsageError`
 * for what the user asked wrongly. `context.global` has the global options; `context.print` prints unless `--quiet`,
 * `context.io.stdout.line` always; `context.warn` writes to stderr; `context.verbose(2, ...)` only with `-v`.
 * Names from a repository are shown by `terminal-text.ts`, never raw.
 */

import { Command, CommanderError } from "commander";
import { append } from "../bytes/append.js";
import { isFull, messageOf, UsageError, YoreError } from "../errors.js";
import { normaliseArguments } from "./arguments.js";
import { exitStatusOf } from "./command-context.js";
import { commandsAmong, registerCommands } from "./commands/mod.js";
import { EXIT_BROKEN_PIPE, EXIT_FAILURE, EXIT_SUCCESS, exitCodeOf, failureText } from "./exit-code.js";
import { addGlobalOptions } from "./global-options.js";
import { EXIT_CODES_HELP, YoreHelp } from "./help.js";
import type { Io } from "./output.js";

/**
 * All commands, or those of some names, ready to parse; also what the help and the shell completions are made from.
 */
export async function createProgram(io: Io, names?: readonly string[]): Promise<Command> {
  const program = new YoreCommand("yore")
    .description(
      "Keeps backups and lets you walk through them: reads and writes restic repositories, and mounts every snapshot as ordinary read-only directories.",
    )
    .usage("[command] [flags]")
    .helpOption("-h, --help", "show help")
    .helpCommand(false)
    .addHelpText("after", EXIT_CODES_HELP)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: () => {}, // Everything that goes wrong is thrown as well, and said once.
      getOutHelpWidth: () => io.stdout.columns,
    });
  addGlobalOptions(program);
  await registerCommands(program, io, names);
  return program;
}

/** A command whose help is ours, and so that of all commands below it, and that takes any number of arguments. */
class YoreCommand extends Command {
  override createCommand(name?: string): Command {
    return new YoreCommand(name);
  }

  override createHelp(): YoreHelp {
    return Object.assign(new YoreHelp(), this.configureHelp());
  }

  /**
   * What stands behind `--` goes around Commander, which hands all of it to one call: 120,000 arguments overflow the stack.
   * `normaliseArguments` puts every argument there.
   */
  override parseOptions(args: string[]): { operands: string[]; unknown: string[] } {
    const end = args.indexOf("--") + 1;
    if (end === 0) return super.parseOptions(args);
    const parsed = super.parseOptions(args.slice(0, end));
    // With a flag that is for a command below, it leaves the rest to that, `--` included.
    append(parsed.unknown.at(-1) === "--" ? parsed.unknown : parsed.operands, args.slice(end));
    return parsed;
  }
}

/**
 * Runs one command line to its end. Never throws.
 *
 * @param argv as Node.js has it
 * @param exactly the same as text that keeps bytes, where there are some that are no UTF-8
 * @returns the exit code
 */
export async function runProgram(
  argv: readonly string[],
  io: Io,
  exactly: () => readonly string[] = () => argv,
): Promise<number> {
  let code: number;
  try {
    code = await parseAndRun(exactly(), io);
  } catch (error) {
    code = report(error, argv, io);
  }
  io.status.hide();
  await io.stdout.flush();
  if (io.stdout.abandoned) return EXIT_BROKEN_PIPE;
  // Output that is cut short must not look like success.
  if (io.stdout.failure && code === EXIT_SUCCESS) code = report(outputError(io.stdout.failure), argv, io);
  await io.stderr.flush();
  return code;
}

async function parseAndRun(argv: readonly string[], io: Io): Promise<number> {
  const { program, args } = (await readWithFew(argv, io)) ?? (await readWithAll(argv, io));
  try {
    await program.parseAsync(args, { from: "user" });
    return exitStatusOf(io);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return EXIT_SUCCESS;
    throw new UsageError(error.message.replace(/^error: /, ""));
  }
}

interface ReadArguments {
  readonly program: Command;
  readonly args: string[];
}

async function readWithAll(argv: readonly string[], io: Io): Promise<ReadArguments> {
  const program = await createProgram(io);
  return { program, args: helpAsked(program, argv) ?? normaliseArguments(program, argv) };
}

/** With the commands that are named; `undefined` when only all of them can say what is meant, or what is wrong. */
async function readWithFew(argv: readonly string[], io: Io): Promise<ReadArguments | undefined> {
  const names = commandsAmong(argv[0] === "--version" ? ["version"] : argv);
  if (names.length === 0) return undefined;
  const program = await createProgram(io, names);
  try {
    const args = helpAsked(program, argv) ?? normaliseArguments(program, argv);
    return names.includes(args[0] ?? "") ? { program, args } : undefined;
  } catch {
    return undefined;
  }
}

/** `yore`, with flags or none, `yore help` and `yore help key add` are the same as with `--help` behind. */
function helpAsked(program: Command, argv: readonly string[]): string[] | undefined {
  if (argv[0] === "--version") return ["version"];
  if (argv.every((word) => program.options.some(({ long, short }) => word === long || word === short)))
    return [...argv, "--help"];
  if (argv[0] !== "help") return undefined;
  const end = argv.includes("--") ? argv.indexOf("--") : argv.length;
  return normaliseArguments(program, [...argv.slice(1, end), "--help", ...argv.slice(end + 1)]);
}

/** Says what went wrong, once, in the form that was asked for. */
function report(error: unknown, argv: readonly string[], io: Io): number {
  io.status.hide();
  const code = exitCodeOf(error);
  // What was done incompletely was done all the same.
  const fatal = error instanceof YoreError && error.code === "incomplete" ? "" : "Fatal: ";
  const text = fatal + failureText(error);
  if (wantsJson(argv)) io.stderr.json({ message_type: "exit_error", code, message: text });
  else if (error instanceof YoreError && error.code === "interrupted") {
    if (!io.stdout.abandoned) io.stderr.line(failureText(error));
  } else io.stderr.line(text);
  if (!(error instanceof YoreError) && !isSystemError(error)) {
    io.stderr.line("This is a defect of yore. Please report it, with the output of YORE_DEBUG=1 set.");
  }
  if (io.env["YORE_DEBUG"]) io.stderr.line(stacks(error));
  return code === EXIT_SUCCESS ? EXIT_FAILURE : code;
}

/** Why the command could not say what it had to say. */
export function outputError(cause: NodeJS.ErrnoException): YoreError {
  return new YoreError(isFull(cause) ? "no-space" : "backend", `Cannot write output: ${messageOf(cause)}`, {
    cause,
  });
}

/** Asked of the raw arguments: they may be what cannot be parsed. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  const flags = end < 0 ? argv : argv.slice(0, end);
  return flags.some((flag) => flag === "--json" || /^--json=(1|t|T|true|TRUE|True)$/.test(flag));
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === "string";
}

/** The stacks of an error and of its causes. */
function stacks(error: unknown): string {
  const texts: string[] = [];
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    texts.push(at.stack ?? at.message);
  }
  return texts.join("\ncaused by: ");
}
