import { realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { absolutePath, systemPath } from "../bytes/system-path.js";
import { textKeepingBytes } from "../bytes/utf8.js";
import { findMount } from "./mount-table.js";

/**
 * The path of a directory as the table of mounts has it: absolute, without symbolic links. The directory itself is
 * asked only if nothing is mounted there, because a dead or hanging mount must not stop this.
 */
export async function resolveMountpoint(path: string): Promise<string> {
  const absolute = absolutePath(path);
  if (await findMount(absolute)) return absolute;
  const parent = await resolved(dirname(absolute)).catch(() => dirname(absolute));
  const inParent = join(parent, basename(absolute));
  if (await findMount(inParent)) return inParent;
  return await resolved(absolute).catch(() => absolute);
}

async function resolved(path: string): Promise<string> {
  return textKeepingBytes(await realpath(systemPath(path), "buffer"));
}
