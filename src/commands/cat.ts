import { formatId, type Id, parseId } from "../bytes/id.js";
import { DamagedError, messageOf, UsageError } from "../errors.js";
import { encodeConfig } from "../format/config.js";
import { encodeMasterKey } from "../format/key-file.js";
import { encodeSnapshot } from "../format/snapshot.js";
import {
  ANY_SNAPSHOT,
  findSnapshot,
  findSnapshotId,
  loadSnapshot,
  resolveSubfolder,
} from "../repository/snapshots.js";
import type { Session } from "./session.js";

export const CAT_TYPES = [
  "config",
  "index",
  "snapshot",
  "key",
  "masterkey",
  "lock",
  "pack",
  "blob",
  "tree",
] as const;
export type CatType = (typeof CAT_TYPES)[number];

/** An object of the repository, decrypted. */
export type CatResult =
  /** JSON of a small file, to be shown readably. */
  | { readonly type: "document"; readonly json: Uint8Array }
  /** One line of JSON. */
  | { readonly type: "line"; readonly json: Uint8Array }
  /** Raw bytes: a pack as it is stored, a blob as it was saved. */
  | { readonly type: "bytes"; readonly bytes: Uint8Array; readonly warning?: string };

/**
 * Loads one object.
 *
 * @param name the ID, for snapshots also the beginning of one; for trees a snapshot with an optional ":folder";
 *   not needed for `config` and `masterkey`
 * @throws {UsageError} if the name is missing or no ID
 * @throws {NotFoundError} if there is no such object
 */
export async function runCat(session: Session, type: CatType, name: string | undefined): Promise<CatResult> {
  const { repository, signal } = session;
  if (type === "config") return { type: "document", json: encodeConfig(repository.config) };
  if (type === "masterkey") return { type: "document", json: encodeMasterKey(repository.masterKey) };
  if (!name) throw new UsageError("ID not specified");
  switch (type) {
    case "snapshot": {
      const snapshot = await loadSnapshot(repository, await findSnapshotId(repository, name), signal);
      return { type: "document", json: encodeSnapshot(snapshot) };
    }
    case "tree":
      return { type: "bytes", bytes: await loadTreeOf(session, name) };
    case "index":
      return { type: "line", json: await repository.loadFile("index", requireId(name), signal) };
    case "lock":
      return { type: "document", json: await repository.loadFile("lock", requireId(name), signal) };
    case "key":
      return { type: "document", json: await repository.loadRaw("key", requireId(name), signal) };
    case "pack":
      return loadPack(session, requireId(name));
    case "blob":
      return { type: "bytes", bytes: await loadAnyBlob(session, requireId(name)) };
  }
}

async function loadTreeOf(session: Session, name: string): Promise<Uint8Array> {
  const { repository, signal } = session;
  const { snapshot, subfolder } = await findSnapshot(repository, name, ANY_SNAPSHOT, { signal });
  await session.loadIndex();
  const tree = await resolveSubfolder(repository, snapshot.tree, subfolder, signal);
  return repository.loadBlob("tree", tree, signal);
}

/** A damaged pack is handed out as well: whoever looks at packs may be looking for the damage. */
async function loadPack({ repository, signal }: Session, id: Id): Promise<CatResult> {
  try {
    return { type: "bytes", bytes: await repository.loadRaw("pack", id, signal) };
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error;
    const bytes = await repository.backend.load({ type: "pack", name: formatId(id) }, { signal });
    return { type: "bytes", bytes, warning: messageOf(error) };
  }
}

async function loadAnyBlob(session: Session, id: Id): Promise<Uint8Array> {
  const { repository, signal } = session;
  await session.loadIndex();
  const type = repository.index.has("tree", id) && !repository.index.has("data", id) ? "tree" : "data";
  return repository.loadBlob(type, id, signal);
}

function requireId(text: string): Id {
  const id = parseId(text);
  if (!id) throw new UsageError(`unable to parse ID: "${text}" is not 64 hexadecimal digits`);
  return id;
}
