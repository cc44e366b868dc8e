import { randomBytes } from "node:crypto";
import { open, readdir, rename, rm, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemPath } from "../bytes/system-path.js";

/** What a file is called until it is whole, here and with restic. */
const TEMPORARY_NAME = /^tmp-[0-9a-f]+$/;

/** One that nobody has written to for so long belongs to a process that was killed. */
const ABANDONED_MS = 60 * 60 * 1000;

/** Under another name first: whoever reads it finds it whole. */
export async function writeWhole(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const temporary = join(dirname(path), `tmp-${randomBytes(8).toString("hex")}`);
  try {
    const file = await open(systemPath(temporary), "wx", 0o600);
    try {
      for (const piece of pieces) await file.writeFile(piece);
    } finally {
      await file.close();
    }
    await rename(systemPath(temporary), systemPath(path));
  } catch (error) {
    await unlink(systemPath(temporary)).catch(() => {});
    throw error;
  }
}

/** `undefined` when they cannot all be read. */
export async function readRange(path: string, offset: number, length: number): Promise<Buffer | undefined> {
  try {
    const file = await open(systemPath(path), "r");
    try {
      const bytes = Buffer.allocUnsafe(length);
      const { bytesRead } = await file.read(bytes, 0, length, offset);
      return bytesRead === length ? bytes : undefined;
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}

/** None where there is no such folder. */
export async function namesIn(folder: string): Promise<string[]> {
  return readdir(systemPath(folder)).catch(() => []);
}

/** The same of a folder with files; takes away those that were never finished, which count for no limit. */
export async function finishedIn(folder: string): Promise<string[]> {
  const names = await namesIn(folder);
  for (const name of names) if (TEMPORARY_NAME.test(name)) await removeAbandoned(join(folder, name));
  return names;
}

async function removeAbandoned(path: string): Promise<void> {
  try {
    const { mtimeMs } = await stat(systemPath(path));
    if (Date.now() - mtimeMs > ABANDONED_MS) await unlink(systemPath(path));
  } catch {} // Gone, or not ours.
}

/** As far as it goes. */
export async function removeTree(path: string): Promise<void> {
  await rm(systemPath(path), { recursive: true, force: true }).catch(() => {});
}
