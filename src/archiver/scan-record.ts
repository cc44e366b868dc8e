/** The records of native/src/scan_record_writer.h. */

import { textKeepingBytes } from "../bytes/utf8.js";
import type { ExtendedAttribute } from "../format/node.js";
import { describeErrno } from "../native/describe-errno.js";
import { SCAN_RECORD as AT } from "../native/scan-functions.js";
import type { FileRecord, FileStat, FileTime, ScannedEntry } from "./file-record.js";
import { displayPath, joinRaw, type RawPath } from "./raw-path.js";

const UNREADABLE = 0xffffffff;

/** @param path of the directory that was scanned; "" when the names are paths */
export function decodeRecords(records: Buffer, path: RawPath | ""): ScannedEntry[] {
  const entries: ScannedEntry[] = [];
  for (let start = 0; start < records.length; start += records.readUInt32LE(start + AT.length))
    entries.push(decodeRecord(records, start, path));
  return entries;
}

function decodeRecord(records: Buffer, start: number, folder: RawPath | ""): ScannedEntry {
  const pathOf = () => {
    const name = nameOf(records, start);
    return displayPath(folder === "" ? (name as RawPath) : joinRaw(folder, name));
  };
  const statErrno = records.readInt32LE(start + AT.statErrno);
  if (statErrno !== 0)
    return { name: nameOf(records, start), error: systemError(statErrno, "lstat", pathOf()) };

  const targetErrno = records.readInt32LE(start + AT.targetErrno);
  const attributesErrno = records.readInt32LE(start + AT.attributesErrno);
  let problem: Error | undefined;
  if (targetErrno !== 0) problem = systemError(targetErrno, "readlink", pathOf());
  else if (attributesErrno !== 0) problem = systemError(attributesErrno, "llistxattr", pathOf());
  return new EntryRecord(records, start, problem);
}

/**
 * What a record says of a file's stat, read when it is asked for: as numbers of its own it would be ten objects for each
 * file, of which few are ever looked at.
 */
export class RecordStat implements FileStat {
  readonly mode: number;
  readonly size: number;
  protected readonly records: Buffer;
  protected readonly start: number;

  constructor(records: Buffer, start: number) {
    this.records = records;
    this.start = start;
    this.mode = records.readUInt32LE(start + AT.mode);
    this.size = readInt64(records, start + AT.size);
  }

  get uid(): number {
    return this.records.readUInt32LE(this.start + AT.uid);
  }

  get gid(): number {
    return this.records.readUInt32LE(this.start + AT.gid);
  }

  get dev(): bigint {
    return this.records.readBigUInt64LE(this.start + AT.dev);
  }

  get ino(): bigint {
    return this.records.readBigUInt64LE(this.start + AT.ino);
  }

  get links(): number {
    return readInt64(this.records, this.start + AT.links);
  }

  get rdev(): bigint {
    return this.records.readBigUInt64LE(this.start + AT.rdev);
  }

  get blocks(): number {
    return readInt64(this.records, this.start + AT.blocks);
  }

  get atime(): FileTime {
    return decodeTime(this.records, this.start + AT.atimeSeconds, this.start + AT.atimeNanoseconds);
  }

  get mtime(): FileTime {
    return decodeTime(this.records, this.start + AT.mtimeSeconds, this.start + AT.mtimeNanoseconds);
  }

  get ctime(): FileTime {
    return decodeTime(this.records, this.start + AT.ctimeSeconds, this.start + AT.ctimeNanoseconds);
  }
}

/** An entry with all that is known of it, read the same way: a directory may have 100,000. */
class EntryRecord extends RecordStat implements FileRecord {
  readonly problem: Error | undefined;

  constructor(records: Buffer, start: number, problem: Error | undefined) {
    super(records, start);
    this.problem = problem;
  }

  get stat(): FileStat {
    return this;
  }

  get name(): string {
    return nameOf(this.records, this.start);
  }

  get linkTarget(): Buffer | undefined {
    const start = targetStart(this.records, this.start);
    const end = start + this.records.readUInt32LE(this.start + AT.targetLength);
    return end > start ? this.records.subarray(start, end) : undefined;
  }

  get attributes(): readonly ExtendedAttribute[] {
    const length = this.records.readUInt32LE(this.start + AT.attributesLength);
    if (length === 0) return NONE;
    const start =
      targetStart(this.records, this.start) + this.records.readUInt32LE(this.start + AT.targetLength);
    return decodeAttributes(this.records, start, start + length);
  }
}

const NONE: readonly ExtendedAttribute[] = [];

/** Raw bytes as a Latin-1 string. */
function nameOf(records: Buffer, start: number): string {
  return records.toString("latin1", start + AT.name, targetStart(records, start));
}

/** Behind the name stands what a symlink points to, and behind that the attributes. */
function targetStart(records: Buffer, start: number): number {
  return start + AT.name + records.readUInt32LE(start + AT.nameLength);
}

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

function decodeTime(records: Buffer, secondsAt: number, nanosecondsAt: number): FileTime {
  return { seconds: readInt64(records, secondsAt), nanoseconds: records.readUInt32LE(nanosecondsAt) };
}

/** Sizes, counts and seconds: all below 2^53 in any file system there is. */
function readInt64(records: Buffer, at: number): number {
  return records.readInt32LE(at + 4) * 0x1_0000_0000 + records.readUInt32LE(at);
}

export function systemError(errno: number, syscall: string, path: string): Error {
  const [code, text] = describeErrno(errno) ?? [`errno ${errno}`, `error ${errno}`];
  return Object.assign(new Error(`${syscall} ${path}: ${text}`), { code, errno: -errno, syscall });
}
