/** The helper with which ordinary users mount and unmount: fusermount3 of the package fuse3, or its predecessor. */

import { execFile, spawnSync } from "node:child_process";
import { YoreError } from "../errors.js";

export const HELPERS = ["fusermount3", "fusermount"] as const;

export const INSTALL_HINT = 'Install the package "fuse3" (it has fusermount3), or mount as root';

const ENVIRONMENT = { ...process.env, LC_ALL: "C" };

/**
 * Unmounts with the first helper that is installed.
 *
 * @returns what the helper printed, and whether it succeeded
 * @throws {YoreError} with code `mount` when there is none
 */
export async function unmountWithHelper(
  mountpoint: string,
  lazy: boolean,
): Promise<{ readonly succeeded: boolean; readonly words: string }> {
  for (const helper of HELPERS) {
    const result = await run(helper, unmountArguments(mountpoint, lazy));
    if (result) return result;
  }
  throw new YoreError("mount", `Cannot unmount "${mountpoint}": fusermount3 is not installed`, {
    hint: INSTALL_HINT,
  });
}

/** Detaches lazily while the process ends. */
export function detachWithHelperNow(mountpoint: string): void {
  for (const helper of HELPERS) {
    const { error } = spawnSync(helper, unmountArguments(mountpoint, true), {
      stdio: "ignore",
      timeout: 5_000,
    });
    if (!error) return;
  }
}

function unmountArguments(mountpoint: string, lazy: boolean): string[] {
  return ["-u", ...(lazy ? ["-z"] : []), "--", mountpoint];
}

function run(
  helper: string,
  args: readonly string[],
): Promise<{ succeeded: boolean; words: string } | undefined> {
  return new Promise((resolve, reject) => {
    execFile(helper, args, { env: ENVIRONMENT }, (error, _stdout, stderr) => {
      if (!error) resolve({ succeeded: true, words: "" });
      else if (error.code === "ENOENT") resolve(undefined);
      else if (typeof error.code === "number") resolve({ succeeded: false, words: stderr.trim() });
      else reject(new YoreError("mount", `Cannot run ${helper}: ${error.message}`, { cause: error }));
    });
  });
}
