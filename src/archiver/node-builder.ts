import { equalIds, type IdList } from "../bytes/id.js";
import { goModeFromPosix, nodeTypeFromPosix } from "../format/file-mode.js";
import type { TreeNode } from "../format/node.js";
import { equalMoments, localZoneMinutes, type Timestamp } from "../format/timestamp.js";
import type { FileRecord, FileStat, FileTime } from "./file-record.js";
import type { Scanner } from "./scanner.js";

export interface NodeBuilderOptions {
  /** Keep access times; otherwise the modification time stands for them, which keeps trees stable. */
  readonly withAtime: boolean;
}

/** Makes tree nodes of what was scanned, field by field as restic does. */
export class NodeBuilder {
  readonly #scanner: Scanner;
  readonly #options: NodeBuilderOptions;

  constructor(scanner: Scanner, options: NodeBuilderOptions) {
    this.#scanner = scanner;
    this.#options = options;
  }

  /**
   * A node, of a directory one without its subtree.
   *
   * @param name raw bytes as a Latin-1 string: its name in the snapshot, which need not be that of the record
   * @param content of a file
   * @param stat newer than the record's when the file has been opened since
   * @param size of the content that was read, should it differ from the `stat`'s
   */
  build(
    name: string,
    record: FileRecord,
    content: IdList | null = null,
    stat: FileStat = record.stat,
    size: number = stat.size,
  ): TreeNode {
    const type = nodeTypeFromPosix(stat.mode);
    const mtime = timestamp(stat.mtime);
    return {
      name: Buffer.from(name, "latin1"),
      type,
      mode: goModeFromPosix(stat.mode),
      mtime,
      atime: this.#options.withAtime ? timestamp(stat.atime) : mtime,
      ctime: timestamp(stat.ctime),
      uid: stat.uid,
      gid: stat.gid,
      user: this.#scanner.userName(stat.uid),
      group: this.#scanner.groupName(stat.gid),
      inode: stat.ino,
      deviceId: stat.dev,
      size: type === "file" ? size : 0,
      links: type === "dir" || type === "fifo" ? 0 : stat.links,
      linkTarget: type === "symlink" ? (record.linkTarget ?? Buffer.alloc(0)) : undefined,
      extendedAttributes: record.attributes,
      genericAttributes: undefined,
      device: type === "dev" || type === "chardev" ? stat.rdev : 0n,
      content,
      subtree: undefined,
      error: "",
    };
  }
}

/** A moment in the zone of this machine, as restic writes it. */
export function timestamp(time: FileTime): Timestamp {
  const { seconds, nanoseconds } = time;
  return { seconds, nanoseconds, zoneMinutes: localZoneMinutes(seconds) };
}

/**
 * True when two nodes say the same in every field; a moment counts as a moment, in whatever zone it is
 * written.
 */
export function equalNodes(a: TreeNode, b: TreeNode): boolean {
  return (
    a.name.equals(b.name) &&
    a.type === b.type &&
    a.mode === b.mode &&
    equalMoments(a.mtime, b.mtime) &&
    equalMoments(a.atime, b.atime) &&
    equalMoments(a.ctime, b.ctime) &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.user === b.user &&
    a.group === b.group &&
    a.inode === b.inode &&
    a.deviceId === b.deviceId &&
    a.size === b.size &&
    a.links === b.links &&
    equalBytes(a.linkTarget, b.linkTarget) &&
    a.device === b.device &&
    equalBytes(a.content?.bytes, b.content?.bytes) &&
    equalBytes(a.subtree, b.subtree) &&
    a.error === b.error &&
    equalAttributes(a, b)
  );
}

function equalBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalIds(a, b);
}

/** By name: the kernel may list the same attributes in another order. */
function equalAttributes(a: TreeNode, b: TreeNode): boolean {
  if (a.extendedAttributes.length !== b.extendedAttributes.length) return false;
  const others = new Map(b.extendedAttributes.map(({ name, value }) => [name, value]));
  return a.extendedAttributes.every(({ name, value }) => {
    const other = others.get(name);
    return other !== undefined && equalBytes(value ?? undefined, other ?? undefined);
  });
}
