/**
 * The operations of fuse-native over a Filesystem. What the package cannot carry, and what becomes of it: inode
 * numbers of 64 bits (folded to 32), nanoseconds (milliseconds), moments before 1970 (1970), names and link targets
 * that are not UTF-8 (left out, with a warning), holes (not shown), invalidations (the kernel's own second).
 */

import { isUtf8 } from "node:buffer";
import type { Operations, Stat } from "fuse-native";
import { withDeadline } from "../../async/deadline.js";
import { when } from "../../async/when.js";
import { messageOf, YoreError } from "../../errors.js";
import { Errno, errnoName, errnoOf } from "../errno.js";
import { FailureLog } from "../failure-log.js";
import {
  type Attributes,
  type Filesystem,
  type Moment,
  type NodeId,
  ROOT_NODE,
  ToldError,
} from "../filesystem.js";
import { S_IFDIR } from "../kernel-abi.js";
import type { PathNodes } from "./path-nodes.js";

export interface NativeOperationsOptions {
  readonly readDeadlineMs: number;
  readonly onLog: ((line: string) => void) | undefined;
}

export class NativeOperations implements Operations {
  readonly #filesystem: Filesystem;
  readonly #nodes: PathNodes;
  readonly #options: NativeOperationsOptions;
  readonly #log: FailureLog;
  #hasWarnedOfNames = false;

  constructor(filesystem: Filesystem, nodes: PathNodes, options: NativeOperationsOptions) {
    this.#filesystem = filesystem;
    this.#nodes = nodes;
    this.#options = options;
    this.#log = new FailureLog({ onLog: options.onLog });
  }

  getattr(path: string, callback: (code: number, stat?: Stat) => void): void {
    this.#answer(
      `getattr of "${path}"`,
      callback,
      () => this.#nodes.use(path, (node) => this.#filesystem.getattr(node)),
      ({ attributes }) => callback(0, statOf(attributes)),
    );
  }

  readdir(path: string, callback: (code: number, names?: string[], stats?: Stat[]) => void): void {
    this.#answer(
      `readdir of "${path}"`,
      callback,
      () => this.#nodes.use(path, (node) => this.#list(node)),
      ({ names, stats }) => callback(0, names, stats),
    );
  }

  readlink(path: string, callback: (code: number, target?: string) => void): void {
    this.#answer(
      `readlink of "${path}"`,
      callback,
      () => this.#nodes.use(path, (node) => this.#filesystem.readlink(node)),
      (target) => {
        if (!isUtf8(target))
          throw new YoreError("not-supported", `Cannot serve the target of "${path}": it is not UTF-8`);
        callback(0, target.toString());
      },
    );
  }

  read(
    path: string,
    _fd: number,
    buffer: Buffer,
    length: number,
    position: number,
    callback: (lengthOrCode: number) => void,
  ): void {
    const controller = new AbortController();
    this.#answer(
      `read of "${path}", ${length} bytes at ${position},`,
      callback,
      () =>
        this.#nodes.use(path, (node) =>
          // Copied at once: the pieces are not good for longer.
          when(
            this.#filesystem.read(node, position, length, () => controller.signal),
            (pieces) => Buffer.concat(pieces),
          ),
        ),
      // Only now: after the deadline the buffer is libfuse's again.
      (content) => callback(copyContent(content, buffer, length)),
      controller,
    );
  }

  statfs(_path: string, callback: (code: number, statistics?: Record<string, number>) => void): void {
    this.#answer(
      "statfs",
      callback,
      async () => await this.#filesystem.statfs(),
      ({ blockSize, blocks, files, maxNameBytes }) =>
        callback(0, { bsize: blockSize, frsize: blockSize, blocks, files, namemax: maxNameBytes }),
    );
  }

  /** Only there so that the package installs its handler; see `answerGetxattr`. */
  getxattr(_path: string, _name: string, _position: number, callback: (code: number) => void): void {
    callback(-Errno.ENOTSUP);
  }

  /** As `getxattr`. */
  listxattr(_path: string, callback: (code: number) => void): void {
    callback(-Errno.ENOTSUP);
  }

  /** The package's own handler cannot say ERANGE: it tells libfuse of more bytes than there is room for. */
  answerGetxattr(path: string, name: string, room: Buffer, reply: (lengthOrCode: number) => void): void {
    this.#answer(
      `getxattr of "${path}"`,
      reply,
      () => this.#nodes.use(path, (node) => this.#filesystem.getxattr(node, name)),
      (value) => reply(value === undefined ? -Errno.ENODATA : copyValue(value, room)),
    );
  }

  /** As `answerGetxattr`. */
  answerListxattr(path: string, room: Buffer, reply: (lengthOrCode: number) => void): void {
    this.#answer(
      `listxattr of "${path}"`,
      reply,
      () => this.#nodes.use(path, (node) => this.#filesystem.listxattr(node)),
      (names) => reply(copyValue(Buffer.from(names.map((name) => `${name}\0`).join("")), room)),
    );
  }

  /** Replies exactly once: the answer, or the errno of whatever went wrong or took too long. */
  #answer<T>(
    what: string,
    fail: (code: number) => void,
    work: () => Promise<T>,
    succeed: (value: T) => void,
    controller?: AbortController,
  ): void {
    withDeadline(work(), this.#options.readDeadlineMs, "answer")
      .then(succeed)
      .catch((error: unknown) => {
        const errno = errnoOf(error);
        // Before anything else that could go wrong: without a reply its caller could not even be killed.
        fail(-errno);
        controller?.abort(error);
        if (errno !== Errno.ENOENT && errno !== Errno.ENOTSUP && !(error instanceof ToldError))
          this.#log.write(`${what} failed: ${messageOf(error)} (${errnoName(errno)})`);
      });
  }

  async #list(node: NodeId): Promise<{ names: string[]; stats: Stat[] }> {
    const filesystem = this.#filesystem;
    const listing = await filesystem.list(node);
    const own = await filesystem.getattr(node);
    const parent = node === ROOT_NODE ? own : await filesystem.getattr(filesystem.parent(node));
    const names = [".", ".."];
    const stats = [own, parent].map(
      ({ attributes }): Stat => ({ mode: S_IFDIR, ino: foldIno(attributes.ino) }),
    );
    for (let position = 0; position < listing.length; position++) {
      const name = listing.name(position);
      if (!isUtf8(name)) {
        this.#warnOfName(name);
        continue;
      }
      names.push(name.toString());
      stats.push({ mode: listing.typeBits(position), ino: foldIno(listing.ino(position)) });
    }
    return { names, stats };
  }

  #warnOfName(name: Buffer): void {
    if (this.#hasWarnedOfNames) return;
    this.#hasWarnedOfNames = true;
    this.#options.onLog?.(
      `Names that are not UTF-8 cannot be shown by the driver "fuse-native" and are left out, the first is "${name.toString("latin1")}"`,
    );
  }
}

function copyContent(content: Uint8Array, buffer: Buffer, length: number): number {
  if (content.length > length) throw new RangeError("The filesystem answered more than was asked for");
  buffer.set(content);
  return content.length;
}

/** An attribute's value into the room that the caller has; without room only its length is wanted. */
function copyValue(value: Uint8Array, room: Buffer): number {
  if (room.length === 0) return value.length;
  if (value.length > room.length) return -Errno.ERANGE;
  room.set(value);
  return value.length;
}

function statOf(attributes: Attributes): Stat {
  return {
    mode: attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
    size: attributes.size,
    nlink: attributes.nlink,
    ino: foldIno(attributes.ino),
    rdev: attributes.rdev,
    blksize: attributes.blockSize,
    blocks: attributes.blocks,
    atime: milliseconds(attributes.atime),
    mtime: milliseconds(attributes.mtime),
    ctime: milliseconds(attributes.ctime),
  };
}

function foldIno(ino: bigint): number {
  return Number((ino ^ (ino >> 32n)) & 0xffff_ffffn) || 1;
}

/** The package reads milliseconds as an unsigned number. */
function milliseconds({ seconds, nanoseconds }: Moment): number {
  return Math.max(0, seconds * 1000 + Math.floor(nanoseconds / 1_000_000));
}
