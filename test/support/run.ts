/**
 * Runs programs as users do: the built `yore` and the peers it is compared with, as child processes with an
 * environment of their own (nothing of RESTIC_* or YORE_* leaks in from outside).
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { symlink } from "node:fs/promises";
import { delimiter, join } from "node:path";

const CHECKOUT = join(import.meta.dirname, "../..");
const MAIN = join(CHECKOUT, process.env["YORE_TEST_DIST"] ?? "dist", "cli/main.js");

export interface RunOptions {
  /** Added to the environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What the program finds on its standard input; closed at once when left out. */
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  /** Killed after so many milliseconds; 50,000 when left out. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  /** Exit status; `null` when a signal ended the program. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: Buffer;
}

/** What counts as the newest restic: 0.18 and later. */
const OLDEST_NEW_MINOR = 18;
const newRestics = new Map<string, boolean>();

export type PeerName = "restic" | "restic-debian" | "rest-server" | "rclone";

/** Where a peer lies, `undefined` when this machine has none. */
export function peer(name: PeerName): string | undefined {
  if (name === "restic-debian") return firstExecutable(["/usr/bin/restic"]);
  const variable = process.env[`YORE_TEST_${name.toUpperCase().replaceAll("-", "_")}`];
  return firstExecutable(
    [
      ...(variable ? [variable] : []),
      join(CHECKOUT, ".yore/peers/bin", name),
      ...(process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name)),
    ],
    name === "restic" ? isNewRestic : undefined,
  );
}

/** Whether it is no older than what ours is compared with: a distribution's own, found on the path, is another peer. */
function isNewRestic(program: string): boolean {
  let isNew = newRestics.get(program);
  if (isNew === undefined) {
    const version = execFileSync(program, ["version"], { encoding: "utf8" });
    isNew = Number(/^restic 0\.(\d+)/.exec(version)?.[1] ?? 0) >= OLDEST_NEW_MINOR;
    newRestics.set(program, isNew);
  }
  return isNew;
}

/**
 * For `describe.skipIf(missingPeer("restic"))`: true when the tests of a peer must be skipped, which is said aloud.
 * @throws {Error} in CI, where a missing peer is a failure
 */
export function missingPeer(name: PeerName): boolean {
  if (peer(name)) return false;
  const sentence = `The peer "${name}" is not installed`;
  if (process.env["CI"] === "true") throw new Error(`${sentence}, and CI must not skip its tests`);
  console.warn(`SKIPPED: ${sentence}; its tests are left out`);
  return true;
}

/** The same for a program that the tests drive, such as a shell. */
export function missingProgram(name: string): boolean {
  if (firstExecutable((process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name))))
    return false;
  const sentence = `The program "${name}" is not installed`;
  if (process.env["CI"] === "true") throw new Error(`${sentence}, and CI must not skip its tests`);
  console.warn(`SKIPPED: ${sentence}; its tests are left out`);
  return true;
}

/** Runs the built command line. */
export function runYore(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return run(process.execPath, [MAIN, ...args], options);
}

/** Makes a link to the built command line, which `run` runs under that name, as whoever puts yore in restic's place. */
export function linkYore(path: string): Promise<void> {
  return symlink(MAIN, path);
}

/** Runs restic, or the peer named. */
export function runRestic(
  args: readonly string[],
  options: RunOptions & { readonly peer?: "restic" | "restic-debian" } = {},
): Promise<RunResult> {
  const program = peer(options.peer ?? "restic");
  if (!program) throw new Error(`The peer "${options.peer ?? "restic"}" is not installed`);
  return run(program, args, options);
}

/** Starts the built command line and hands the process out, for tests of signals and mounts. The caller ends it. */
export function spawnYore(args: readonly string[], options: RunOptions = {}): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], {
    env: environment(options.env),
    cwd: options.cwd,
    stdio: ["pipe", "pipe", "pipe"],
  });
}

/**
 * Runs a command line in a terminal of its own (`script` of util-linux). What the shell commands `typed` print is typed
 * into it; a terminal throws away what comes before a program is ready to be asked, so they have to take their time.
 */
export function runInTerminal(
  command: string,
  options: RunOptions & { readonly typed?: string } = {},
): Promise<RunResult> {
  const inTerminal = 'exec script --quiet --return --command "$1" /dev/null';
  return run(
    "sh",
    ["-c", options.typed ? `(${options.typed}) | ${inTerminal}` : inTerminal, "sh", command],
    options,
  );
}

/** The command line of yore as a shell has to be told it. */
export function yoreCommand(args: readonly string[]): string {
  return [process.execPath, MAIN, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}

/** Runs any program to its end. Rejects only when it cannot be started or does not end in time. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: environment(options.env),
      cwd: options.cwd,
      stdio: ["pipe", "pipe", "pipe"],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${program} ${args.join(" ")} did not end in time: ${Buffer.concat(stderr)}`));
    }, options.timeoutMs ?? 50_000);
    child.stdout.on("data", (piece: Buffer) => stdout.push(piece));
    child.stderr.on("data", (piece: Buffer) => stderr.push(piece));
    child.stdin.on("error", () => {}); // A program may end without reading its input.
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const stdoutBytes = Buffer.concat(stdout);
      resolve({
        code,
        signal,
        stdoutBytes,
        stdout: stdoutBytes.toString(),
        stderr: Buffer.concat(stderr).toString(),
      });
    });
    child.stdin.end(options.input);
  });
}

function environment(
  changes: Readonly<Record<string, string | undefined>> = {},
): Record<string, string | undefined> {
  const clean = Object.entries(process.env).filter(
    ([name]) => !/^(RESTIC|YORE)_/.test(name) && !/^XDG_/.test(name) && name !== "NODE_OPTIONS",
  );
  return { ...Object.fromEntries(clean), RESTIC_CACHE_DIR: undefined, ...changes };
}

function firstExecutable(
  candidates: readonly string[],
  isRight: (path: string) => boolean = () => true,
): string | undefined {
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return isRight(path);
    } catch {
      return false;
    }
  });
}
