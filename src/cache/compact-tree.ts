/**
 * A decoded tree in one piece of memory: a directory of a hundred thousand entries would take ten times as much as
 * objects. Entries are sorted by the raw bytes of their names, so that a name is found by halving.
 *
 * ```text
 * offset  0                        8         104        8 + 96 * n
 *         | n u32, directories u32 | entry 0 | ... n-1  | pool
 *
 * entry:  0 size f64 | 8 mtime f64 | 16 atime f64 | 24 ctime f64 | 32 inode u64 | 40 device u64
 *        48 name offset | 52 name length | 56 mtime ns | 60 atime ns | 64 ctime ns | 68 uid | 72 gid | 76 links
 *        80 rdev | 84 content offset | 88 content count | 92 POSIX mode, ATTRIBUTES       (u32 each)
 *
 * pool:   for each entry its name, its content and, if it has ATTRIBUTES, those. Content is blob IDs of a file, the tree
 *         ID of a directory (the count is of IDs), or the target of a symlink (the count is of bytes).
 * ATTRIBUTES: how many u32, then for each the lengths of name and value u32 (NO_VALUE for none), name and value.
 * ```
 *
 * `native/src/compact_tree.cc` writes the same.
 */

import { ID_LENGTH, type Id, IdList } from "../bytes/id.js";
import { textKeepingBytes } from "../bytes/utf8.js";
import { posixModeFromNode, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../format/file-mode.js";
import type { ExtendedAttribute, TreeNode } from "../format/node.js";
import type { Timestamp } from "../format/timestamp.js";
import { loadAddon } from "../native/addon.js";

const HEADER_BYTES = 8;
const ENTRY_BYTES = 96;
const FIRST_DOUBLE = HEADER_BYTES / 8;
const FIRST_WORD = HEADER_BYTES / 4;
const DOUBLES = ENTRY_BYTES / 8;
const WORDS = ENTRY_BYTES / 4;
/** Bit of the word of the mode: there are extended attributes behind the content. */
const ATTRIBUTES = 1 << 16;
const NO_VALUE = 0xffffffff;
const MAX_UINT32 = 0xffffffff;
const NO_BYTES = new Uint8Array(0);
/** What a tree costs beside its memory: the object, its views, the cache's entry. */
const OVERHEAD_BYTES = 1024;

/** Where in an entry a time is: a double of whole seconds, a word of nanoseconds. */
const TIMES = { mtime: [1, 14], atime: [2, 15], ctime: [3, 16] } as const;

export class CompactTree {
  static readonly EMPTY = CompactTree.from([]);
  readonly length: number;
  /** How many entries are directories. */
  readonly subdirectories: number;
  /** Bytes of memory, about. */
  readonly bytes: number;
  /** As drawn above; only to be read. */
  readonly memory: Buffer;
  readonly #doubles: Float64Array;
  readonly #longs: BigUint64Array;
  readonly #words: Uint32Array;

  /** @param nodes sorted by name, each name once */
  static from(nodes: readonly TreeNode[]): CompactTree {
    return new CompactTree(encode(nodes));
  }

  /** Of the JSON of a tree that looks as writers make it today; `undefined` for all others, and where there is no addon. */
  static fromPlain(json: Uint8Array): CompactTree | undefined {
    const memory = loadAddon()?.compactTree(json);
    return memory && new CompactTree(memory);
  }

  /** @param memory as drawn above, a multiple of 8 bytes long */
  constructor(memory: ArrayBuffer) {
    this.memory = Buffer.from(memory);
    this.#doubles = new Float64Array(memory);
    this.#longs = new BigUint64Array(memory);
    this.#words = new Uint32Array(memory);
    this.length = this.#words[0]!;
    this.subdirectories = this.#words[1]!;
    this.bytes = memory.byteLength + OVERHEAD_BYTES;
  }

  /** The raw bytes of a name; a view. */
  name(position: number): Buffer {
    const offset = this.#words[FIRST_WORD + position * WORDS + 12]!;
    return this.memory.subarray(offset, offset + this.#words[FIRST_WORD + position * WORDS + 13]!);
  }

  /** A name as `textKeepingBytes` makes it. */
  nameText(position: number): string {
    const offset = this.#words[FIRST_WORD + position * WORDS + 12]!;
    const end = offset + this.#words[FIRST_WORD + position * WORDS + 13]!;
    // A view costs three times as much as the text. This character also stands for bytes that are no UTF-8.
    const text = this.memory.toString("utf8", offset, end);
    return text.includes("\ufffd") ? textKeepingBytes(this.name(position)) : text;
  }

  /** Where a name is, -1 when it is not there. */
  find(name: Uint8Array): number {
    let low = 0;
    let high = this.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const offset = this.#words[FIRST_WORD + middle * WORDS + 12]!;
      const order = this.memory.compare(
        name,
        0,
        name.length,
        offset,
        offset + this.#words[FIRST_WORD + middle * WORDS + 13]!,
      );
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** POSIX st_mode. */
  mode(position: number): number {
    return this.#words[FIRST_WORD + position * WORDS + 23]! & 0xffff;
  }

  typeBits(position: number): number {
    return this.mode(position) & S_IFMT;
  }

  /** Bytes, as the writer stored them. */
  size(position: number): number {
    return this.#doubles[FIRST_DOUBLE + position * DOUBLES]!;
  }

  /** Bytes of the symlink's target, as a stat shows them. */
  targetLength(position: number): number {
    return this.typeBits(position) === S_IFLNK ? this.#words[FIRST_WORD + position * WORDS + 22]! : 0;
  }

  /** A view; empty when none is stored, `undefined` for everything else. */
  linkTarget(position: number): Buffer | undefined {
    if (this.typeBits(position) !== S_IFLNK) return undefined;
    const offset = this.#words[FIRST_WORD + position * WORDS + 21]!;
    return this.memory.subarray(offset, offset + this.targetLength(position));
  }

  time(position: number, which: keyof typeof TIMES): { seconds: number; nanoseconds: number } {
    const [double, word] = TIMES[which];
    return {
      seconds: this.#doubles[FIRST_DOUBLE + position * DOUBLES + double]!,
      nanoseconds: this.#words[FIRST_WORD + position * WORDS + word]!,
    };
  }

  /** st_ino and st_dev of the original. */
  origin(position: number): { inode: bigint; deviceId: bigint } {
    return {
      inode: this.#longs[FIRST_DOUBLE + position * DOUBLES + 4]!,
      deviceId: this.#longs[FIRST_DOUBLE + position * DOUBLES + 5]!,
    };
  }

  uid(position: number): number {
    return this.#words[FIRST_WORD + position * WORDS + 17]!;
  }

  gid(position: number): number {
    return this.#words[FIRST_WORD + position * WORDS + 18]!;
  }

  /** st_nlink of the original; 0 when not stored. */
  links(position: number): number {
    return this.#words[FIRST_WORD + position * WORDS + 19]!;
  }

  /** st_rdev in the kernel's 32-bit encoding. */
  rdev(position: number): number {
    return this.#words[FIRST_WORD + position * WORDS + 20]!;
  }

  /** Blob IDs of a file; a view. Empty for everything else. */
  content(position: number): IdList {
    if (this.typeBits(position) !== S_IFREG) return IdList.EMPTY;
    return this.#ids(position);
  }

  /** How many blobs a file has; 0 for everything else. */
  contentCount(position: number): number {
    return this.typeBits(position) === S_IFREG ? this.#words[FIRST_WORD + position * WORDS + 22]! : 0;
  }

  /** ID of the first blob of a file that has one; a view. */
  firstContent(position: number): Id {
    const offset = this.#words[FIRST_WORD + position * WORDS + 21]!;
    return this.memory.subarray(offset, offset + ID_LENGTH) as Uint8Array as Id;
  }

  /** Tree ID of a directory; a view. */
  subtree(position: number): Id | undefined {
    if (this.typeBits(position) !== S_IFDIR) return undefined;
    const ids = this.#ids(position);
    return ids.length === 0 ? undefined : ids.at(0);
  }

  /** Names are text, values copies. */
  hasExtendedAttributes(position: number): boolean {
    return (this.#words[FIRST_WORD + position * WORDS + 23]! & ATTRIBUTES) !== 0;
  }

  extendedAttributes(position: number): readonly ExtendedAttribute[] {
    if (!this.hasExtendedAttributes(position)) return [];
    const word = FIRST_WORD + position * WORDS;
    const perItem = this.typeBits(position) === S_IFLNK ? 1 : ID_LENGTH;
    let at = this.#words[word + 21]! + this.#words[word + 22]! * perItem;
    const attributes: ExtendedAttribute[] = [];
    const count = this.memory.readUInt32LE(at);
    at += 4;
    for (let i = 0; i < count; i++) {
      const nameLength = this.memory.readUInt32LE(at);
      const valueLength = this.memory.readUInt32LE(at + 4);
      at += 8;
      const name = this.memory.toString("utf8", at, at + nameLength);
      at += nameLength;
      const value =
        valueLength === NO_VALUE ? null : Uint8Array.from(this.memory.subarray(at, at + valueLength));
      at += value?.length ?? 0;
      attributes.push({ name, value });
    }
    return attributes;
  }

  #ids(position: number): IdList {
    const offset = this.#words[FIRST_WORD + position * WORDS + 21]!;
    const count = this.#words[FIRST_WORD + position * WORDS + 22]!;
    return count === 0 ? IdList.EMPTY : new IdList(this.memory.subarray(offset, offset + 32 * count));
  }
}

/** The memory of a tree. */
function encode(nodes: readonly TreeNode[]): ArrayBuffer {
  const pool: Uint8Array[] = [];
  const poolStart = HEADER_BYTES + nodes.length * ENTRY_BYTES;
  let end = poolStart;
  const append = (bytes: Uint8Array): number => {
    const offset = end;
    pool.push(bytes);
    end += bytes.length;
    return offset;
  };
  const entries = new ArrayBuffer(poolStart);
  const doubles = new Float64Array(entries);
  const longs = new BigUint64Array(entries);
  const words = new Uint32Array(entries);
  words[0] = nodes.length;
  for (const [position, node] of nodes.entries()) {
    const double = FIRST_DOUBLE + position * DOUBLES;
    const word = FIRST_WORD + position * WORDS;
    const content = contentOf(node);
    doubles[double] = node.size;
    longs[double + 4] = node.inode;
    longs[double + 5] = node.deviceId;
    for (const which of ["mtime", "atime", "ctime"] as const) {
      const moment: Timestamp = node[which];
      doubles[double + TIMES[which][0]] = moment.seconds;
      words[word + TIMES[which][1]] = moment.nanoseconds;
    }
    words[word + 12] = append(node.name);
    words[word + 13] = node.name.length;
    words[word + 17] = node.uid;
    words[word + 18] = node.gid;
    words[word + 19] = Math.min(node.links, MAX_UINT32);
    words[word + 20] = isDevice(node) ? kernelDevice(node.device) : 0;
    words[word + 21] = append(content);
    words[word + 22] = node.type === "symlink" ? content.length : content.length / ID_LENGTH;
    words[word + 23] = posixModeFromNode(node) & 0xffff;
    if (node.type === "dir") words[1]!++;
    if (node.extendedAttributes.length === 0) continue;
    words[word + 23]! |= ATTRIBUTES;
    append(encodeAttributes(node.extendedAttributes));
  }
  const memory = Buffer.from(new ArrayBuffer(Math.ceil(end / 8) * 8));
  memory.set(new Uint8Array(entries));
  let at = poolStart;
  for (const bytes of pool) {
    memory.set(bytes, at);
    at += bytes.length;
  }
  return memory.buffer as ArrayBuffer;
}

function contentOf(node: TreeNode): Uint8Array {
  switch (node.type) {
    case "dir":
      return node.subtree ?? NO_BYTES;
    case "file":
      return node.content?.bytes ?? NO_BYTES;
    case "symlink":
      return node.linkTarget ?? NO_BYTES;
    default:
      return NO_BYTES;
  }
}

function encodeAttributes(attributes: readonly ExtendedAttribute[]): Uint8Array {
  const pieces: Uint8Array[] = [uint32(attributes.length)];
  for (const { name, value } of attributes) {
    const bytes = Buffer.from(name);
    pieces.push(uint32(bytes.length), uint32(value?.length ?? NO_VALUE), bytes, value ?? NO_BYTES);
  }
  return Buffer.concat(pieces);
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function isDevice(node: TreeNode): boolean {
  return node.type === "dev" || node.type === "chardev";
}

/**
 * From glibc's 64-bit dev_t (major in bits 8 to 19 and 32 to 63, minor in bits 0 to 7 and 20 to 31) to the kernel's
 * 32 bits (`new_encode_dev`: minor in bits 0 to 7 and 20 to 31, major in 8 to 19).
 */
export function kernelDevice(device: bigint): number {
  const low = Number(device & 0xffffffffn);
  const high = Number((device >> 32n) & 0xffffffffn);
  const major = (((low >>> 8) & 0xfff) | (high & 0xfffff000)) & 0xfff;
  const minor = (low & 0xff) | ((low >>> 12) & 0xfff00);
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
