/**
 * Where the password comes from, in restic's order: a command, a file, the environment, a person at the terminal (who
 * may try three times), and last the first line of standard input. Flags beat `YORE_*`, which beat `RESTIC_*`.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { untilInterrupted } from "../async/deadline.js";
import { commandWords } from "../bytes/command-words.js";
import { systemPath } from "../bytes/system-path.js";
import { NO_PASSWORD, type PasswordSource } from "../commands/session.js";
import { interruptedError, messageOf, systemCodeOf, UsageError, YoreError } from "../errors.js";
import { type EnvironmentValue, origins, type VariablePrefix } from "./environment.js";
import type { Io } from "./output.js";
import { variableBytes, variableText } from "./raw-bytes.js";
import type { RepositoryFlags } from "./repository-flags.js";
import { splitShellWords } from "./shell-words.js";
import { decodeTextBytes, trimBytes } from "./text-file.js";

const PROMPT_ATTEMPTS = 3;

interface GivenPassword {
  readonly command: string | undefined;
  readonly file: string | undefined;
  readonly password: EnvironmentValue | undefined;
}

/**
 * Finds out where the password comes from; files are read and commands run only when it is asked for.
 *
 * @throws {UsageError} for contradictions
 */
export function passwordSource(
  flags: RepositoryFlags,
  prefix: VariablePrefix,
  io: Io,
  options: { isNew?: boolean } = {},
): PasswordSource {
  const given = givenPassword(flags, prefix, io);
  if (flags.insecureNoPassword) {
    if (given.command || given.file || given.password)
      throw new UsageError(
        "--insecure-no-password must not be specified together with providing a password via a cli option or environment variable",
      );
    return NO_PASSWORD;
  }
  if (given.command && given.file)
    throw new UsageError("Password file and command are mutually exclusive options");
  const { command, file, password } = given;
  if (command) return askedOnce(() => runPasswordCommand(command, io));
  if (file) return askedOnce(() => readPasswordFile(file, io.signal));
  if (password) return askedOnce(async () => variableBytes(password.name, password.value));
  if (io.stdin.isTTY) return { ...prompting(prefix, io, options.isNew === true), usesStdin: true };
  return {
    attempts: 1,
    usesStdin: true,
    ask: async () => notEmpty(await readFirstLine(io.stdin, io.signal)),
  };
}

/** The flags that name a password for a new key. */
export interface NewPasswordFlags {
  readonly newPasswordFile?: string | undefined;
  readonly newInsecureNoPassword?: boolean | undefined;
}

/** The password for a new key: of a file, of a person who types it twice, or the first line of standard input. */
export async function askNewPassword(flags: NewPasswordFlags, io: Io): Promise<Buffer> {
  if (flags.newInsecureNoPassword) {
    if (flags.newPasswordFile)
      throw new UsageError("only either --new-password-file or --new-insecure-no-password may be specified");
    return Buffer.alloc(0);
  }
  if (flags.newPasswordFile) return notEmptyNew(await readPasswordFile(flags.newPasswordFile, io.signal));
  if (!io.stdin.isTTY) return notEmptyNew(await readFirstLine(io.stdin, io.signal));
  const password = notEmptyNew(await promptHidden("enter new password: ", io));
  await typeAgain(password, io);
  return password;
}

function notEmptyNew(password: Buffer): Buffer {
  return notEmpty(password, "--new-insecure-no-password");
}

function givenPassword(flags: RepositoryFlags, prefix: VariablePrefix, io: Io): GivenPassword {
  const all = origins<GivenPassword>(
    { command: flags.passwordCommand, file: flags.passwordFile, password: undefined },
    io.env,
    (get, nameOf) => ({
      command: variableText(nameOf("PASSWORD_COMMAND"), get("PASSWORD_COMMAND")),
      file: variableText(nameOf("PASSWORD_FILE"), get("PASSWORD_FILE")),
      password: named(nameOf("PASSWORD"), get("PASSWORD")),
    }),
    prefix,
  );
  return all.find((one) => one.command || one.file || one.password) ?? all[0]!;
}

function named(name: string, value: string | undefined): EnvironmentValue | undefined {
  return value === undefined ? undefined : { name, value };
}

function askedOnce(get: () => Promise<Buffer>): PasswordSource {
  return { attempts: 1, ask: async () => notEmpty(await get()) };
}

/** @param flag that allows an empty one */
function notEmpty(password: Buffer, flag = "--insecure-no-password"): Buffer {
  if (password.length === 0)
    throw new UsageError(
      `an empty password is not allowed by default. Pass the flag \`${flag}\` to disable this check`,
    );
  return password;
}

/** @throws {YoreError} saying why the file cannot be read */
async function readPasswordFile(path: string, signal: AbortSignal): Promise<Buffer> {
  try {
    return trimBytes(decodeTextBytes(await untilInterrupted(readFile(systemPath(path)), signal)));
  } catch (error) {
    if (signal.aborted) throw error;
    const reason = systemCodeOf(error) === "ENOENT" ? "it does not exist" : messageOf(error);
    throw new YoreError("usage", `Cannot read password file "${path}": ${reason}`, { cause: error });
  }
}

/** Runs the program without a shell and without our standard input; what it says on stderr reaches the user. */
async function runPasswordCommand(command: string, io: Io): Promise<Buffer> {
  const words = splitShellWords(command);
  if (!words[0]) throw new UsageError("Cannot run the password command: it is empty");
  const fails = (reason: string) =>
    new YoreError("usage", `Cannot run the password command "${words[0]}": ${reason}`);
  const [program, ...args] = commandWords(words);
  const { env, signal } = io;
  const child = spawn(program!, args, { env: { ...env }, stdio: ["ignore", "pipe", "inherit"], signal });
  try {
    const [printed, [status, killedBy]] = await Promise.all([buffer(child.stdout), once(child, "close")]);
    if (status !== 0) throw fails(`it ended with ${killedBy ?? `status ${status}`}`);
    return trimBytes(printed);
  } catch (error) {
    if (signal.aborted) throw interruptedError(signal);
    throw error instanceof YoreError ? error : fails(messageOf(error));
  }
}

function prompting(prefix: VariablePrefix, io: Io, isNew: boolean): PasswordSource {
  const what = isNew
    ? "new repository"
    : { "": "repository", FROM_: "source repository", "2": "secondary repository" }[prefix];
  return {
    attempts: isNew ? 1 : PROMPT_ATTEMPTS,
    async ask(attempt) {
      if (attempt > 0) io.stderr.line("wrong password or no key found. Try again");
      const password = notEmpty(await promptHidden(`enter password for ${what}: `, io));
      if (isNew) await typeAgain(password, io);
      return password;
    },
  };
}

async function typeAgain(password: Buffer, io: Io): Promise<void> {
  if (!password.equals(await promptHidden("enter password again: ", io)))
    throw new UsageError("passwords do not match");
}

type Terminal = Readable & { setRawMode?(raw: boolean): void };

/** Asks at the terminal without showing what is typed. @throws {YoreError} `interrupted` on Ctrl-C and end of input */
async function promptHidden(prompt: string, io: Io): Promise<Buffer> {
  const terminal = io.stdin as Terminal;
  io.stderr.write(prompt);
  terminal.setRawMode?.(true);
  try {
    const typed: number[] = [];
    for await (const byte of bytesOf(terminal, io.signal)) {
      if (byte === 0x0a || byte === 0x0d) return Buffer.from(typed);
      if (byte === 0x03) throw interruptedError();
      if (byte === 0x04 && typed.length === 0) throw interruptedError();
      if (byte === 0x7f || byte === 0x08) removeLastCharacter(typed);
      else if (byte === 0x15) typed.length = 0;
      else if (byte >= 0x20) typed.push(byte);
    }
    throw interruptedError(io.signal);
  } finally {
    terminal.setRawMode?.(false);
    terminal.pause();
    io.stderr.write("\n");
  }
}

/** The first line of a stream, without its end; what follows is put back. */
async function readFirstLine(stream: Readable, signal: AbortSignal): Promise<Buffer> {
  const line: number[] = [];
  for await (const byte of bytesOf(stream, signal)) {
    if (byte === 0x0a) break;
    line.push(byte);
  }
  if (line.at(-1) === 0x0d) line.pop();
  return Buffer.from(line);
}

/** Byte by byte, taking no more from the stream than is asked for: the rest is handed back to it. */
async function* bytesOf(stream: Readable, signal: AbortSignal): AsyncGenerator<number> {
  while (!stream.destroyed) {
    const piece = stream.read() as Buffer | null;
    if (piece === null) {
      if (stream.readableEnded || !(await readable(stream, signal))) return;
      continue;
    }
    let used = 0;
    try {
      for (const byte of piece) {
        used++;
        yield byte;
      }
    } finally {
      if (used < piece.length) stream.unshift(piece.subarray(used));
    }
  }
}

/** Waits for data; false at the end of the stream. */
function readable(stream: Readable, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => () => {
      stream.off("readable", onReadable).off("end", onEnd).off("error", onError);
      signal.removeEventListener("abort", onAbort);
      settle();
    };
    const onReadable = finish(() => resolve(true));
    const onEnd = finish(() => resolve(false));
    const onError = finish(() => resolve(false));
    const onAbort = finish(() => reject(interruptedError(signal)));
    if (signal.aborted) return reject(interruptedError(signal));
    stream.on("readable", onReadable).on("end", onEnd).on("error", onError);
    signal.addEventListener("abort", onAbort);
  });
}

/** Takes the last character away, all of its UTF-8 bytes. */
function removeLastCharacter(bytes: number[]): void {
  while (bytes.length > 0) if ((bytes.pop()! & 0xc0) !== 0x80) return;
}
