/** The helper with which ordinary users mount and unmount: fusermount3 of the package fuse3, or its predecessor. */

import { execFile, spawnSync } from "node:child_process";
import { commandWords, EXIT_NO_PROGRAM } from "../bytes/command-words.js";
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
    const result = await run(unmountWords(helper, mountpoint, lazy));
    if (result) return result;
  }
  throw new YoreError("mount", `Cannot unmount "${mountpoint}": fusermount3 is not installed`, {
    hint: INSTALL_HINT,
  });
}

/** Detaches lazily while the process ends. */
export function detachWithHelperNow(mountpoint: string): void {
  for (const helper of HELPERS) {
    const [program, ...args] = unmountWords(helper, mountpoint, true);
    const { error, status } = spawnSync(program!, args, { stdio: "ignore", timeout: 5_000 });
    if (!error && status !== EXIT_NO_PROGRAM) return;
  }
}

function unmountWords(helper: string, mountpoint: string, lazy: boolean): readonly string[] {
  return commandWords([helper, "-u", ...(lazy ? ["-z"] : []), "--", mountpoint]);
}

function run([program, ...args]: readonly string[]): Promise<
  { succeeded: boolean; words: string } | undefined
> {
  return new Promise((resolve, reject) => {
    execFile(program!, args, { env: ENVIRONMENT }, (error, _stdout, stderr) => {
      if (!error) resolve({ succeeded: true, words: "" });
      else if (error.code === "ENOENT" || error.code === EXIT_NO_PROGRAM) resolve(undefined);
      else if (typeof error.code === "number") resolve({ succeeded: false, words: stderr.trim() });
      else reject(new YoreError("mount", `Cannot run ${program}: ${error.message}`, { cause: error }));
    });
  });
}
