/**
 * Zip, written without going back: sizes and checksum of an entry stand behind its content (a data descriptor), and all
 * entries once more in the directory at the end, which is kept until then: about 200 bytes an entry and its name. From 4
 * GiB or 65,535 entries on the fields of Zip64 are used. Modes and times are in the extra fields that Info-ZIP knows.
 */

import { promisify } from "node:util";
import { constants, crc32, deflateRaw, deflateRawSync, type ZlibOptions } from "node:zlib";
import { awaitedLater } from "../async/awaited-later.js";
import { Semaphore } from "../async/semaphore.js";
import { isUtf8 } from "../bytes/utf8.js";
import { YoreError } from "../errors.js";
import { posixModeFromNode } from "../format/file-mode.js";
import { localZoneMinutes } from "../format/timestamp.js";
import type { ArchiveEntry, ArchiveWriter, Sink, Written } from "./archive-writer.js";

const deflate = promisify<Uint8Array, ZlibOptions, Buffer>(deflateRaw);
/** Archives of source code are as large as restic's then; 6 makes them 1 % smaller and takes 17 % longer. */
const LEVEL = 5;
/** The threads that compress are four; while one piece is handed over another waits. */
const COMPRESSED_AT_ONCE = 6;
/** What is not larger is compressed on the spot: a way to a thread and back takes 60 us, 5 bytes 8. */
const AT_ONCE_BYTES = 4096;
const MIN_WINDOW_BITS = 9;
const MAX_WINDOW_BITS = 15;
/** Ends a content whose last piece did not know that it was the last. */
const EMPTY_LAST_BLOCK = Buffer.from([0x03, 0x00]);
const STORED = 0;
const DEFLATED = 8;
const HAS_DESCRIPTOR = 1 << 3;
const NAME_IS_UTF8 = 1 << 11;
const MADE_ON_UNIX = 3 << 8;
const VERSION = 20;
const VERSION_ZIP64 = 45;
const MAX_UINT32 = 0xffff_ffff;
const MAX_UINT16 = 0xffff;
/** From here on a content may not fit 32 bits when it is compressed badly. */
const ZIP64_SIZE = 0xff00_0000;

interface WrittenEntry {
  readonly name: Buffer;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** Mode and the flag of MS-DOS for directories. */
  readonly attributes: number;
  readonly flags: number;
  readonly method: number;
  readonly isZip64: boolean;
  /** Bytes of content that are still to come, as far as they are known. */
  rest: number;
  /** Where its header is, once that was written. */
  offset: number;
  crc: number;
  size: number;
  packedSize: number;
}

/**
 * Compresses each piece of content by itself, several at a time: what comes out of `deflate` for one ends with a whole
 * byte and can be followed by the next.
 */
export class ZipWriter implements ArchiveWriter {
  readonly #sink: Sink;
  readonly #entries: WrittenEntry[] = [];
  readonly #compressing = new Semaphore(COMPRESSED_AT_ONCE);
  #offset = 0;
  #current: WrittenEntry | undefined;
  /** What was handed in so far and is not written, in its order. */
  #last: Promise<void> = Promise.resolve();

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** @throws {YoreError} `not-supported` for a path that the format has no room for */
  begin({ path, node, size }: ArchiveEntry): Written {
    const name = node.type === "dir" ? Buffer.concat([path, SLASH]) : path;
    if (name.length > MAX_UINT16)
      throw new YoreError(
        "not-supported",
        `Cannot put "${path.toString("utf8", 0, 100)}..." into a zip archive: its path has ${name.length} bytes, and ${MAX_UINT16} are the most`,
        { hint: "Dump it with --archive tar" },
      );
    const entry: WrittenEntry = {
      name,
      mtime: node.mtime.seconds,
      attributes: ((posixModeFromNode(node) << 16) | (node.type === "dir" ? 0x10 : 0)) >>> 0,
      flags: HAS_DESCRIPTOR | (isUtf8(name) ? NAME_IS_UTF8 : 0),
      method: node.type === "file" && size > 0 ? DEFLATED : STORED,
      isZip64: size >= ZIP64_SIZE,
      rest: size,
      offset: 0,
      crc: 0,
      size: 0,
      packedSize: 0,
    };
    this.#entries.push(entry);
    this.#current = entry;
    const begun = this.#then(async () => {
      entry.offset = this.#offset;
      await this.#write(localHeader(entry));
    });
    return node.type === "symlink" ? this.content(node.linkTarget ?? NO_BYTES, true) : begun;
  }

  content(bytes: Uint8Array, isDense: boolean): Written {
    const entry = this.#current!;
    entry.crc = crc32(bytes, entry.crc);
    entry.size += bytes.length;
    entry.rest -= bytes.length;
    const isDeflated = entry.method === DEFLATED;
    const packing = isDeflated ? awaitedLater(this.#compress(bytes, isDense, entry.rest === 0)) : undefined;
    return this.#then(async () => {
      const piece = (await packing) ?? bytes;
      entry.packedSize += piece.length;
      await this.#write(piece);
    });
  }

  end(): Written {
    const entry = this.#current!;
    return this.#then(async () => {
      if (entry.method === DEFLATED && entry.rest !== 0) {
        entry.packedSize += EMPTY_LAST_BLOCK.length;
        await this.#write(EMPTY_LAST_BLOCK);
      }
      await this.#write(descriptor(entry));
    });
  }

  finish(): Written {
    return this.#then(async () => {
      const start = this.#offset;
      for (const entry of this.#entries) await this.#write(directoryHeader(entry));
      await this.#write(endOfDirectory(this.#entries.length, start, this.#offset));
    });
  }

  async #compress(bytes: Uint8Array, isDense: boolean, isLast: boolean): Promise<Uint8Array> {
    const options = {
      level: isDense ? constants.Z_NO_COMPRESSION : LEVEL,
      finishFlush: isLast ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
      // What a window larger than the piece takes to set up is more than most small files take to compress.
      windowBits: Math.min(MAX_WINDOW_BITS, Math.max(MIN_WINDOW_BITS, 32 - Math.clz32(bytes.length))),
    };
    // The piece is a part of the room that it was made in, which it keeps until it is written.
    if (bytes.length <= AT_ONCE_BYTES)
      return deflateRawSync(bytes, { ...options, chunkSize: bytes.length + 64 });
    return this.#compressing.run(() => deflate(bytes, options));
  }

  /** Does something when all that was handed in before is written. */
  #then(work: () => Promise<void>): Promise<void> {
    // Whoever does not wait for this waits for a later one, which fails with it.
    this.#last = awaitedLater(this.#last.then(work));
    return this.#last;
  }

  #write(bytes: Uint8Array): Written {
    this.#offset += bytes.length;
    return this.#sink(bytes);
  }
}

function localHeader({ name, mtime, flags, method, isZip64 }: WrittenEntry): Buffer {
  const header = Buffer.alloc(30);
  const { date, time } = dosTime(mtime);
  const extra = Buffer.concat([isZip64 ? zip64Extra([0, 0]) : NO_BYTES, timeExtra(mtime)]);
  header.writeUInt32LE(0x0403_4b50, 0);
  header.writeUInt16LE(isZip64 ? VERSION_ZIP64 : VERSION, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt16LE(method, 8);
  header.writeUInt16LE(time, 10);
  header.writeUInt16LE(date, 12);
  header.writeUInt32LE(isZip64 ? MAX_UINT32 : 0, 18);
  header.writeUInt32LE(isZip64 ? MAX_UINT32 : 0, 22);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(extra.length, 28);
  return Buffer.concat([header, name, extra]);
}

function descriptor({ crc, size, packedSize, isZip64 }: WrittenEntry): Buffer {
  const bytes = Buffer.alloc(isZip64 ? 24 : 16);
  bytes.writeUInt32LE(0x0807_4b50, 0);
  bytes.writeUInt32LE(crc, 4);
  if (isZip64) {
    bytes.writeBigUInt64LE(BigInt(packedSize), 8);
    bytes.writeBigUInt64LE(BigInt(size), 16);
  } else {
    bytes.writeUInt32LE(packedSize, 8);
    bytes.writeUInt32LE(size, 12);
  }
  return bytes;
}

function directoryHeader({
  name,
  mtime,
  attributes,
  flags,
  method,
  offset,
  crc,
  size,
  packedSize,
  isZip64,
}: WrittenEntry): Buffer {
  const header = Buffer.alloc(46);
  const { date, time } = dosTime(mtime);
  const sizes = isZip64 ? [size, packedSize] : [];
  const large = [...sizes, ...(offset >= MAX_UINT32 ? [offset] : [])];
  const extra = Buffer.concat([large.length > 0 ? zip64Extra(large) : NO_BYTES, timeExtra(mtime)]);
  header.writeUInt32LE(0x0201_4b50, 0);
  header.writeUInt16LE(MADE_ON_UNIX | VERSION_ZIP64, 4);
  header.writeUInt16LE(large.length > 0 ? VERSION_ZIP64 : VERSION, 6);
  header.writeUInt16LE(flags, 8);
  header.writeUInt16LE(method, 10);
  header.writeUInt16LE(time, 12);
  header.writeUInt16LE(date, 14);
  header.writeUInt32LE(crc, 16);
  header.writeUInt32LE(isZip64 ? MAX_UINT32 : packedSize, 20);
  header.writeUInt32LE(isZip64 ? MAX_UINT32 : size, 24);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(extra.length, 30);
  header.writeUInt32LE(attributes, 38);
  header.writeUInt32LE(Math.min(offset, MAX_UINT32), 42);
  return Buffer.concat([header, name, extra]);
}

function endOfDirectory(entries: number, start: number, end: number): Buffer {
  const bytes = Buffer.alloc(22);
  bytes.writeUInt32LE(0x0605_4b50, 0);
  bytes.writeUInt16LE(Math.min(entries, MAX_UINT16), 8);
  bytes.writeUInt16LE(Math.min(entries, MAX_UINT16), 10);
  bytes.writeUInt32LE(Math.min(end - start, MAX_UINT32), 12);
  bytes.writeUInt32LE(Math.min(start, MAX_UINT32), 16);
  if (entries < MAX_UINT16 && end < MAX_UINT32) return bytes;
  const zip64 = Buffer.alloc(56 + 20);
  zip64.writeUInt32LE(0x0606_4b50, 0);
  zip64.writeBigUInt64LE(44n, 4);
  zip64.writeUInt16LE(MADE_ON_UNIX | VERSION_ZIP64, 12);
  zip64.writeUInt16LE(VERSION_ZIP64, 14);
  zip64.writeBigUInt64LE(BigInt(entries), 24);
  zip64.writeBigUInt64LE(BigInt(entries), 32);
  zip64.writeBigUInt64LE(BigInt(end - start), 40);
  zip64.writeBigUInt64LE(BigInt(start), 48);
  zip64.writeUInt32LE(0x0706_4b50, 56);
  zip64.writeBigUInt64LE(BigInt(end), 64);
  zip64.writeUInt32LE(1, 72);
  return Buffer.concat([zip64, bytes]);
}

function zip64Extra(values: readonly number[]): Buffer {
  const extra = Buffer.alloc(4 + 8 * values.length);
  extra.writeUInt16LE(0x0001, 0);
  extra.writeUInt16LE(8 * values.length, 2);
  for (const [i, value] of values.entries()) extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i);
  return extra;
}

/** The time in seconds, which is signed and has 32 bits. */
function timeExtra(seconds: number): Buffer {
  if (seconds !== (seconds | 0)) return NO_BYTES;
  const extra = Buffer.alloc(9);
  extra.writeUInt16LE(0x5455, 0);
  extra.writeUInt16LE(5, 2);
  extra.writeUInt8(1, 4);
  extra.writeInt32LE(seconds, 5);
  return extra;
}

/** The local time as MS-DOS has it, which begins in 1980 and ends in 2107. */
function dosTime(seconds: number): { date: number; time: number } {
  const clock = new Date((seconds + localZoneMinutes(seconds) * 60) * 1000);
  const year = clock.getUTCFullYear();
  if (!(year >= 1980)) return { date: (1 << 5) | 1, time: 0 };
  const date = (Math.min(year - 1980, 127) << 9) | ((clock.getUTCMonth() + 1) << 5) | clock.getUTCDate();
  const time = (clock.getUTCHours() << 11) | (clock.getUTCMinutes() << 5) | (clock.getUTCSeconds() >> 1);
  return { date, time };
}

const NO_BYTES = Buffer.alloc(0);
const SLASH = Buffer.from("/");
