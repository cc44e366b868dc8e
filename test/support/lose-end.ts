import { readdirSync, readlinkSync, truncateSync } from "node:fs";
import { join } from "node:path";

/** Cuts off the end of the only file in a folder that this process has open, as a file system may that loses a write. */
export function loseEnd(folder: string, length: number): void {
  const open = readdirSync("/proc/self/fd").filter((fd) => targetOf(fd).startsWith(join(folder, "/")));
  if (open.length !== 1) throw new Error(`Cannot tell which file is meant: ${open.length} are open`);
  truncateSync(`/proc/self/fd/${open[0]}`, length);
}

function targetOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return ""; // Of the listing itself.
  }
}
