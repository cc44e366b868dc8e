import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { missingPeer, peer, run } from "./run.js";
import { temporaryFolder } from "./temporary.js";

/** A folder on a file system that has no hard links, no files without a name and no modes: what rclone mounts. */
export interface RcloneMount {
  readonly folder: string;
  unmount(): Promise<void>;
}

/** For `describe.skipIf`: says so when file systems of rclone cannot be tested. */
export function canMountWithRclone(): boolean {
  if (missingPeer("rclone")) return false;
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
    return true;
  } catch {
    console.warn("SKIPPED: /dev/fuse cannot be opened; file systems of rclone are not tested");
    return false;
  }
}

/** @param more flags for rclone */
export async function mountWithRclone(more: readonly string[] = []): Promise<RcloneMount> {
  const top = await temporaryFolder();
  const [folder, remote] = [join(top, "mount"), join(top, "remote")];
  for (const path of [folder, remote]) await mkdir(path);
  const flags = [
    "--vfs-cache-mode",
    "writes",
    "--cache-dir",
    join(top, "cache"),
    "--config",
    "/dev/null",
    ...more,
  ];
  const child = spawn(peer("rclone")!, ["mount", remote, folder, ...flags], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (piece: Buffer) => {
    said += piece;
  });
  const { dev } = await stat(top);
  const giveUpAt = Date.now() + 20_000;
  while ((await stat(folder)).dev === dev) {
    if (child.exitCode !== null || Date.now() > giveUpAt) throw new Error(`Cannot mount: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { folder, unmount: () => unmount(folder, child) };
}

/** Told to end, rclone would leave behind what is in use at that moment; it ends when it is unmounted. */
async function unmount(folder: string, child: ChildProcess): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    child.on("exit", () => resolve());
  });
  const giveUpAt = Date.now() + 20_000;
  for (
    let { code, stderr } = await tryUnmount(folder);
    code !== 0;
    { code, stderr } = await tryUnmount(folder)
  ) {
    if (Date.now() > giveUpAt) throw new Error(`Cannot unmount: ${stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await ended;
}

const tryUnmount = (folder: string) => run("fusermount3", ["-u", folder]);
