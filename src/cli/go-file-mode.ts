import { goModeFromPosix, posixModeFromNode } from "../format/file-mode.js";
import type { TreeNode } from "../format/node.js";

/** The letters of Go's mode bits, from the highest bit down; what `ls -l` of restic shows. */
const TYPE_LETTERS = "dalTLDpSugct?";
const PERMISSION_LETTERS = "rwxrwxrwx";
const HIGHEST_BIT = 31;

/** "drwxr-xr-x", "Lrwxrwxrwx", "urwxr-xr-x": a mode as Go's `FileMode.String` has it. */
export function formatGoMode(mode: number): string {
  const type = [...TYPE_LETTERS].filter((_, i) => hasBit(mode, HIGHEST_BIT - i)).join("");
  const permissions = [...PERMISSION_LETTERS]
    .map((letter, i) => (hasBit(mode, 8 - i) ? letter : "-"))
    .join("");
  return (type || "-") + permissions;
}

/** The mode of a node with the bits of its type, which not every program stores. */
export function goModeOfNode(node: TreeNode): number {
  return (node.mode | goModeFromPosix(posixModeFromNode(node))) >>> 0;
}

function hasBit(mode: number, bit: number): boolean {
  return ((mode >>> bit) & 1) === 1;
}
