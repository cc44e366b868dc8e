/**
 * The table of mounts that this process sees, /proc/self/mountinfo (proc(5)). Reading it asks no file system anything,
 * so it is safe for mounts that are dead, that hang, or that this very process serves.
 *
 *     36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 *     id parent device root mountpoint options [tags] - type source superOptions
 */

import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { textKeepingBytes } from "../bytes/utf8.js";

const TABLE = "/proc/self/mountinfo";

export interface MountEntry {
  readonly id: number;
  /** "major:minor" of what is mounted: st_dev of its files. */
  readonly device: string;
  /** Keeps bytes that are no UTF-8 (`textKeepingBytes`). */
  readonly mountpoint: string;
  /** "ext4", "fuse.yore". */
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** @param text as the kernel writes it, read as latin1 so that each byte is one character */
export function parseMountTable(text: string): MountEntry[] {
  return text.split("\n").flatMap((line) => {
    const separator = line.indexOf(" - ");
    if (separator < 0) return [];
    const [id, , device, , mountpoint, options] = line.slice(0, separator).split(" ");
    const [type, source] = line.slice(separator + 3).split(" ");
    if (id === undefined || device === undefined || mountpoint === undefined || type === undefined) return [];
    return {
      id: Number(id),
      device,
      mountpoint: unescapeField(mountpoint),
      type: unescapeField(type),
      source: unescapeField(source ?? ""),
      options: (options ?? "").split(","),
    };
  });
}

/** Spaces, tabs, newlines and backslashes of a field are "\ooo", three octal digits. */
function unescapeField(field: string): string {
  const bytes = field.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return textKeepingBytes(Buffer.from(bytes, "latin1"));
}

/** Empty where there is no such table (other systems). */
async function readMountTable(): Promise<MountEntry[]> {
  return parseMountTable(await readFile(TABLE, "latin1").catch(() => ""));
}

/** What is mounted at exactly this path: the last mount covers those before. */
export async function findMount(mountpoint: string): Promise<MountEntry | undefined> {
  return topmost(await readMountTable(), mountpoint);
}

/** `findMount` for the last moment of a process. */
export function findMountNow(mountpoint: string): MountEntry | undefined {
  try {
    return topmost(parseMountTable(readFileSync(TABLE, "latin1")), mountpoint);
  } catch {
    return undefined;
  }
}

function topmost(table: readonly MountEntry[], mountpoint: string): MountEntry | undefined {
  return table.findLast((entry) => entry.mountpoint === mountpoint);
}

export function isFuse(entry: MountEntry): boolean {
  return entry.type === "fuse" || entry.type.startsWith("fuse.");
}
