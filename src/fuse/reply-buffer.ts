import type { Attributes, Entry, FilesystemStatistics } from "./filesystem.js";
import { Size } from "./kernel-abi.js";

/** What the kernel gets for FOREVER, seconds. Any larger number is cut down by the kernel, in jiffies. */
const FOREVER_SECONDS = 1_000_000_000;
/** Room for the body of a directory reply; the kernel asks for 32 KiB or, lately, for as much as a program wants. */
export const MAX_DIRECTORY_BYTES = 128 * 1024;
const CAPACITY = Size.OUT_HEADER + MAX_DIRECTORY_BYTES;

const HIGH = 2 ** 32;

/**
 * The buffer in which replies are encoded, one after the other. A reply is a header (length u32, error i32, unique
 * u64) and a body; `length` is where the next byte goes. Offsets are bytes from the start of the buffer, and those of
 * structures are multiples of 8, so that every field can be written through a typed array.
 */
export class ReplyBuffer {
  readonly bytes: Buffer = Buffer.from(new ArrayBuffer(CAPACITY));
  readonly #u16 = new Uint16Array(this.bytes.buffer);
  readonly #u32 = new Uint32Array(this.bytes.buffer);
  readonly #u64 = new BigUint64Array(this.bytes.buffer);
  length: number = Size.OUT_HEADER;

  /** Starts a reply: forgets the one before. */
  begin(): void {
    this.length = Size.OUT_HEADER;
  }

  /** Writes the header. @param bodyLength bytes, those that are sent from elsewhere included. @param errno 0 or positive */
  header(uniqueLow: number, uniqueHigh: number, errno: number, bodyLength: number): void {
    this.#u32[0] = Size.OUT_HEADER + bodyLength;
    this.#u32[1] = -errno;
    this.#u32[2] = uniqueLow;
    this.#u32[3] = uniqueHigh;
  }

  /** Takes `size` bytes, zeroed, and says where they begin. */
  take(size: number): number {
    const at = this.length;
    this.bytes.fill(0, at, at + size);
    this.length = at + size;
    return at;
  }

  /** Takes `size` bytes as they are: whoever takes them writes every one. */
  reserve(size: number): number {
    const at = this.length;
    this.length = at + size;
    return at;
  }

  /** A name, and zeros behind it up to the next multiple of 8. */
  setName(at: number, name: Buffer): void {
    const { bytes } = this;
    const { length } = name;
    // Names are short: a call into the engine costs more than the bytes.
    for (let i = 0; i < length; i++) bytes[at + i] = name[i]!;
    for (let i = length; i & 7; i++) bytes[at + i] = 0;
  }

  setU16(at: number, value: number): void {
    this.#u16[at >>> 1] = value;
  }

  setU32(at: number, value: number): void {
    this.#u32[at >>> 2] = value;
  }

  /** A whole number, negative ones in two's complement. */
  setU64(at: number, value: number): void {
    const word = at >>> 2;
    this.#u32[word] = value; // Taken modulo 2^32, as the language defines it for typed arrays.
    this.#u32[word + 1] = Math.floor(value / HIGH);
  }

  setBigU64(at: number, value: bigint): void {
    this.#u64[at >>> 3] = value;
  }

  append(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** fuse_attr: ino, size, blocks, times u64; nanoseconds, mode, nlink, uid, gid, rdev, blksize, flags u32. */
  setAttributes(at: number, attributes: Attributes): void {
    this.setBigU64(at, attributes.ino);
    this.setU64(at + 8, attributes.size);
    this.setU64(at + 16, attributes.blocks);
    this.setU64(at + 24, attributes.atime.seconds);
    this.setU64(at + 32, attributes.mtime.seconds);
    this.setU64(at + 40, attributes.ctime.seconds);
    const word = (at + 48) >>> 2;
    const u32 = this.#u32;
    u32[word] = attributes.atime.nanoseconds;
    u32[word + 1] = attributes.mtime.nanoseconds;
    u32[word + 2] = attributes.ctime.nanoseconds;
    u32[word + 3] = attributes.mode;
    u32[word + 4] = attributes.nlink;
    u32[word + 5] = attributes.uid;
    u32[word + 6] = attributes.gid;
    u32[word + 7] = attributes.rdev;
    u32[word + 8] = attributes.blockSize;
    u32[word + 9] = 0;
  }

  /** Seconds u64 and nanoseconds u32 of a time to live. */
  setTtl(secondsAt: number, nanosecondsAt: number, ttlMs: number): void {
    const seconds = Math.min(Math.floor(ttlMs / 1000), FOREVER_SECONDS);
    this.setU64(secondsAt, seconds);
    this.setU32(nanosecondsAt, ttlMs === Number.POSITIVE_INFINITY ? 0 : Math.floor(ttlMs % 1000) * 1_000_000);
  }

  /** fuse_entry_out: nodeid, generation, entry_valid, attr_valid u64; their nanoseconds u32; fuse_attr. */
  setEntry(at: number, entry: Entry): void {
    this.setU64(at, entry.nodeId);
    this.setU64(at + 8, 0);
    this.setTtl(at + 16, at + 32, entry.ttlMs);
    this.setTtl(at + 24, at + 36, entry.ttlMs);
    this.setAttributes(at + 40, entry.attributes);
  }

  entry(entry: Entry): void {
    this.setEntry(this.take(Size.ENTRY_OUT), entry);
  }

  /** An entry without a node: the kernel remembers that there is none. */
  absence(ttlMs: number): void {
    const at = this.take(Size.ENTRY_OUT);
    this.setTtl(at + 16, at + 32, ttlMs);
  }

  /** fuse_attr_out: valid u64, nanoseconds u32, padding, fuse_attr. */
  attributes(attributes: Attributes, ttlMs: number): void {
    const at = this.take(Size.ATTR_OUT);
    this.setTtl(at, at + 8, ttlMs);
    this.setAttributes(at + 16, attributes);
  }

  /** fuse_statfs_out: blocks, bfree, bavail, files, ffree u64; bsize, namelen, frsize u32; padding. Nothing is free. */
  statistics(statistics: FilesystemStatistics): void {
    const at = this.take(Size.STATFS_OUT);
    this.setU64(at, statistics.blocks);
    this.setU64(at + 24, statistics.files);
    this.setU32(at + 40, statistics.blockSize);
    this.setU32(at + 44, statistics.maxNameBytes);
    this.setU32(at + 48, statistics.blockSize);
  }

  u64(value: number): void {
    this.setU64(this.take(8), value);
  }
}
