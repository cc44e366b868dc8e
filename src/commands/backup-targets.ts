import { readFile } from "node:fs/promises";
import { createScanner, isGone, isUnreadable, lookAhead, rawPath } from "../archiver/mod.js";
import { append } from "../bytes/append.js";
import { systemPath } from "../bytes/system-path.js";
import { messageOf, UsageError } from "../errors.js";
import { pathText, readTextLines, textBytes, trimSpace } from "../patterns/mod.js";
import { expandGlob, isGlob } from "./glob.js";

/** Where the names of files and directories come from. A file named "-" is standard input. */
export interface TargetSources {
  /** As typed. */
  readonly paths: readonly string[];
  /** Files with a glob pattern a line; `#` begins a comment. */
  readonly filesFrom: readonly string[];
  /** Files with a name a line, taken as it is. */
  readonly filesFromVerbatim: readonly string[];
  /** Files with names that each end in a zero byte. */
  readonly filesFromRaw: readonly string[];
}

export interface CollectedTargets {
  readonly targets: readonly (string | Uint8Array)[];
  /** Named and not there, or not to be looked at; the backup goes on without them and is incomplete. */
  readonly missing: number;
}

/**
 * Collects the targets from all sources; those that do not exist or cannot be looked at are left out with a
 * warning.
 *
 * @param readInput reads standard input to its end
 * @throws {UsageError} if nothing is named, nothing of it exists, or a list cannot be read
 */
export async function collectTargets(
  sources: TargetSources,
  readInput: () => Promise<Uint8Array>,
  warn: (message: string) => void,
): Promise<CollectedTargets> {
  const load = (path: string) => (path === "-" ? readInput() : readList(path));
  const named: (string | Uint8Array)[] = [];
  for (const file of sources.filesFrom) {
    const patterns = readTextLines(await load(file))
      .map((line) => textBytes(trimSpace(pathText(line))))
      .filter((pattern) => pattern.length > 0 && pattern[0] !== "#".charCodeAt(0));
    append(named, await expandAll(patterns, warn));
  }
  for (const file of sources.filesFromVerbatim)
    append(
      named,
      readTextLines(await load(file)).filter((line) => line.length > 0),
    );
  for (const file of sources.filesFromRaw) append(named, splitAtZeros(await load(file)));
  append(named, sources.paths);
  if (named.length === 0) throw new UsageError("nothing to backup, please specify source files/dirs");
  return keepExisting(named, warn);
}

/** Most lines of most lists are no patterns: what they name is looked at many at a time. */
async function expandAll(patterns: readonly Buffer[], warn: (message: string) => void): Promise<Buffer[]> {
  const all: Buffer[] = [];
  const pathOf = (pattern: Buffer) => (isGlob(pattern) ? undefined : rawPath(pattern));
  for await (const [pattern, entry] of lookAhead(createScanner(), patterns, pathOf, { attributes: false })) {
    const found = !entry ? await expandGlob(pattern) : isUnreadable(entry) ? [] : [pattern];
    if (found.length === 0) warn(`pattern "${pattern}" does not match any files, skipping`);
    append(all, found);
  }
  return all;
}

async function keepExisting(
  named: readonly (string | Uint8Array)[],
  warn: (message: string) => void,
): Promise<CollectedTargets> {
  const targets: (string | Uint8Array)[] = [];
  for await (const [target, entry] of lookAhead(createScanner(), named, rawPath, { attributes: false })) {
    if (!isUnreadable(entry!)) targets.push(target);
    else if (isGone(entry.error)) warn(`${target.toString()} does not exist, skipping`);
    else warn(`${target.toString()} cannot be accessed, skipping: ${messageOf(entry.error)}`);
  }
  if (targets.length === 0) throw new UsageError("all source directories/files do not exist");
  return { targets, missing: named.length - targets.length };
}

async function readList(path: string): Promise<Uint8Array> {
  try {
    return await readFile(systemPath(path));
  } catch (cause) {
    throw new UsageError(`Cannot read the list of files "${path}": ${messageOf(cause)}`, { cause });
  }
}

function splitAtZeros(bytes: Uint8Array): Buffer[] {
  const list = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const names: Buffer[] = [];
  for (let start = 0; start < list.length; ) {
    const end = list.indexOf(0, start);
    if (end < 0) throw new UsageError("--files-from-raw: trailing zero byte missing");
    // An empty name would mean the working folder, which nobody who writes such lists means.
    if (end === start) throw new UsageError("--files-from-raw: empty filename in listing");
    names.push(list.subarray(start, end));
    start = end + 1;
  }
  return names;
}
