import type { Id } from "../bytes/id.js";

/** A blob is file content (`data`) or the listing of one directory (`tree`). */
export type BlobType = "data" | "tree";

/** What names a blob: IDs of the two types are separate worlds. */
export interface BlobHandle {
  readonly type: BlobType;
  readonly id: Id;
}
