import { createHash } from "node:crypto";
import { type BigIntStats, constants, readFileSync } from "node:fs";
import { type FileHandle, lstat, readdir, readlink, stat } from "node:fs/promises";
import { idFromBytes } from "../bytes/id.js";
import { openToRead } from "../bytes/open-to-read.js";
import { systemCodeOf } from "../errors.js";
import {
  type FileRecord,
  type FileStat,
  type FileTime,
  isRegularFile,
  isSymlink,
  type ScannedEntry,
} from "./file-record.js";
import { joinRaw, pathBuffer, type RawPath, rawPath } from "./raw-path.js";
import type { Scanner, ScanOptions, SmallFile, SmallFileRequest } from "./scanner.js";

/** Enough to keep libuv's pool of four busy. */
const CONCURRENT_CALLS = 8;

/** The scanner over `node:fs`, for machines without the addon. */
export function createPortableScanner(): Scanner {
  let userNames: Map<number, string> | undefined;
  let groupNames: Map<number, string> | undefined;
  return {
    name: "portable",
    readsAttributes: false,

    async scanDirectory(path: RawPath, options: ScanOptions = {}): Promise<ScannedEntry[]> {
      if (!options.follow && !(await lstat(pathBuffer(path))).isDirectory())
        throw Object.assign(new Error(`ENOTDIR: scandir '${path}'`), { code: "ENOTDIR" });
      const names = (await readdir(pathBuffer(path), { encoding: "buffer" })).map(rawPath).sort();
      return mapInOrder(names, (name) => describe(joinRaw(path, name), name, false));
    },

    statPath: (path: RawPath, options: ScanOptions = {}) => describe(path, path, options.follow ?? false),

    statPaths: (paths: readonly RawPath[], options: ScanOptions = {}) =>
      mapInOrder(paths, (path) => describe(path, path, options.follow ?? false)),

    readSmallFiles(files: readonly SmallFileRequest[], into: Buffer) {
      let end = 0;
      const jobs = files.map(({ path, size }) => {
        const start = end;
        end += size + 1;
        return { path, room: into.subarray(start, end) };
      });
      return mapInOrder(jobs, ({ path, room }) =>
        readSmallFile(path, room).catch((error: Error): SmallFile | { error: Error } => ({ error })),
      );
    },

    seekData: (_descriptor: number, offset: number) => offset,

    userName(uid: number): string {
      userNames ??= readNames("/etc/passwd");
      return userNames.get(uid) ?? "";
    },

    groupName(gid: number): string {
      groupNames ??= readNames("/etc/group");
      return groupNames.get(gid) ?? "";
    },
  };
}

async function describe(path: RawPath, name: string, follow: boolean): Promise<ScannedEntry> {
  let found: FileStat;
  try {
    found = fileStat(await (follow ? stat : lstat)(pathBuffer(path), { bigint: true }));
  } catch (error) {
    return { name, error: error as Error };
  }
  const record = { name, stat: found, linkTarget: undefined, attributes: [], problem: undefined };
  return isSymlink(found) ? withTarget(record, path) : record;
}

async function withTarget(record: FileRecord, path: RawPath): Promise<FileRecord> {
  try {
    return { ...record, linkTarget: await readlink(pathBuffer(path), { encoding: "buffer" }) };
  } catch (error) {
    return { ...record, problem: error as Error };
  }
}

async function readSmallFile(path: RawPath, room: Buffer): Promise<SmallFile | { error: Error }> {
  const file = await openForReading(path);
  try {
    const opened = fileStat(await file.stat({ bigint: true }));
    if (!isRegularFile(opened)) return { stat: opened, content: undefined, id: undefined };
    const filled = await fillFrom(file, room, 0);
    if (filled === room.length) return { stat: opened, content: undefined, id: undefined };
    const content = room.subarray(0, filled);
    const hash = () => idFromBytes(createHash("sha256").update(content).digest());
    return { stat: opened, content, id: filled === 0 ? undefined : hash() };
  } finally {
    await file.close();
  }
}

/** Reads until the buffer is full or the file ends. */
export async function fillFrom(file: FileHandle, buffer: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

/**
 * Opens a file that must not be a link, without waiting for a writer (a FIFO) and, where allowed, without
 * touching its access time.
 */
export async function openForReading(path: RawPath) {
  try {
    return await openToRead(pathBuffer(path), constants.O_NOFOLLOW | (constants.O_NOATIME ?? 0));
  } catch (error) {
    if (systemCodeOf(error) !== "EPERM") throw error;
    return await openToRead(pathBuffer(path), constants.O_NOFOLLOW);
  }
}

export function fileStat(stats: BigIntStats): FileStat {
  return {
    mode: Number(stats.mode),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    dev: stats.dev,
    ino: stats.ino,
    links: Number(stats.nlink),
    rdev: stats.rdev,
    size: Number(stats.size),
    blocks: Number(stats.blocks),
    atime: fileTime(stats.atimeNs),
    mtime: fileTime(stats.mtimeNs),
    ctime: fileTime(stats.ctimeNs),
  };
}

const NS_PER_SECOND = 1_000_000_000n;

function fileTime(ns: bigint): FileTime {
  const nanoseconds = ((ns % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND;
  return { seconds: Number((ns - nanoseconds) / NS_PER_SECOND), nanoseconds: Number(nanoseconds) };
}

/** Names of numbers from a file in the form of passwd(5); without the file nobody has a name. */
function readNames(path: string): Map<number, string> {
  const names = new Map<number, string>();
  try {
    for (const line of readFileSync(path, "utf8").split("\n")) {
      const [name, , id] = line.split(":");
      if (name && id && /^\d+$/.test(id) && !names.has(Number(id))) names.set(Number(id), name);
    }
  } catch {
    // Numbers alone are a complete answer.
  }
  return names;
}

async function mapInOrder<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i]!);
  };
  await Promise.all(Array.from({ length: CONCURRENT_CALLS }, worker));
  return results;
}
