import { posixModeFromNode, S_IFMT } from "../format/file-mode.js";
import type { TreeNode } from "../format/node.js";
import type { Timestamp } from "../format/timestamp.js";
import type { FileStatus } from "./file-call.js";

const FIELDS = 7;
const SEGMENT_FILES = 4096;

/** What `FileStatuses` takes from a node. */
type StatusSource = Pick<TreeNode, "uid" | "gid" | "mtime" | "atime" | "mode" | "type">;

/**
 * Owner, times and mode of the files that a restore is about to write, as numbers in columns: 56 bytes a file, since there
 * can be millions of them.
 */
export class FileStatuses {
  readonly #segments: Float64Array[] = [];
  #length = 0;

  /** @returns the number to ask for it */
  add(node: StatusSource): number {
    const number = this.#length++;
    if (number % SEGMENT_FILES === 0) this.#segments.push(new Float64Array(SEGMENT_FILES * FIELDS));
    const { uid, gid, mtime, atime } = node;
    const mode = posixModeFromNode(node) & ~S_IFMT;
    this.#segments
      .at(-1)!
      .set(
        [uid, gid, mtime.seconds, mtime.nanoseconds, atime.seconds, atime.nanoseconds, mode],
        (number % SEGMENT_FILES) * FIELDS,
      );
    return number;
  }

  at(number: number): FileStatus {
    const segment = this.#segments[Math.floor(number / SEGMENT_FILES)]!;
    const start = (number % SEGMENT_FILES) * FIELDS;
    return {
      uid: segment[start]!,
      gid: segment[start + 1]!,
      mtime: timestamp(segment[start + 2]!, segment[start + 3]!),
      atime: timestamp(segment[start + 4]!, segment[start + 5]!),
      mode: segment[start + 6]!,
    };
  }
}

function timestamp(seconds: number, nanoseconds: number): Timestamp {
  return { seconds, nanoseconds, zoneMinutes: 0 };
}
