import { getSystemErrorMap, getSystemErrorName } from "node:util";
import { BatchQueue } from "../async/batch-queue.js";
import { ID_LENGTH, type Id, IdList, idFromBytes } from "../bytes/id.js";
import { textKeepingBytes } from "../bytes/utf8.js";
import { isPlainInTree } from "../format/name-quoting.js";
import type { ExtendedAttribute } from "../format/node.js";
import type { PageCacheFunctions } from "../native/page-cache-functions.js";
import {
  SCAN_RECORD as AT,
  MATCH_DETAIL,
  type ScanFunctions,
  type TreeMatch,
} from "../native/scan-functions.js";
import { type FileStat, type FileTime, isRegularFile, type ScannedEntry } from "./file-record.js";
import { displayPath, joinRaw, pathBuffer, type RawPath } from "./raw-path.js";
import type {
  CountedDirectory,
  MatchedDirectory,
  Scanner,
  ScanOptions,
  SmallFile,
  SmallFileRequest,
} from "./scanner.js";

const UNREADABLE = 0xffffffff;

/** Directories that are compared with a tree in one hop: a hop takes as long as comparing a small one. */
const SCAN_BATCHES = { aloneFrom: 64 * 1024, maxItems: 8, maxWeight: 128 * 1024, maxInFlight: 4 };

interface ScanRequest {
  readonly path: RawPath;
  readonly tree: Uint8Array;
}

/** The scanner over native/src/scan.cc. */
export function createNativeScanner(addon: ScanFunctions & PageCacheFunctions): Scanner {
  const userNames = new Map<number, string>();
  const groupNames = new Map<number, string>();
  const userName = (uid: number) => cached(userNames, uid, addon.userName);
  const groupName = (gid: number) => cached(groupNames, gid, addon.groupName);
  const against = new BatchQueue<ScanRequest, Buffer | TreeMatch | Error>({
    work: (requests) =>
      addon.scanAgainstTrees(
        pathList(requests),
        requests.map(({ tree }) => tree),
      ),
    weigh: ({ tree }) => tree.length,
    ...SCAN_BATCHES,
  });
  return {
    name: "native",
    readsAttributes: true,
    pageCache: addon,

    async scanDirectory(path: RawPath, options: ScanOptions = {}): Promise<ScannedEntry[]> {
      const { follow = false, attributes = true } = options;
      return decodeRecords(await addon.scanDirectory(pathBuffer(path), follow, attributes), path);
    },

    async scanAgainst(path: RawPath, tree: Uint8Array): Promise<ScannedEntry[] | MatchedDirectory> {
      const found = await against.run({ path, tree });
      if (found instanceof Error) throw found;
      if (Buffer.isBuffer(found)) return decodeRecords(found, path);
      return decodeMatch(found, userName, groupName) ?? this.scanDirectory(path);
    },

    async countDirectory(path: RawPath): Promise<CountedDirectory> {
      const { files, bytes, directories } = await addon.countDirectory(pathBuffer(path));
      return { files, bytes, directories: directories.toString("latin1").split("\0").slice(0, -1) };
    },

    async statPath(path: RawPath, options: ScanOptions = {}): Promise<ScannedEntry> {
      return decodeRecord(await addon.statEntry(pathBuffer(path), options.follow ?? false), 0, "");
    },

    async readSmallFiles(files: readonly SmallFileRequest[], into: Buffer) {
      const rooms = Uint32Array.from(files, (file) => file.size + 1);
      const records = await addon.readSmallFiles(pathList(files), rooms, into);
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

    userName,
    groupName,
  };
}

/** Each path with a zero byte behind it. */
function pathList(items: readonly { readonly path: RawPath }[]): Buffer {
  return Buffer.from(items.map(({ path }) => `${path}\0`).join(""), "latin1");
}

function cached(names: Map<number, string>, id: number, lookup: (id: number) => string): string {
  let name = names.get(id);
  if (name === undefined) {
    name = lookup(id);
    names.set(id, name);
  }
  return name;
}

/** `undefined` when something in the blob is not what would be written today. */
function decodeMatch(
  { files, bytes, contents, details }: TreeMatch,
  userName: (uid: number) => string,
  groupName: (gid: number) => string,
): MatchedDirectory | undefined {
  const directories: { name: string; tree: Id }[] = [];
  for (let at = 0; at < details.length; ) {
    const kind = details.readUInt32LE(at);
    const number = details.readUInt32LE(at + 4);
    const start = at + 12;
    at = start + details.readUInt32LE(at + 8);
    if (kind === MATCH_DETAIL.directory) {
      const nameAt = start + ID_LENGTH;
      directories.push({
        name: details.toString("latin1", nameAt, at),
        tree: details.subarray(start, nameAt) as Uint8Array as Id,
      });
    } else if (kind === MATCH_DETAIL.unquotedName) {
      if (!isPlainInTree(details.subarray(start, at))) return undefined;
    } else {
      const name = kind === MATCH_DETAIL.user ? userName(number) : groupName(number);
      if (details.toString("latin1", start, at) !== name) return undefined;
    }
  }
  return { files, bytes, contents: new IdList(contents), directories };
}

function decodeRecords(records: Buffer, path: RawPath): ScannedEntry[] {
  const entries: ScannedEntry[] = [];
  for (let start = 0; start < records.length; start += records.readUInt32LE(start + AT.length))
    entries.push(decodeRecord(records, start, path));
  return entries;
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
  const stat = new RecordStat(records, start);
  if (tooLarge || !isRegularFile(stat)) return { stat, content: undefined, id: undefined };
  const length = records.readUInt32LE(start + AT.targetLength);
  const hash = records.subarray(start + AT.name, start + AT.name + ID_LENGTH);
  return { stat, content: content.subarray(0, length), id: length === 0 ? undefined : idFromBytes(hash) };
}

/** @param folder "" when the name of the record is a path */
function decodeRecord(records: Buffer, start: number, folder: RawPath | ""): ScannedEntry {
  const nameLength = records.readUInt32LE(start + AT.nameLength);
  const targetAt = start + AT.name + nameLength;
  const name = records.toString("latin1", start + AT.name, targetAt);
  const pathOf = () => displayPath(folder === "" ? (name as RawPath) : joinRaw(folder, name));
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
    stat: new RecordStat(records, start),
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

/**
 * What a record says, read when it is asked for: as numbers of its own it would be ten objects for each file, of which few
 * are ever looked at.
 */
class RecordStat implements FileStat {
  readonly mode: number;
  readonly size: number;
  readonly #records: Buffer;
  readonly #start: number;

  constructor(records: Buffer, start: number) {
    this.#records = records;
    this.#start = start;
    this.mode = records.readUInt32LE(start + AT.mode);
    this.size = readInt64(records, start + AT.size);
  }

  get uid(): number {
    return this.#records.readUInt32LE(this.#start + AT.uid);
  }

  get gid(): number {
    return this.#records.readUInt32LE(this.#start + AT.gid);
  }

  get dev(): bigint {
    return this.#records.readBigUInt64LE(this.#start + AT.dev);
  }

  get ino(): bigint {
    return this.#records.readBigUInt64LE(this.#start + AT.ino);
  }

  get links(): number {
    return readInt64(this.#records, this.#start + AT.links);
  }

  get rdev(): bigint {
    return this.#records.readBigUInt64LE(this.#start + AT.rdev);
  }

  get blocks(): number {
    return readInt64(this.#records, this.#start + AT.blocks);
  }

  get atime(): FileTime {
    return decodeTime(this.#records, this.#start + AT.atimeSeconds, this.#start + AT.atimeNanoseconds);
  }

  get mtime(): FileTime {
    return decodeTime(this.#records, this.#start + AT.mtimeSeconds, this.#start + AT.mtimeNanoseconds);
  }

  get ctime(): FileTime {
    return decodeTime(this.#records, this.#start + AT.ctimeSeconds, this.#start + AT.ctimeNanoseconds);
  }
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
