import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { FileType } from "../backend/backend.js";
import { folderOfType } from "../backend/local-layout.js";
import { isHexId } from "../bytes/id.js";
import { systemCodeOf } from "../errors.js";
import { loadAddon } from "../native/addon.js";
import { SCAN_RECORD, type ScanFunctions } from "../native/scan-functions.js";

/** A file of a repository as its folder shows it. */
export interface ListedFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** When it was last written, in milliseconds since 1970: for what never changes, when it arrived. */
  readonly modifiedMs: number;
}

/** How many files are stat'ed at a time where there is no addon. */
const STATS_AT_A_TIME = 32;

const SHARD = /^[0-9a-f]{2}$/;

/**
 * The files of a type, one array for each folder that holds some (a folder of packs has 256), so that memory is that of
 * the largest folder. Only plain files with names that are IDs: no temporary file ever shows. A file that vanishes
 * meanwhile is left out. The folders may be links to another disk.
 *
 * @param folder of the repository
 * @throws what node:fs throws; ENOENT when the folder of the type is missing
 */
export async function* listFiles(folder: string, type: FileType): AsyncIterable<ListedFile[]> {
  if (type === "config") {
    const config = await statFile(folder, "config");
    if (config) yield [config];
    return;
  }
  const top = join(folder, folderOfType(type));
  if (type !== "pack") {
    yield await listFolder(top);
    return;
  }
  for (const shard of (await readdir(top)).filter((name) => SHARD.test(name)).sort()) {
    yield (await listShard(join(top, shard))).filter((file) => file.name.startsWith(shard));
  }
}

/** Nothing where there is no folder of that name: a stray file, or one that was removed meanwhile. */
async function listShard(folder: string): Promise<ListedFile[]> {
  try {
    return await listFolder(folder);
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw error;
  }
}

async function listFolder(folder: string): Promise<ListedFile[]> {
  const addon = loadAddon();
  return addon ? listNatively(addon, folder) : listPortably(folder);
}

/** One hop for the whole folder: 100,000 names with their sizes in 0.2 s instead of 1.5 s. */
async function listNatively(addon: ScanFunctions, folder: string): Promise<ListedFile[]> {
  const records = await addon.scanDirectory(Buffer.from(folder), true, false);
  const files: ListedFile[] = [];
  for (let at = 0; at < records.length; at += records.readUInt32LE(at + SCAN_RECORD.length)) {
    const isFile = (records.readUInt32LE(at + SCAN_RECORD.mode) & 0o170000) === 0o100000;
    if (records.readInt32LE(at + SCAN_RECORD.statErrno) !== 0 || !isFile) continue;
    const end = at + SCAN_RECORD.name + records.readUInt32LE(at + SCAN_RECORD.nameLength);
    const name = records.toString("latin1", at + SCAN_RECORD.name, end);
    if (!isHexId(name)) continue;
    const seconds = Number(records.readBigInt64LE(at + SCAN_RECORD.mtimeSeconds));
    files.push({
      name,
      size: Number(records.readBigInt64LE(at + SCAN_RECORD.size)),
      modifiedMs: seconds * 1000 + records.readUInt32LE(at + SCAN_RECORD.mtimeNanoseconds) / 1e6,
    });
  }
  return files;
}

async function listPortably(folder: string): Promise<ListedFile[]> {
  const names = (await readdir(folder)).filter(isHexId).sort();
  const files: ListedFile[] = [];
  for (let i = 0; i < names.length; i += STATS_AT_A_TIME) {
    const batch = names.slice(i, i + STATS_AT_A_TIME).map((name) => statFile(folder, name));
    for (const file of await Promise.all(batch)) if (file) files.push(file);
  }
  return files;
}

async function statFile(folder: string, name: string): Promise<ListedFile | undefined> {
  try {
    const stats = await lstat(join(folder, name));
    return stats.isFile() ? { name, size: stats.size, modifiedMs: stats.mtimeMs } : undefined;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
