import { getSystemErrorMap, getSystemErrorName } from "node:util";
import { textKeepingBytes } from "../bytes/utf8.js";
import type { ExtendedAttribute } from "../format/node.js";
import { SCAN_RECORD as AT, type ScanFunctions } from "../native/scan-functions.js";
import { type FileStat, type FileTime, isRegularFile, type ScannedEntry } from "./file-record.js";
import { displayPath, pathBuffer, type RawPath } from "./raw-path.js";
import type { Scanner, ScanOptions, SmallFile, SmallFileRequest } from "./scanner.js";

const UNREADABLE = 0xffffffff;

/** The scanner over native/src/scan.cc. */
export function createNativeScanner(addon: ScanFunctions): Scanner {
  const userNames = new Map<number, string>();
  const groupNames = new Map<number, string>();
  return {
    name: "native",
    readsAttributes: true,

    async scanDirectory(path: RawPath, options: ScanOptions = {}): Promise<ScannedEntry[]> {
      const { follow = false, attributes = true } = options;
      const records = await addon.scanDirectory(pathBuffer(path), follow, attributes);
      const entries: ScannedEntry[] = [];
      for (let start = 0; start < records.length; start += records.readUInt32LE(start + AT.length))
        entries.push(decodeRecord(records, start, `${displayPath(path)}/`));
      return entries;
    },

    async statPath(path: RawPath, options: ScanOptions = {}): Promise<ScannedEntry> {
      return decodeRecord(await addon.statEntry(pathBuffer(path), options.follow ?? false), 0, "");
    },

    async readSmallFiles(files: readonly SmallFileRequest[], into: Buffer) {
      const rooms = files.map((file) => file.size + 1);
      const paths = files.map((file) => pathBuffer(file.path));
      const records = await addon.readSmallFiles(paths, rooms, into);
      let start = 0;
      let offset = 0;
      return files.map((file, i) => {
        const decoded = decodeSmallFile(records, start, into.subarray(offset), file.path);
        start += records.readUInt32LE(start + AT.length);
        offset += rooms[i]!;
        return decoded;
      });
    },

    seekData(descriptor: number, offset: number): number | undefined {
      const found = addon.seekData(descriptor, offset);
      return found < 0 ? undefined : found;
    },

    userName: (uid) => cached(userNames, uid, addon.userName),
    groupName: (gid) => cached(groupNames, gid, addon.groupName),
  };
}

function cached(names: Map<number, string>, id: number, lookup: (id: number) => string): string {
  let name = names.get(id);
  if (name === undefined) {
    name = lookup(id);
    names.set(id, name);
  }
  return name;
}

function decodeSmallFile(
  records: Buffer,
  start: number,
  content: Buffer,
  path: RawPath,
): SmallFile | { error: Error } {
  const errno = records.readInt32LE(start + AT.contentErrno);
  const tooLarge = errno !== 0 && getSystemErrorName(-errno) === "EFBIG";
  if (errno !== 0 && !tooLarge) return { error: systemError(errno, "open", displayPath(path)) };
  const stat = decodeStat(records, start);
  if (tooLarge || !isRegularFile(stat)) return { stat, content: undefined };
  return { stat, content: content.subarray(0, records.readUInt32LE(start + AT.targetLength)) };
}

function decodeRecord(records: Buffer, start: number, folder: string): ScannedEntry {
  const nameLength = records.readUInt32LE(start + AT.nameLength);
  const targetAt = start + AT.name + nameLength;
  const name = records.toString("latin1", start + AT.name, targetAt);
  const pathOf = () => folder + displayPath(name as RawPath);
  const statErrno = records.readInt32LE(start + AT.statErrno);
  if (statErrno !== 0) return { name, error: systemError(statErrno, "lstat", pathOf()) };

  const attributesAt = targetAt + records.readUInt32LE(start + AT.targetLength);
  const attributesEnd = attributesAt + records.readUInt32LE(start + AT.attributesLength);
  const targetErrno = records.readInt32LE(start + AT.targetErrno);
  const attributesErrno = records.readInt32LE(start + AT.attributesErrno);
  let problem: Error | undefined;
  if (targetErrno !== 0) problem = systemError(targetErrno, "readlink", pathOf());
  else if (attributesErrno !== 0) problem = systemError(attributesErrno, "llistxattr", pathOf());
  return {
    name,
    stat: decodeStat(records, start),
    linkTarget: attributesAt > targetAt ? records.subarray(targetAt, attributesAt) : undefined,
    attributes: attributesEnd > attributesAt ? decodeAttributes(records, attributesAt, attributesEnd) : NONE,
    problem,
  };
}

const NONE: readonly ExtendedAttribute[] = [];

/** Attributes whose value could not be read are left out, as restic leaves them out. */
function decodeAttributes(records: Buffer, start: number, end: number): ExtendedAttribute[] {
  const attributes: ExtendedAttribute[] = [];
  for (let at = start; at < end; ) {
    const nameLength = records.readUInt32LE(at);
    const valueLength = records.readUInt32LE(at + 4);
    const valueAt = at + 8 + nameLength;
    const name = textKeepingBytes(records.subarray(at + 8, valueAt));
    at = valueAt;
    if (valueLength === UNREADABLE) continue;
    at += valueLength;
    attributes.push({ name, value: records.subarray(valueAt, at) });
  }
  return attributes;
}

function decodeStat(records: Buffer, start: number): FileStat {
  return {
    mode: records.readUInt32LE(start + AT.mode),
    uid: records.readUInt32LE(start + AT.uid),
    gid: records.readUInt32LE(start + AT.gid),
    dev: records.readBigUInt64LE(start + AT.dev),
    ino: records.readBigUInt64LE(start + AT.ino),
    links: readInt64(records, start + AT.links),
    rdev: records.readBigUInt64LE(start + AT.rdev),
    size: readInt64(records, start + AT.size),
    blocks: readInt64(records, start + AT.blocks),
    atime: decodeTime(records, start + AT.atimeSeconds, start + AT.atimeNanoseconds),
    mtime: decodeTime(records, start + AT.mtimeSeconds, start + AT.mtimeNanoseconds),
    ctime: decodeTime(records, start + AT.ctimeSeconds, start + AT.ctimeNanoseconds),
  };
}

function decodeTime(records: Buffer, secondsAt: number, nanosecondsAt: number): FileTime {
  return { seconds: readInt64(records, secondsAt), nanoseconds: records.readUInt32LE(nanosecondsAt) };
}

/** Sizes, counts and seconds: all below 2^53 in any file system there is. */
function readInt64(records: Buffer, at: number): number {
  return records.readInt32LE(at + 4) * 0x1_0000_0000 + records.readUInt32LE(at);
}

function systemError(errno: number, syscall: string, path: string): Error {
  const [code, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, `error ${errno}`];
  return Object.assign(new Error(`${syscall} ${path}: ${text}`), { code, errno: -errno, syscall });
}
