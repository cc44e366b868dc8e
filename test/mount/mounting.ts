/** Repositories made by restic, and mounts of them in this process. Look into a mount through `run` only. */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { loadEngine } from "../../src/engine/load-engine.js";
import type { DriverName } from "../../src/fuse/mount.js";
import { type MountHandle, type MountOptions, mount } from "../../src/mount/mount.js";
import { Repository } from "../../src/repository/repository.js";
import { resticWith } from "../support/interop.js";
import { type RunResult, run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

export const PASSWORD = "geheim";

export interface MountedRepository {
  readonly path: string;
  readonly handle: MountHandle;
  /** What the mount had to say. */
  readonly log: readonly string[];
  /** Unmounts, also what is busy, and waits for the end. */
  close(): Promise<void>;
}

/** Mounts a repository in this process. */
export async function mountRepository(
  repositoryPath: string,
  driver: DriverName,
  options: Partial<MountOptions> = {},
): Promise<MountedRepository> {
  const backend = await LocalBackend.open(repositoryPath);
  const repository = await Repository.open(backend, await loadEngine(), { password: PASSWORD });
  const path = join(await temporaryFolder(), "mnt");
  await mkdir(path);
  const log: string[] = [];
  const handle = await mount(repository, {
    mountpoint: path,
    localRepository: repositoryPath,
    driver,
    refreshMs: 500,
    onLog: (line) => log.push(line),
    ...options,
  });
  const close = async () => {
    await handle.unmount();
    await handle.done;
    await repository.close();
    await backend.close();
  };
  return { path, handle, log, close };
}

/** Runs restic on a repository, and fails when restic does. */
export const restic = resticWith({ RESTIC_PASSWORD: PASSWORD });

/** A fresh repository with one snapshot of a folder. */
export async function backUp(folder: string): Promise<string> {
  const repositoryPath = join(await temporaryFolder(), "repository");
  await restic(repositoryPath, "init", "-q");
  await restic(repositoryPath, "backup", "-q", folder);
  return repositoryPath;
}

/** A shell line in a child process; the arguments are $1, $2 ... */
export function shell(line: string, ...args: string[]): Promise<RunResult> {
  return run("bash", ["-c", line, "bash", ...args]);
}

/** What a shell line prints. @throws when it fails */
export async function output(line: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await shell(line, ...args);
  if (code !== 0) throw new Error(`${line}: ${stderr || stdout}`);
  return stdout.trimEnd();
}

/** Waits until a shell line succeeds; it is tried again and again. @throws after 15 s */
export async function eventually(line: string, ...args: string[]): Promise<void> {
  const end = Date.now() + 15_000;
  for (;;) {
    const { code, stderr, stdout } = await shell(line, ...args);
    if (code === 0) return;
    if (Date.now() > end) throw new Error(`Never came true: ${line}: ${stderr || stdout}`);
  }
}
