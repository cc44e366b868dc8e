import { realpath, stat } from "node:fs/promises";
import { resolve, sep } from "node:path";
import { messageOf, systemCodeOf, YoreError } from "../errors.js";

/**
 * Checks that a directory can be mounted on. A mount over the repository, or over a folder above it, would hide the
 * repository from its own server, which hangs; one inside it would be taken for part of the repository.
 *
 * @param repository path of a local repository
 * @returns the path without symlinks, as the kernel will know it
 * @throws {YoreError} `mount`
 */
export async function checkMountpoint(path: string, repository?: string): Promise<string> {
  const mountpoint = await realDirectory(path);
  const stored = repository === undefined ? undefined : await realpath(repository).catch(() => undefined);
  if (stored !== undefined && (isWithin(stored, mountpoint) || isWithin(mountpoint, stored)))
    throw new YoreError(
      "mount",
      `Cannot mount on "${path}": the mountpoint and the repository "${repository}" lie in each other`,
      { hint: "Choose a directory outside the repository, and not above it" },
    );
  return mountpoint;
}

async function realDirectory(path: string): Promise<string> {
  try {
    if ((await stat(path)).isDirectory()) return await realpath(path);
  } catch (error) {
    const code = systemCodeOf(error);
    const reason = code === "ENOENT" ? "it does not exist" : messageOf(error);
    const hint = code === "ENOENT" ? `mkdir -p "${path}" makes it` : undefined;
    throw new YoreError("mount", `Cannot mount on "${path}": ${reason}`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
  throw new YoreError("mount", `Cannot mount on "${path}": it is not a directory`);
}

/** True for the folder itself, too. Compared by whole components: "/srv/repo2" is not within "/srv/repo". */
function isWithin(inner: string, outer: string): boolean {
  const folder = resolve(outer);
  return resolve(inner) === folder || resolve(inner).startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
