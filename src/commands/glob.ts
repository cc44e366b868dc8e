import { readdir } from "node:fs/promises";
import { posix } from "node:path";
import { append } from "../bytes/append.js";
import { isThere } from "../bytes/is-there.js";
import { UsageError } from "../errors.js";
import { compileComponent, pathText } from "../patterns/mod.js";

const META = /[*?[\\]/;

/** False for what can only stand for itself. */
export function isGlob(pattern: Uint8Array): boolean {
  return META.test(Buffer.from(pattern.buffer, pattern.byteOffset, pattern.byteLength).toString("latin1"));
}

/**
 * Expands a pattern as Go's `filepath.Glob` does: each component on its own, dot files included, results
 * sorted within a directory, without "." and ".." in them; a pattern without any special character stands for itself if
 * that exists. Directories that cannot be read match nothing, and a pattern that ends in a slash matches nothing either.
 *
 * @throws {UsageError} for a pattern that is none
 */
export async function expandGlob(pattern: Uint8Array): Promise<Buffer[]> {
  const raw = Buffer.from(pattern).toString("latin1");
  if (!META.test(raw)) return (await isThere(Buffer.from(raw, "latin1"))) ? [Buffer.from(raw, "latin1")] : [];
  if (raw.endsWith("/")) return [];
  const parts = raw.split("/");
  let found = [parts[0] === "" ? "/" : ""];
  for (const part of parts) {
    if (part === "") continue;
    found = META.test(part) ? await matchIn(found, part, raw) : await descend(found, part);
  }
  return found.map((path) => Buffer.from(posix.normalize(path), "latin1"));
}

async function matchIn(folders: readonly string[], part: string, pattern: string): Promise<string[]> {
  let matches: (name: string) => boolean;
  try {
    matches = compileComponent(pathText(Buffer.from(part, "latin1")));
  } catch (cause) {
    const shown = pathText(Buffer.from(pattern, "latin1"));
    throw new UsageError(`pattern: ${shown}: syntax error in pattern`, { cause });
  }
  const found: string[] = [];
  for (const folder of folders) {
    const names = await readdir(Buffer.from(folder || ".", "latin1"), { encoding: "buffer" }).catch(() => []);
    const raw = names.filter((name) => matches(pathText(name))).map((name) => name.toString("latin1"));
    append(
      found,
      raw.sort().map((name) => join(folder, name)),
    );
  }
  return found;
}

async function descend(folders: readonly string[], part: string): Promise<string[]> {
  const found: string[] = [];
  for (const folder of folders) {
    const path = join(folder, part);
    if (await isThere(Buffer.from(path, "latin1"))) found.push(path);
  }
  return found;
}

function join(folder: string, name: string): string {
  return folder === "" || folder.endsWith("/") ? folder + name : `${folder}/${name}`;
}
