import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { findMount } from "./mount-table.js";

/**
 * The path of a directory as the table of mounts has it: absolute, without symbolic links. The directory itself is
 * asked only if nothing is mounted there, because a dead or hanging mount must not stop this.
 */
export async function resolveMountpoint(path: string): Promise<string> {
  const absolute = resolve(path);
  if (await findMount(absolute)) return absolute;
  const parent = await realpath(dirname(absolute)).catch(() => dirname(absolute));
  const inParent = join(parent, basename(absolute));
  if (await findMount(inParent)) return inParent;
  return await realpath(absolute).catch(() => absolute);
}
