import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import { BatchQueue } from "../async/batch-queue.js";
import { ID_LENGTH, type Id, IdList, idFromBytes } from "../bytes/id.js";
import { isPlainInTree } from "../format/name-quoting.js";
import type { AccountFunctions } from "../native/account-functions.js";
import type { PageCacheFunctions } from "../native/page-cache-functions.js";
import {
  SCAN_RECORD as AT,
  MATCH_DETAIL,
  type ScanFunctions,
  type TreeMatch,
} from "../native/scan-functions.js";
import { isRegularFile, type ScannedEntry } from "./file-record.js";
import { displayPath, pathBuffer, type RawPath } from "./raw-path.js";
import { decodeRecords, RecordStat, systemError } from "./scan-record.js";
import type {
  CountedDirectory,
  MatchedDirectory,
  Scanner,
  ScanOptions,
  SmallFile,
  SmallFileRequest,
} from "./scanner.js";

/** Directories that are compared with a tree in one hop: a hop takes as long as comparing a small one. */
const SCAN_BATCHES = { aloneFrom: 64 * 1024, maxItems: 8, maxWeight: 128 * 1024, maxInFlight: 4 };

interface ScanRequest {
  readonly path: RawPath;
  readonly tree: Uint8Array;
}

/** The scanner over native/src/scan.cc. */
export function createNativeScanner(addon: AccountFunctions & ScanFunctions & PageCacheFunctions): Scanner {
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
      const [entry] = await this.statPaths([path], options);
      return entry!;
    },

    async statPaths(paths: readonly RawPath[], options: ScanOptions = {}): Promise<ScannedEntry[]> {
      const { follow = false, attributes = true } = options;
      const sound = paths.filter((path) => !path.includes("\0"));
      const list = Buffer.from(sound.map((path) => `${path}\0`).join(""), "latin1");
      const entries = decodeRecords(await addon.statEntries(list, follow, attributes), "");
      if (sound.length === paths.length) return entries;
      let next = 0;
      return paths.map((path) => (path.includes("\0") ? noPath(path) : entries[next++]!));
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

/** As the kernel would answer if it were possible to ask it. */
function noPath(path: RawPath): ScannedEntry {
  return { name: path, error: systemError(constants.errno.EINVAL, "lstat", displayPath(path)) };
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
