import { spawn } from "node:child_process";
import { once } from "node:events";
import { PassThrough, type Readable } from "node:stream";
import { commandWords } from "../bytes/command-words.js";
import { messageOf, UsageError, YoreError } from "../errors.js";

/** What a command prints, while it runs. */
export interface CommandStream {
  readonly stream: Readable;
  /** Waits for the end of the command. @throws {YoreError} if it failed */
  finished(): Promise<void>;
  /** Ends the command if it still runs. */
  stop(): void;
}

/** Where text for people goes. */
export interface TextSink {
  write(data: string | Uint8Array): unknown;
}

/**
 * Starts a command and hands out what it prints. It reads nothing, and what it says on stderr goes where ours
 * goes.
 *
 * @param env its whole environment: ours without what holds our passwords
 * @throws {UsageError} if it cannot be started
 */
export async function startCommand(
  command: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  stderr: TextSink,
): Promise<CommandStream> {
  const [program, ...args] = commandWords(command);
  if (program === undefined) throw new UsageError("Cannot run a command: none is given");
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  try {
    await once(child, "spawn");
  } catch (cause) {
    throw new UsageError(`failed to start command: ${messageOf(cause)}`, { cause });
  }
  // One of another user cannot be ended, which Node.js takes for an error of ours.
  child.on("error", () => {});
  // Node.js throws away what an ended child has printed unless somebody reads it by then.
  const stream = child.stdout.pipe(new PassThrough());
  child.stderr.on("data", (text: Buffer) => stderr.write(text));
  const ended = new Promise<string | undefined>((resolve) => {
    child.on("close", (code, signal) => {
      if (code === 0) resolve(undefined);
      else resolve(signal ? `signal: ${signal}` : `exit status ${code}`);
    });
  });
  return {
    stream,
    async finished() {
      const problem = await ended;
      if (problem) throw new YoreError("backend", `command failed: ${problem}`);
    },
    stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    },
  };
}
