import { lstat } from "node:fs/promises";

/** Whether something has this name, a link that leads nowhere included. What cannot be asked about counts as not there. */
export function isThere(path: string | Buffer): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
