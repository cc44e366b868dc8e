import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { peer } from "./run.js";
import { temporaryFolder } from "./temporary.js";

/** A folder on a file system that has no hard links, no files without a name and no modes: what rclone mounts. */
export interface RcloneMount {
  readonly folder: string;
  unmount(): Promise<void>;
}

export async function mountWithRclone(): Promise<RcloneMount> {
  const top = await temporaryFolder();
  const [folder, remote] = [join(top, "mount"), join(top, "remote")];
  for (const path of [folder, remote]) await mkdir(path);
  const flags = ["--vfs-cache-mode", "writes", "--cache-dir", join(top, "cache"), "--config", "/dev/null"];
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
  return { folder, unmount: () => ended(child) };
}

/** rclone unmounts when it is told to end. */
function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.on("exit", () => resolve());
    child.kill("SIGTERM");
  });
}
