import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./run.js";
import { temporaryFolder } from "./temporary.js";

/** A folder that a program of its own has mounted, which ends when it is unmounted. */
export interface ChildMount {
  readonly folder: string;
  unmount(): Promise<void>;
}

const PATIENCE_MS = 20_000;
const LOOK_MS = 20;

/** @param argv of the program that mounts, by the folder to mount and one for whatever else it needs */
export async function mountByChild(
  argv: (folder: string, top: string) => readonly string[],
): Promise<ChildMount> {
  const top = await temporaryFolder();
  const folder = join(top, "mount");
  await mkdir(folder);
  const [program, ...args] = argv(folder, top);
  const child = spawn(program!, args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (piece: Buffer) => {
    said += piece;
  });
  const { dev } = await stat(top);
  await until(
    async () => (await stat(folder)).dev !== dev,
    () => child.exitCode !== null,
    () => `Cannot mount: ${said}`,
  );
  return { folder, unmount: () => unmount(folder, child) };
}

/** Told to end, rclone would leave behind what is in use at that moment. */
async function unmount(folder: string, child: ChildProcess): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    child.on("exit", () => resolve());
  });
  let said = "";
  const tryIt = async () => {
    const { code, stderr } = await run("fusermount3", ["-u", folder]);
    said = stderr;
    return code === 0;
  };
  await until(
    tryIt,
    () => false,
    () => `Cannot unmount: ${said}`,
  );
  await ended;
}

async function until(
  isDone: () => Promise<boolean>,
  isHopeless: () => boolean,
  problem: () => string,
): Promise<void> {
  const giveUpAt = Date.now() + PATIENCE_MS;
  while (!(await isDone())) {
    if (isHopeless() || Date.now() > giveUpAt) throw new Error(problem());
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
