import type { TreeNode } from "../format/node.js";

/** A promise where it takes time until bytes are written: they are in use until then, and more should wait. */
export type Written = Promise<void> | undefined;

/** Takes bytes, in order: nobody has to wait for what it returns before there are more. */
export type Sink = (bytes: Uint8Array) => Written;

/** A file, directory or symlink on its way into an archive. */
export interface ArchiveEntry {
  /** Raw bytes, no "/" in front. */
  readonly path: Buffer;
  readonly node: TreeNode;
  /** Bytes of content that follow; 0 for all but files. */
  readonly size: number;
}

/**
 * Writes an archive piece by piece: for each entry `begin`, then its content, then `end`; `finish` at last. Nobody has to
 * wait for one call before the next one; once one has failed all later ones do.
 */
export interface ArchiveWriter {
  begin(entry: ArchiveEntry): Written;
  /** @param isDense whether nothing would be gained by compressing it */
  content(bytes: Uint8Array, isDense: boolean): Written;
  end(): Written;
  finish(): Written;
}

/** What archives hold; for the other kinds they have no place, or none that every program knows. */
export function isArchived({ type }: TreeNode): boolean {
  return type === "file" || type === "dir" || type === "symlink";
}
