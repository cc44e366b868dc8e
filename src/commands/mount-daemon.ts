/**
 * A mount that serves in the background: the same command line runs once more in a process of its own, without a
 * terminal, and says when the mount is usable or why it will not be. Only then does the first process end.
 *
 * What passes between the two, as JSON over Node.js' channel: the password to the child, in Base64; `ready`, or a failure, back.
 * The password is in no file, no argument and no environment, where others could read it.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { systemPath } from "../bytes/system-path.js";
import { type ErrorCode, interruptedError, messageOf, UsageError, YoreError } from "../errors.js";
import { type Password, passwordBytes } from "../repository/password.js";
import { ARGUMENTS_VARIABLE, commandLine } from "./command-line.js";

/** Set in the environment of the process that serves. */
const CHILD_VARIABLE = "YORE_MOUNT_DAEMON";
/** Threads for file operations: some of them may hang with a repository on a network filesystem. */
const THREADS = "16";

export interface DaemonOptions {
  readonly password: Password;
  /** Gets what the daemon has to say; nowhere when left out. */
  readonly logFile?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

type FromChild =
  | { readonly type: "ready"; readonly mountpoint: string }
  | { readonly type: "failed"; readonly code: ErrorCode; readonly message: string; readonly hint?: string };

export interface Daemon {
  /** Its process ID. */
  readonly pid: number;
  /** Without symlinks. */
  readonly mountpoint: string;
}

/**
 * Starts the process that serves. Resolves when its mount is usable.
 *
 * @throws {YoreError} what the process has failed with
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const log = options.logFile === undefined ? "ignore" : openLog(options.logFile);
  try {
    const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      detached: true,
      stdio: ["ignore", log, log, "ipc"],
      env: {
        UV_THREADPOOL_SIZE: THREADS,
        ...process.env,
        [CHILD_VARIABLE]: "1",
        [ARGUMENTS_VARIABLE]: JSON.stringify(commandLine()),
      },
    });
    await once(child, "spawn");
    return await untilReady(child, options);
  } finally {
    if (typeof log === "number") closeSync(log);
  }
}

function openLog(path: string): number {
  try {
    return openSync(systemPath(path), "a", 0o600);
  } catch (cause) {
    throw new UsageError(`Cannot write the file "${path}" of --log-file: ${messageOf(cause)}`, { cause });
  }
}

async function untilReady(child: ChildProcess, options: DaemonOptions): Promise<Daemon> {
  const onAbort = () => child.kill("SIGTERM");
  options.signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const answer = await new Promise<FromChild>((resolve, reject) => {
      child.once("message", (message) => resolve(message as FromChild));
      child.once("exit", (code, signal) => {
        if (options.signal?.aborted) return reject(interruptedError(options.signal));
        const how = signal ?? `exit code ${code}`;
        reject(new YoreError("mount", `Cannot mount in the background: the process has ended (${how})`));
      });
      child.send({ password: Buffer.from(passwordBytes(options.password)).toString("base64") });
    });
    if (answer.type === "failed")
      throw new YoreError(
        answer.code,
        answer.message,
        answer.hint === undefined ? {} : { hint: answer.hint },
      );
    return { pid: child.pid!, mountpoint: answer.mountpoint };
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    if (child.connected) child.disconnect();
    child.unref();
  }
}

/** The other end: what the process that serves says to the one that started it. */
export class DaemonParent {
  /** The parent of this process if it was started by `startDaemon`. */
  static ofThisProcess(): DaemonParent | undefined {
    return process.env[CHILD_VARIABLE] === "1" && process.send ? new DaemonParent() : undefined;
  }

  async password(): Promise<Password> {
    const [message] = (await once(process, "message")) as [{ password: string }];
    return Buffer.from(message.password, "base64");
  }

  async ready(mountpoint: string): Promise<void> {
    await this.#say({ type: "ready", mountpoint });
  }

  async failed(error: unknown): Promise<void> {
    const known = error instanceof YoreError ? error : undefined;
    const hint = known?.hint;
    await this.#say({
      type: "failed",
      code: known?.code ?? "mount",
      message: messageOf(error),
      ...(hint === undefined ? {} : { hint }),
    });
  }

  async #say(message: FromChild): Promise<void> {
    if (!process.connected) return;
    await new Promise<void>((resolve) => process.send!(message, () => resolve()));
    if (process.connected) process.disconnect();
  }
}
