/**
 * What is done for each request. A handler resolves, calls the filesystem and replies; that it replies exactly once,
 * that errors become an errno and that nobody waits for ever is the business of the session.
 */

import { when } from "../async/when.js";
import { MAX_NAME_BYTES } from "../bytes/file-name.js";
import { Errno } from "./errno.js";
import { type Answer, type Filesystem, type NodeId, ROOT_NODE } from "./filesystem.js";
import { Opcode, OpenFlag, Size, Whence } from "./kernel-abi.js";
import type { KernelRequest } from "./kernel-request.js";
import type { ListingCache } from "./listing-cache.js";
import type { PreparedListings } from "./prepared-listings.js";
import type { Reply } from "./reply.js";

export interface OperationContext {
  readonly filesystem: Filesystem;
  readonly listings: ListingCache;
  readonly prepared: PreparedListings;
  /** The kernel does without OPEN and OPENDIR once they have answered ENOSYS. */
  readonly withoutOpen: boolean;
  initialise(request: KernelRequest, reply: Reply): void;
  /** @param uniqueLow and uniqueHigh of the request that is interrupted */
  interrupt(uniqueLow: number, uniqueHigh: number): void;
}

/** Everything that is needed of the request must be taken out of it before the first promise. */
type Handler = (context: OperationContext, request: KernelRequest, reply: Reply) => Answer<void>;

export interface Operation {
  /** As the kernel calls it. */
  readonly name: string;
  /** A shorter body is refused with EINVAL. */
  readonly minBodyBytes: number;
  readonly handle: Handler;
  /** FORGET and its like get no reply. */
  readonly isSilent?: true;
}

const lookup: Handler = ({ filesystem }, request, reply) => {
  const name = request.name(0);
  // The kernel itself lets names of 1,024 bytes pass.
  if (name.length > MAX_NAME_BYTES) return reply.error(Errno.ENAMETOOLONG);
  return when(filesystem.lookup(request.node, name), (found) => reply.entry(found));
};

const getattr: Handler = ({ filesystem }, request, reply) =>
  when(filesystem.getattr(request.node), ({ attributes, ttlMs }) => reply.attributes(attributes, ttlMs));

const readlink: Handler = ({ filesystem }, request, reply) =>
  when(filesystem.readlink(request.node), (target) => reply.bytes([target]));

const statfs: Handler = ({ filesystem }, _request, reply) =>
  when(filesystem.statfs(), (statistics) => reply.statistics(statistics));

/** fuse_read_in: fh u64, offset u64, size u32. */
const read: Handler = ({ filesystem }, request, reply) => {
  const offset = request.u64(8);
  const size = request.u32(16);
  reply.describe(`${size} bytes at ${offset}`);
  // No file is that long: this is behind the end of each.
  if (!Number.isSafeInteger(offset)) return reply.bytes([]);
  return when(
    filesystem.read(request.node, offset, size, () => reply.signal),
    (pieces) => {
      const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
      if (length > size) throw new RangeError(`The filesystem answered ${length} bytes`);
      reply.bytes(pieces);
    },
  );
};

/** fuse_read_in, the offset being a cookie: position u32, generation u32. */
function readDirectory(plus: boolean): Handler {
  return ({ listings, prepared }, request, reply) => {
    const { node } = request;
    const position = request.u32(8);
    const size = request.u32(16);
    return when(listings.at(node, request.u32(12), position), (stream) => {
      const written = reply.directory(stream, position, size, plus);
      const isEnd = position >= stream.listing.length + 2;
      if (isEnd) listings.onEnd(stream);
      if (!written || !plus) return;
      if (isEnd) prepared.onEnd(node);
      if (position === 0) prepared.onListed(node, size, written.directories);
      else prepared.onMore(node, written.directories);
    });
  };
}

/** A value that the caller may only want the length of: fuse_getxattr_in is size u32, padding; fuse_getxattr_out too. */
function replyWithValue(reply: Reply, size: number, value: Uint8Array): void {
  if (size === 0) reply.u64(value.length);
  else if (value.length > size) reply.error(Errno.ERANGE);
  else reply.bytes([value]);
}

const getxattr: Handler = ({ filesystem }, request, reply) => {
  const size = request.u32(0);
  const name = request.name(Size.GETXATTR_IN).toString();
  return when(filesystem.getxattr(request.node, name), (value) =>
    value === undefined ? reply.error(Errno.ENODATA) : replyWithValue(reply, size, value),
  );
};

const listxattr: Handler = ({ filesystem }, request, reply) => {
  const size = request.u32(0);
  return when(filesystem.listxattr(request.node), (names) =>
    replyWithValue(reply, size, Buffer.from(names.map((name) => `${name}\0`).join(""))),
  );
};

/** fuse_lseek_in: fh u64, offset u64, whence u32. */
const lseek: Handler = ({ filesystem }, request, reply) => {
  const offset = request.u64(8);
  const whence = request.u32(16);
  if (whence !== Whence.SEEK_DATA && whence !== Whence.SEEK_HOLE) return reply.error(Errno.EINVAL);
  if (!Number.isSafeInteger(offset)) return reply.error(Errno.ENXIO);
  const what = whence === Whence.SEEK_DATA ? "data" : "hole";
  return when(filesystem.seek(request.node, offset, what), (found) =>
    found === undefined ? reply.error(Errno.ENXIO) : reply.u64(found),
  );
};

function open(flags: number): Handler {
  return ({ withoutOpen }, _request, reply) => {
    if (withoutOpen) return reply.error(Errno.ENOSYS);
    // fuse_open_out: fh u64, flags u32, backing_id i32.
    reply.body((buffer) => buffer.setU32(buffer.take(16) + 8, flags));
  };
}

const forget: Handler = ({ filesystem }, request) => giveBack(filesystem, request.node, request.u64(0));

/** fuse_batch_forget_in: count u32, dummy u32, then (nodeid u64, nlookup u64) each. */
const batchForget: Handler = ({ filesystem }, request) => {
  const room = Math.floor((request.bodyLength - 8) / Size.FORGET_ONE);
  for (let i = 0; i < Math.min(request.u32(0), room); i++) {
    const at = 8 + i * Size.FORGET_ONE;
    giveBack(filesystem, request.u64(at) as NodeId, request.u64(at + 8));
  }
};

function giveBack(filesystem: Filesystem, node: NodeId, count: number): void {
  if (node !== ROOT_NODE) filesystem.forget(node, count);
}

const initialise: Handler = (context, request, reply) => context.initialise(request, reply);
const interrupt: Handler = (context, request) => context.interrupt(request.u32(0), request.u32(4));
const succeed: Handler = (_context, _request, reply) => reply.empty();
const nothing: Handler = () => {};
/** The kernel remembers ENOSYS, answers by itself from then on, and does not ask again. */
const refuseForGood: Handler = (_context, _request, reply) => reply.error(Errno.ENOSYS);
const refuseToWrite: Handler = (_context, _request, reply) => reply.error(Errno.EROFS);

type Row = readonly [opcode: number, minBodyBytes: number, handle: Handler, silent?: "silent"];

const ROWS: readonly Row[] = [
  [Opcode.INIT, 16, initialise],
  [Opcode.LOOKUP, 2, lookup],
  [Opcode.FORGET, 8, forget, "silent"],
  [Opcode.BATCH_FORGET, 8, batchForget, "silent"],
  [Opcode.GETATTR, 0, getattr],
  [Opcode.READLINK, 0, readlink],
  [Opcode.OPEN, 8, open(OpenFlag.KEEP_CACHE)],
  [Opcode.READ, 20, read],
  [Opcode.LSEEK, 20, lseek],
  [Opcode.RELEASE, 0, succeed],
  [Opcode.OPENDIR, 8, open(OpenFlag.KEEP_CACHE | OpenFlag.CACHE_DIR)],
  [Opcode.READDIR, 20, readDirectory(false)],
  [Opcode.READDIRPLUS, 20, readDirectory(true)],
  [Opcode.RELEASEDIR, 0, succeed],
  [Opcode.STATFS, 0, statfs],
  [Opcode.GETXATTR, 10, getxattr],
  [Opcode.LISTXATTR, 8, listxattr],
  [Opcode.INTERRUPT, 8, interrupt, "silent"],
  [Opcode.NOTIFY_REPLY, 0, nothing, "silent"],
  [Opcode.DESTROY, 0, succeed],
  // Nothing is ever written, so there is nothing to flush; permissions are the kernel's business (default_permissions).
  [Opcode.FLUSH, 0, refuseForGood],
  [Opcode.FSYNC, 0, refuseForGood],
  [Opcode.FSYNCDIR, 0, refuseForGood],
  [Opcode.SYNCFS, 0, refuseForGood],
  [Opcode.ACCESS, 0, refuseForGood],
  [Opcode.STATX, 0, refuseForGood], // The kernel asks with GETATTR then.
  [Opcode.BMAP, 0, refuseForGood],
  [Opcode.IOCTL, 0, refuseForGood],
  [Opcode.POLL, 0, refuseForGood],
  [Opcode.GETLK, 0, refuseForGood],
  [Opcode.SETLK, 0, refuseForGood],
  [Opcode.SETLKW, 0, refuseForGood],
  [Opcode.SETUPMAPPING, 0, refuseForGood],
  [Opcode.REMOVEMAPPING, 0, refuseForGood],
  [Opcode.SETATTR, 0, refuseToWrite],
  [Opcode.SYMLINK, 0, refuseToWrite],
  [Opcode.MKNOD, 0, refuseToWrite],
  [Opcode.MKDIR, 0, refuseToWrite],
  [Opcode.UNLINK, 0, refuseToWrite],
  [Opcode.RMDIR, 0, refuseToWrite],
  [Opcode.RENAME, 0, refuseToWrite],
  [Opcode.RENAME2, 0, refuseToWrite],
  [Opcode.LINK, 0, refuseToWrite],
  [Opcode.WRITE, 0, refuseToWrite],
  [Opcode.CREATE, 0, refuseToWrite],
  [Opcode.TMPFILE, 0, refuseToWrite],
  [Opcode.FALLOCATE, 0, refuseToWrite],
  [Opcode.COPY_FILE_RANGE, 0, refuseToWrite],
  [Opcode.COPY_FILE_RANGE_64, 0, refuseToWrite],
  [Opcode.SETXATTR, 0, refuseToWrite],
  [Opcode.REMOVEXATTR, 0, refuseToWrite],
];

const NAMES = new Map<number, string>(Object.entries(Opcode).map(([name, opcode]) => [opcode, name]));

/** By opcode. */
const OPERATIONS: readonly (Operation | undefined)[] = ROWS.reduce<(Operation | undefined)[]>(
  (table, [opcode, minBodyBytes, handle, silent]) => {
    const name = NAMES.get(opcode)!;
    table[opcode] = silent ? { name, minBodyBytes, handle, isSilent: true } : { name, minBodyBytes, handle };
    return table;
  },
  [],
);

const UNKNOWN: Operation = { name: "unknown request", minBodyBytes: 0, handle: refuseForGood };

/** What to do for an opcode; one that the kernel has learnt since is refused for good. */
export function operationOf(opcode: number): Operation {
  return OPERATIONS[opcode] ?? UNKNOWN;
}
