/**
 * A decoded tree in one piece of memory: a directory of a hundred thousand entries would take ten times as much as
 * objects. Entries are sorted by the raw bytes of their names, so that a name is found by halving.
 *
 * ```text
 * offset  0         96         96 * n
 *         | entry 0 | ... n-1  | names and blob IDs
 *
 * entry:  0 size f64 | 8 mtime f64 | 16 atime f64 | 24 ctime f64 | 32 inode u64 | 40 device u64
 *        48 name offset | 52 name length | 56 mtime ns | 60 atime ns | 64 ctime ns | 68 uid | 72 gid | 76 links
 *        80 rdev | 84 IDs offset | 88 IDs count | 92 POSIX mode, kind of content << 16       (u32 each)
 * ```
 */

import { type Id, IdList } from "../bytes/id.js";
import { posixModeFromNode, S_IFDIR, S_IFMT, S_IFREG } from "../format/file-mode.js";
import type { ExtendedAttribute, TreeNode } from "../format/node.js";
import type { Timestamp } from "../format/timestamp.js";

const ENTRY_BYTES = 96;
const DOUBLES = ENTRY_BYTES / 8;
const WORDS = ENTRY_BYTES / 4;
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
  readonly #memory: Buffer;
  readonly #doubles: Float64Array;
  readonly #longs: BigUint64Array;
  readonly #words: Uint32Array;
  readonly #targets: ReadonlyMap<number, Buffer>;
  readonly #extendedAttributes: ReadonlyMap<number, readonly ExtendedAttribute[]>;

  /** @param nodes sorted by name, each name once */
  static from(nodes: readonly TreeNode[]): CompactTree {
    return new CompactTree(nodes);
  }

  private constructor(nodes: readonly TreeNode[]) {
    let bytes = nodes.length * ENTRY_BYTES;
    for (const node of nodes) bytes += node.name.length + idsOf(node).length;
    const memory = new ArrayBuffer(Math.ceil(bytes / 8) * 8);
    this.length = nodes.length;
    this.#memory = Buffer.from(memory);
    this.#doubles = new Float64Array(memory);
    this.#longs = new BigUint64Array(memory);
    this.#words = new Uint32Array(memory);
    const targets = new Map<number, Buffer>();
    const extendedAttributes = new Map<number, readonly ExtendedAttribute[]>();
    let pool = nodes.length * ENTRY_BYTES;
    let subdirectories = 0;
    let besides = OVERHEAD_BYTES;
    for (const [position, node] of nodes.entries()) {
      pool = this.#encode(position, node, pool);
      if (node.type === "dir") subdirectories++;
      if (node.linkTarget) {
        targets.set(position, Buffer.from(node.linkTarget));
        besides += 200 + node.linkTarget.length;
      }
      if (node.extendedAttributes.length > 0) {
        extendedAttributes.set(position, node.extendedAttributes);
        for (const attribute of node.extendedAttributes) besides += 300 + (attribute.value?.length ?? 0);
      }
    }
    this.subdirectories = subdirectories;
    this.#targets = targets;
    this.#extendedAttributes = extendedAttributes;
    this.bytes = memory.byteLength + besides;
  }

  /** The raw bytes of a name; a view. */
  name(position: number): Buffer {
    const offset = this.#words[position * WORDS + 12]!;
    return this.#memory.subarray(offset, offset + this.#words[position * WORDS + 13]!);
  }

  /** Where a name is, -1 when it is not there. */
  find(name: Uint8Array): number {
    let low = 0;
    let high = this.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const offset = this.#words[middle * WORDS + 12]!;
      const order = this.#memory.compare(
        name,
        0,
        name.length,
        offset,
        offset + this.#words[middle * WORDS + 13]!,
      );
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** POSIX st_mode. */
  mode(position: number): number {
    return this.#words[position * WORDS + 23]! & 0xffff;
  }

  typeBits(position: number): number {
    return this.mode(position) & S_IFMT;
  }

  /** Bytes, as the writer stored them. */
  size(position: number): number {
    return this.#doubles[position * DOUBLES]!;
  }

  /** Bytes of the symlink's target, as a stat shows them. */
  targetLength(position: number): number {
    return this.#targets.get(position)?.length ?? 0;
  }

  linkTarget(position: number): Buffer | undefined {
    return this.#targets.get(position);
  }

  time(position: number, which: keyof typeof TIMES): { seconds: number; nanoseconds: number } {
    const [double, word] = TIMES[which];
    return {
      seconds: this.#doubles[position * DOUBLES + double]!,
      nanoseconds: this.#words[position * WORDS + word]!,
    };
  }

  /** st_ino and st_dev of the original. */
  origin(position: number): { inode: bigint; deviceId: bigint } {
    return {
      inode: this.#longs[position * DOUBLES + 4]!,
      deviceId: this.#longs[position * DOUBLES + 5]!,
    };
  }

  uid(position: number): number {
    return this.#words[position * WORDS + 17]!;
  }

  gid(position: number): number {
    return this.#words[position * WORDS + 18]!;
  }

  /** st_nlink of the original; 0 when not stored. */
  links(position: number): number {
    return this.#words[position * WORDS + 19]!;
  }

  /** st_rdev in the kernel's 32-bit encoding. */
  rdev(position: number): number {
    return this.#words[position * WORDS + 20]!;
  }

  /** Blob IDs of a file; a view. Empty for everything else. */
  content(position: number): IdList {
    if (this.typeBits(position) !== S_IFREG) return IdList.EMPTY;
    return this.#ids(position);
  }

  /** Tree ID of a directory; a view. */
  subtree(position: number): Id | undefined {
    if (this.typeBits(position) !== S_IFDIR) return undefined;
    const ids = this.#ids(position);
    return ids.length === 0 ? undefined : ids.at(0);
  }

  extendedAttributes(position: number): readonly ExtendedAttribute[] {
    return this.#extendedAttributes.get(position) ?? [];
  }

  #ids(position: number): IdList {
    const offset = this.#words[position * WORDS + 21]!;
    const count = this.#words[position * WORDS + 22]!;
    return count === 0 ? IdList.EMPTY : new IdList(this.#memory.subarray(offset, offset + 32 * count));
  }

  /** @returns where the pool goes on */
  #encode(position: number, node: TreeNode, pool: number): number {
    const double = position * DOUBLES;
    const word = position * WORDS;
    const ids = idsOf(node);
    this.#doubles[double] = node.size;
    this.#longs[double + 4] = node.inode;
    this.#longs[double + 5] = node.deviceId;
    for (const which of ["mtime", "atime", "ctime"] as const) {
      const moment: Timestamp = node[which];
      this.#doubles[double + TIMES[which][0]] = moment.seconds;
      this.#words[word + TIMES[which][1]] = moment.nanoseconds;
    }
    this.#memory.set(node.name, pool);
    this.#words[word + 12] = pool;
    this.#words[word + 13] = node.name.length;
    this.#words[word + 17] = node.uid;
    this.#words[word + 18] = node.gid;
    this.#words[word + 19] = node.links;
    this.#words[word + 20] = isDevice(node) ? kernelDevice(node.device) : 0;
    this.#memory.set(ids, pool + node.name.length);
    this.#words[word + 21] = pool + node.name.length;
    this.#words[word + 22] = ids.length / 32;
    this.#words[word + 23] = posixModeFromNode(node) & 0xffff;
    return pool + node.name.length + ids.length;
  }
}

function idsOf(node: TreeNode): Uint8Array {
  if (node.type === "dir") return node.subtree ?? IdList.EMPTY.bytes;
  if (node.type === "file") return node.content?.bytes ?? IdList.EMPTY.bytes;
  return IdList.EMPTY.bytes;
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
