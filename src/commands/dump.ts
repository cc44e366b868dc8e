import { type Id, idKey } from "../bytes/id.js";
import { NotFoundError, throwIfAborted, UsageError } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import { loadTree } from "../repository/load-tree.js";
import type { Repository } from "../repository/repository.js";
import { findSnapshot, resolveSubfolder, type SnapshotFilter } from "../repository/snapshots.js";
import { joinPath } from "../repository/tree-cursor.js";
import { walkTree } from "../repository/walk-tree.js";
import { type ArchiveEntry, type ArchiveWriter, isArchived, type Sink } from "./archive-writer.js";
import type { Session } from "./session.js";
import { TarWriter } from "./tar-writer.js";
import { ZipWriter } from "./zip-writer.js";

export const ARCHIVE_FORMATS = ["tar", "zip"] as const;
export type ArchiveFormat = (typeof ARCHIVE_FORMATS)[number];

export interface DumpOptions {
  /** Snapshot argument; ":folder" may stand behind it. */
  readonly snapshot: string;
  /** What `latest` may be. */
  readonly filter: SnapshotFilter;
  /** Of a file, which is written as it is, or of a directory, which becomes an archive; "/" is all. */
  readonly path: string;
  readonly format: ArchiveFormat;
}

/** What is going to be written. */
export type DumpKind = "file" | "archive";

/**
 * Writes a file, or an archive of a directory: files, directories and symlinks in it, other kinds are left out. Content
 * is loaded ahead, at most two batches of 4 MiB and a blob each.
 *
 * @param open is called once it is clear what there is to write
 * @throws {UsageError} if the path is neither file nor directory
 * @throws {NotFoundError} if there is nothing at the path
 */
export async function runDump(
  session: Session,
  options: DumpOptions,
  open: (kind: DumpKind) => Promise<Sink> | Sink,
): Promise<void> {
  const { repository, signal } = session;
  const { snapshot, subfolder } = await findSnapshot(repository, options.snapshot, options.filter, {
    signal,
  });
  await repository.loadIndex({ signal });
  const root = await resolveSubfolder(repository, snapshot.tree, subfolder, signal);
  const found = await findNode(repository, root, options.path, signal);
  const contents = new Contents(repository, signal);
  if (found.type === "file") {
    const sink = await open("file");
    return contents.write(oneFile(found.node), async (_, bytes) => sink(bytes));
  }
  const sink = await open("archive");
  const writer = options.format === "tar" ? new TarWriter(sink) : new ZipWriter(sink);
  const walk = archived(repository, found.tree, found.path, signal);
  let current: ArchiveEntry | undefined;
  await contents.write(walk, async (entry, bytes) => {
    if (entry !== current) {
      if (current) await writer.end();
      current = entry;
      await begin(writer, entry, repository);
    }
    if (bytes.length > 0) await writer.content(bytes);
  });
  if (current) await writer.end();
  await writer.finish();
}

type FoundNode =
  | { readonly type: "file"; readonly node: TreeNode }
  | { readonly type: "dir"; readonly tree: Id; readonly path: Buffer };

/** What stands at a path, symlinks not followed. */
async function findNode(
  repository: Repository,
  root: Id,
  text: string,
  signal: AbortSignal,
): Promise<FoundNode> {
  const names = text.split("/").filter((name) => name !== "" && name !== ".");
  let tree = root;
  let path = Buffer.alloc(0);
  const fail = (reason: string) => new NotFoundError(`cannot dump file: ${reason}`);
  for (const [depth, name] of names.entries()) {
    const nodes = await loadTree(repository, tree, signal);
    const node = nodes.find((one) => one.name.equals(Buffer.from(name)));
    path = joinPath(path, Buffer.from(name)) as typeof path;
    if (!node) throw fail(`path "/${path}" not found in snapshot`);
    const isLast = depth === names.length - 1;
    if (node.type === "dir" && node.subtree) tree = node.subtree;
    else if (isLast && node.type === "file") return { type: "file", node };
    else if (isLast)
      throw new UsageError(`cannot dump file: "/${path}" should be a file, but is a "${node.type}"`);
    else throw fail(`"/${path}" should be a dir, but is a "${node.type}"`);
  }
  return { type: "dir", tree, path };
}

interface Entry extends ArchiveEntry {
  readonly node: TreeNode;
}

async function* archived(
  repository: Repository,
  tree: Id,
  directory: Buffer,
  signal: AbortSignal,
): AsyncGenerator<Entry, void, undefined> {
  for await (const { path, node } of walkTree(repository, tree, { signal }))
    if (isArchived(node))
      yield { path: joinPath(directory, path), node, size: contentSize(node, repository) };
}

async function* oneFile(node: TreeNode): AsyncGenerator<Entry, void, undefined> {
  yield { path: node.name, node, size: node.size };
}

/** Bytes of the blobs, which an archive has to know before it has them. */
function contentSize(node: TreeNode, repository: Repository): number {
  if (node.type !== "file") return 0;
  let size = 0;
  for (const id of node.content ?? []) size += repository.blobSize("data", id) ?? 0;
  return size;
}

async function begin(writer: ArchiveWriter, entry: ArchiveEntry, repository: Repository): Promise<void> {
  for (const id of entry.node.content ?? []) {
    // Loading it says best what is wrong, and before the header promises it.
    if (repository.blobSize("data", id) === undefined) await repository.loadBlob("data", id);
  }
  await writer.begin(entry);
}

const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_PIECES = 4096;

/** A blob of an entry, or an entry without any. */
interface Piece {
  readonly entry: Entry;
  readonly id: Id | undefined;
}

type LoadedBatch = ReadonlyMap<string, { readonly plaintext: Uint8Array } | { readonly error: unknown }>;

/** Loads what entries hold, in batches: while one is written the next one is on its way. */
class Contents {
  readonly #repository: Repository;
  readonly #signal: AbortSignal;

  constructor(repository: Repository, signal: AbortSignal) {
    this.#repository = repository;
    this.#signal = signal;
  }

  /** @param write is called for each piece of an entry, in order, and once without bytes for an entry that has none */
  async write(
    entries: AsyncIterable<Entry>,
    write: (entry: Entry, bytes: Uint8Array) => Promise<void> | undefined,
  ): Promise<void> {
    const batches = this.#batches(entries);
    const startNext = async () => {
      const { value } = await batches.next();
      return value ? { pieces: value, loading: this.#load(value) } : undefined;
    };
    try {
      let next = await startNext();
      while (next) {
        const { pieces, loading } = next;
        const following = startNext();
        // Awaited below; until then its failure is not unhandled.
        following.catch(() => {});
        const loaded = await loading;
        for (const { entry, id } of pieces) {
          throwIfAborted(this.#signal);
          const result = id ? loaded.get(idKey(id))! : NOTHING;
          if ("error" in result) throw result.error;
          await write(entry, result.plaintext);
        }
        next = await following;
      }
    } finally {
      await batches.return(undefined);
    }
  }

  async *#batches(entries: AsyncIterable<Entry>): AsyncGenerator<Piece[], undefined, undefined> {
    let batch: Piece[] = [];
    let bytes = 0;
    for await (const entry of entries) {
      const ids: Iterable<Id | undefined> = entry.node.content?.length ? entry.node.content : [undefined];
      for (const id of ids) {
        batch.push({ entry, id });
        bytes += id ? (this.#repository.blobSize("data", id) ?? 0) : 0;
        if (bytes < BATCH_BYTES && batch.length < BATCH_PIECES) continue;
        yield batch;
        batch = [];
        bytes = 0;
      }
    }
    if (batch.length > 0) yield batch;
    return undefined;
  }

  async #load(pieces: readonly Piece[]): Promise<LoadedBatch> {
    const wanted = new Map<string, Id>();
    for (const { id } of pieces) if (id) wanted.set(idKey(id), id);
    const loaded = new Map<string, { readonly plaintext: Uint8Array } | { readonly error: unknown }>();
    const ids = [...wanted.values()];
    await this.#repository.loadBlobs(
      "data",
      ids,
      (id, result) => {
        loaded.set(idKey(id), "error" in result ? result : { plaintext: Buffer.from(result.plaintext) });
      },
      this.#signal,
    );
    return loaded;
  }
}

const NOTHING = { plaintext: new Uint8Array(0) };
