import { realpath } from "node:fs/promises";
import { resolve, sep } from "node:path";
import { systemPath } from "../bytes/system-path.js";
import { textKeepingBytes } from "../bytes/utf8.js";
import { YoreError } from "../errors.js";

/**
 * Refuses a mountpoint that hides its own repository or lies in it. A mount over the repository, or over a folder
 * above it, would make the server ask itself, which hangs; one inside would be taken for part of the repository.
 *
 * @param mountpoint without symlinks
 * @param repository path of a local repository
 * @throws {YoreError} `mount`
 */
export async function refuseOverlap(mountpoint: string, repository: string): Promise<void> {
  const stored = textKeepingBytes(await realpath(systemPath(repository), "buffer"));
  if (!isWithin(stored, mountpoint) && !isWithin(mountpoint, stored)) return;
  const places =
    stored === mountpoint
      ? "that is the repository itself"
      : isWithin(stored, mountpoint)
        ? `the repository "${repository}" lies below it`
        : `it lies within the repository "${repository}"`;
  throw new YoreError("mount", `Cannot mount at "${mountpoint}": ${places}`, {
    hint: "Choose a directory that is neither in the repository nor above it",
  });
}

/** True for the folder itself, too. Compared by whole components: "/srv/repo2" is not within "/srv/repo". */
function isWithin(inner: string, outer: string): boolean {
  const folder = resolve(outer);
  return resolve(inner) === folder || resolve(inner).startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
