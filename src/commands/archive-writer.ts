import type { TreeNode } from "../format/node.js";

/** Takes bytes; what it returns is awaited before there are more. The bytes are not touched afterwards. */
export type Sink = (bytes: Uint8Array) => Promise<void> | undefined;

/** A file, directory or symlink on its way into an archive. */
export interface ArchiveEntry {
  /** Raw bytes, no "/" in front. */
  readonly path: Buffer;
  readonly node: TreeNode;
  /** Bytes of content that follow; 0 for all but files. */
  readonly size: number;
}

/** Writes an archive piece by piece: for each entry `begin`, then its content, then `end`; `finish` at last. */
export interface ArchiveWriter {
  begin(entry: ArchiveEntry): Promise<void>;
  content(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
  finish(): Promise<void>;
}

/** What archives hold; for the other kinds they have no place, or none that every program knows. */
export function isArchived({ type }: TreeNode): boolean {
  return type === "file" || type === "dir" || type === "symlink";
}
