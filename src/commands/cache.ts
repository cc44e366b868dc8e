import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isHexId } from "../bytes/id.js";
import { systemPath } from "../bytes/system-path.js";
import { systemCodeOf } from "../errors.js";

/** The cache of one repository, restic's or ours: they are the same. */
export interface CacheFolder {
  /** 64 hex digits. */
  readonly repositoryId: string;
  readonly path: string;
  /** When a program opened it last, in milliseconds since 1970. */
  readonly usedMs: number;
  /** Whole days since then. */
  readonly ageDays: number;
  readonly isOld: boolean;
}

/** Days after which a cache that nobody opens counts as old. */
export const DEFAULT_MAX_AGE_DAYS = 30;

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * The caches in a folder, the one that was used longest ago first; none when the folder is not there. What is no cache
 * is never among them, and so never removed.
 */
export async function listCaches(
  folder: string,
  maxAgeDays: number = DEFAULT_MAX_AGE_DAYS,
): Promise<CacheFolder[]> {
  const now = Date.now();
  const caches: CacheFolder[] = [];
  for (const name of await namesIn(folder)) {
    if (!isHexId(name)) continue;
    const path = join(folder, name);
    const stats = await lstat(systemPath(path));
    if (!stats.isDirectory()) continue;
    const age = now - stats.mtimeMs;
    caches.push({
      repositoryId: name,
      path,
      usedMs: stats.mtimeMs,
      ageDays: Math.max(0, Math.floor(age / DAY_MS)),
      isOld: age > maxAgeDays * DAY_MS,
    });
  }
  return caches.sort((a, b) => a.usedMs - b.usedMs);
}

/** Bytes of all files of a cache. Files that vanish meanwhile count nothing: other programs may be at work. */
export async function cacheBytes(cache: CacheFolder): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(cache.path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const stats = await lstat(join(entry.parentPath, entry.name)).catch(() => undefined);
    bytes += stats?.size ?? 0;
  }
  return bytes;
}

/** Removes the old among some caches. @returns those that were */
export async function removeOldCaches(caches: readonly CacheFolder[]): Promise<readonly CacheFolder[]> {
  const old = caches.filter(({ isOld }) => isOld);
  for (const { path } of old) await rm(systemPath(path), { recursive: true, force: true });
  return old;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(systemPath(folder));
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return [];
    throw error;
  }
}
