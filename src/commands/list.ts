import type { Id } from "../bytes/id.js";
import type { BlobType } from "../format/blob.js";
import type { NamedFileType } from "../repository/repository-files.js";
import type { Session } from "./session.js";

export const LIST_TYPES = ["blobs", "packs", "index", "snapshots", "keys", "locks"] as const;
export type ListType = (typeof LIST_TYPES)[number];

/** An object of the repository: a file with its size, or a blob with its place. */
export type ListedObject =
  | { readonly type: NamedFileType; readonly id: Id; readonly size: number }
  | {
      readonly type: BlobType;
      readonly id: Id;
      readonly packId: Id;
      readonly offset: number;
      /** Bytes in the pack. */
      readonly length: number;
      /** Bytes of the plaintext if it is compressed, else 0. */
      readonly uncompressedLength: number;
    };

const FILE_TYPES: Readonly<Record<Exclude<ListType, "blobs">, NamedFileType>> = {
  packs: "pack",
  index: "index",
  snapshots: "snapshot",
  keys: "key",
  locks: "lock",
};

/** All objects of a type, in no order. Of a blob that lies in several packs each copy is listed. */
export async function* runList(
  session: Session,
  type: ListType,
): AsyncGenerator<ListedObject, void, undefined> {
  const { repository, signal } = session;
  if (type === "blobs") {
    await repository.loadIndex({ signal });
    yield* repository.index.entries();
    // A list that lacks what a damaged index file knows must not pass for a whole one.
    const [problem] = repository.indexProblems;
    if (problem) throw problem.error;
    return;
  }
  for await (const { id, size } of repository.listFiles(FILE_TYPES[type])) {
    signal.throwIfAborted();
    yield { type: FILE_TYPES[type], id, size };
  }
}
