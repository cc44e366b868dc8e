/**
 * Encodes a stretch of a directory for READDIR and READDIRPLUS.
 *
 *     fuse_dirent      0 ino u64   8 off u64   16 namelen u32   20 type u32   24 name, zeros up to a multiple of 8
 *     fuse_direntplus  fuse_entry_out (128 bytes), then a fuse_dirent
 *
 * `off` is where the *next* entry begins; its low word is a position, its high word the generation of the stream.
 * Positions 0 and 1 are "." and "..", the entries of the listing follow.
 */

import { MAX_NAME_BYTES } from "../bytes/file-name.js";
import type { NodeId, RecordTarget } from "./filesystem.js";
import { DIRENT_TYPE_SHIFT, S_IFDIR, Size } from "./kernel-abi.js";
import type { DirectoryStream } from "./listing-cache.js";
import type { ReplyBuffer } from "./reply-buffer.js";

const DOT = Buffer.from(".");
const DOT_DOT = Buffer.from("..");
const SLASH = 0x2f;
const DOT_BYTE = 0x2e;

export interface DirectoryReplyOptions {
  readonly position: number;
  /** Room that the kernel has, bytes. */
  readonly size: number;
  /** With entries (READDIRPLUS) or names only (READDIR). */
  readonly plus: boolean;
  readonly onProblem: (position: number, problem: unknown) => void;
}

export interface WrittenRecords {
  /** Where the next record begins. */
  readonly position: number;
  /** The nodes that were handed out. */
  readonly handedOut: readonly NodeId[];
  /** Those of them that are directories. */
  readonly directories: readonly NodeId[];
}

/** Appends records until the next one does not fit. */
export function encodeDirectory(
  reply: ReplyBuffer,
  stream: DirectoryStream,
  options: DirectoryReplyOptions,
): WrittenRecords {
  const { listing, generation } = stream;
  const { bytes, length: at } = reply;
  const handedOut: NodeId[] = [];
  const directories: NodeId[] = [];
  const limit = at + options.size;
  const target = { bytes, at, limit, plus: options.plus, generation, handedOut, directories };
  let { position } = options;
  while (position < listing.length + 2) {
    target.at = reply.length;
    const written = position < 2 ? 0 : (listing.writeRecords?.(position - 2, target) ?? 0);
    if (written > 0) {
      position += written;
      reply.length = target.at;
    } else {
      if (!putRecord(reply, stream, position, target, options.onProblem)) break;
      position++;
    }
  }
  return { position, handedOut, directories };
}

/** @returns whether there was room */
function putRecord(
  reply: ReplyBuffer,
  stream: DirectoryStream,
  position: number,
  target: RecordTarget,
  onProblem: (position: number, problem: unknown) => void,
): boolean {
  const name = position === 0 ? DOT : position === 1 ? DOT_DOT : stream.listing.name(position - 2);
  if (position >= 2 && !isName(name)) {
    // One such name would make the kernel refuse the whole reply.
    onProblem(position - 2, new RangeError(`${JSON.stringify(name.toString())} is not a file name`));
    return true;
  }
  const fixed = target.plus ? Size.DIRENTPLUS : Size.DIRENT;
  const length = (fixed + name.length + 7) & ~7;
  // Before the entry is asked for: what is handed out must be sent.
  if (reply.length + length > target.limit) return false;
  const at = reply.reserve(length);
  if (target.plus) putEntry(reply, at, stream, position - 2, target, onProblem);
  putDirent(reply, at + fixed - Size.DIRENT, stream, position, name);
  return true;
}

function putEntry(
  reply: ReplyBuffer,
  at: number,
  stream: DirectoryStream,
  position: number,
  { handedOut, directories }: RecordTarget,
  onProblem: (position: number, problem: unknown) => void,
): void {
  let isPut = false;
  if (position >= 0) {
    try {
      const entry = stream.listing.entry(position);
      if (entry) {
        handedOut.push(entry.nodeId);
        if (stream.listing.typeBits(position) === S_IFDIR) directories.push(entry.nodeId);
        reply.setEntry(at, entry);
        isPut = true;
      }
    } catch (problem) {
      onProblem(position, problem);
    }
  }
  // Without a node the kernel shows the name and looks it up when somebody wants more: only that fails then. For "."
  // and ".." it takes nothing else.
  if (!isPut) reply.bytes.fill(0, at, at + Size.ENTRY_OUT);
}

function putDirent(
  reply: ReplyBuffer,
  at: number,
  stream: DirectoryStream,
  position: number,
  name: Buffer,
): void {
  const { listing } = stream;
  if (position >= 2) reply.setBigU64(at, listing.ino(position - 2));
  else reply.setBigU64(at, position === 0 ? stream.ino : stream.parentIno);
  reply.setU32(at + 8, position + 1);
  reply.setU32(at + 12, stream.generation);
  reply.setU32(at + 16, name.length);
  reply.setU32(at + 20, (position >= 2 ? listing.typeBits(position - 2) : S_IFDIR) >>> DIRENT_TYPE_SHIFT);
  reply.setName(at + Size.DIRENT, name);
}

function isName(name: Buffer): boolean {
  const { length } = name;
  if (length === 0 || length > MAX_NAME_BYTES) return false;
  for (let i = 0; i < length; i++) {
    const byte = name[i];
    if (byte === 0 || byte === SLASH) return false;
  }
  return name[0] !== DOT_BYTE || (length > 1 && (name[1] !== DOT_BYTE || length > 2));
}
