import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { systemCodeOf } from "../errors.js";

/**
 * Makes a folder and those above it, unless they are there. Node.js hides why it may not: of a read-only file system, a
 * quota or a name that is too long it says ENOENT, as if something were missing. This throws what the system says.
 */
export async function makeFolders(path: string | Buffer, mode: number): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode });
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT") throw error;
    const refusal = await refusalOf(path, mode);
    if (refusal) throw refusal;
    // Somebody else made one of them meanwhile.
    await mkdir(path, { recursive: true, mode });
  }
}

/** What the system says of the first folder that is missing; `undefined` when it is made. */
async function refusalOf(path: string | Buffer, mode: number): Promise<Error | undefined> {
  for (let at = path; ; at = parentOf(at)) {
    const error = await mkdir(at, { mode }).then(
      () => undefined,
      (cause: Error) => cause,
    );
    const code = systemCodeOf(error);
    if (code !== "ENOENT") return code === "EEXIST" ? undefined : error;
    if (parentOf(at).length >= at.length) return undefined;
  }
}

function parentOf(path: string | Buffer): string | Buffer {
  // Every byte is one character of latin1: none is lost.
  return typeof path === "string" ? dirname(path) : Buffer.from(dirname(path.toString("latin1")), "latin1");
}
