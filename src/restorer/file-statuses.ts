import { posixModeFromNode, S_IFMT } from "../format/file-mode.js";
import type { TreeNode } from "../format/node.js";
import { NumberRows } from "./columns.js";
import type { FileStatus } from "./file-call.js";

/** What of a node makes a status. */
type StatusSource = Pick<TreeNode, "uid" | "gid" | "mtime" | "atime" | "mode" | "type">;

/** What a restore gives a file besides its content. */
export function statusOf(node: StatusSource): FileStatus {
  const { uid, gid, mtime, atime } = node;
  return { uid, gid, mtime, atime, mode: posixModeFromNode(node) & ~S_IFMT };
}

/** Owner, times and mode of the files that a restore is about to write: 56 bytes a file, since there can be millions. */
export class FileStatuses {
  readonly #rows = new NumberRows(7);

  /** @returns the number to ask for it */
  add(node: StatusSource): number {
    const { uid, gid, mtime, atime, mode } = statusOf(node);
    return this.#rows.add(uid, gid, mtime.seconds, mtime.nanoseconds, atime.seconds, atime.nanoseconds, mode);
  }

  at(number: number): FileStatus {
    const get = (column: number) => this.#rows.get(number, column);
    return {
      uid: get(0),
      gid: get(1),
      mtime: { seconds: get(2), nanoseconds: get(3), zoneMinutes: 0 },
      atime: { seconds: get(4), nanoseconds: get(5), zoneMinutes: 0 },
      mode: get(6),
    };
  }
}
