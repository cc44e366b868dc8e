import type { Id } from "../bytes/id.js";
import { bytesOfText } from "../bytes/utf8.js";
import { DamagedError, NotFoundError, UsageError } from "../errors.js";
import { isSafeName, quoteName } from "../format/name-quoting.js";
import type { TreeNode } from "../format/node.js";
import { loadNode } from "../repository/load-tree.js";
import type { Repository } from "../repository/repository.js";
import { findSnapshot, resolveSubfolder, type SnapshotFilter } from "../repository/snapshots.js";
import { joinPath, type WalkedNode } from "../repository/tree-cursor.js";
import { walkTree } from "../repository/walk-tree.js";
import { type ContentPiece, writeContents } from "./archive-contents.js";
import { type ArchiveEntry, isArchived, type Sink, type Written } from "./archive-writer.js";
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
 * is loaded ahead: see `writeContents`, also for the memory.
 *
 * @param open is called once it is clear what there is to write
 * @param onError is told of what an archive must not have: names that would be unpacked to other places
 * @throws {UsageError} if the path is neither file nor directory
 * @throws {NotFoundError} if there is nothing at the path
 */
export async function runDump(
  session: Session,
  options: DumpOptions,
  open: (kind: DumpKind) => Promise<Sink> | Sink,
  onError: (error: DamagedError) => void,
): Promise<void> {
  const { repository, signal } = session;
  const { snapshot, subfolder } = await findSnapshot(repository, options.snapshot, options.filter, {
    signal,
  });
  await session.loadIndex();
  const root = await resolveSubfolder(repository, snapshot.tree, subfolder, signal);
  const found = await findNode(repository, root, options.path, signal);
  if (found.type === "file") {
    const sink = await open("file");
    const write = ({ bytes }: { bytes: Uint8Array }) => (bytes.length > 0 ? sink(bytes) : undefined);
    return writeContents(repository, oneFile(found.node), write, signal);
  }
  const sink = await open("archive");
  const writer = options.format === "tar" ? new TarWriter(sink) : new ZipWriter(sink);
  const walk = archived(repository, found, onError, signal);
  let current: ArchiveEntry | undefined;
  const write = ({ entry, id, bytes }: ContentPiece<Entry>) => {
    let written: Written;
    if (entry !== current) {
      if (current) writer.end();
      current = entry;
      written = writer.begin(entry);
    }
    return id ? writer.content(bytes, options.format === "zip" && isDense(repository, id)) : written;
  };
  await writeContents(repository, walk, write, signal);
  if (current) writer.end();
  await writer.finish();
}

/** Whether a blob became hardly smaller when it was saved: what compresses worse still need not try. */
function isDense({ index }: Repository, id: Id): boolean {
  const entry = index.entryOf("data", id);
  if (entry < 0) return false;
  const plainLength = index.uncompressedLengthOf(entry);
  return plainLength > 0 && index.lengthOf(entry) > 0.97 * plainLength;
}

interface FoundDirectory {
  readonly type: "dir";
  readonly tree: Id;
  readonly path: Buffer;
}

type FoundNode = FoundDirectory | { readonly type: "file"; readonly node: TreeNode };

/** What stands at a path, symlinks not followed. */
async function findNode(
  repository: Repository,
  root: Id,
  text: string,
  signal: AbortSignal,
): Promise<FoundNode> {
  const names = text
    .split("/")
    .filter((name) => name !== "" && name !== ".")
    .map(bytesOfText);
  let tree = root;
  let path = Buffer.alloc(0);
  const fail = (reason: string) => new NotFoundError(`cannot dump file: ${reason}`);
  for (const [depth, name] of names.entries()) {
    const node = isSafeName(name) ? await loadNode(repository, tree, name, signal) : undefined;
    path = joinPath(path, name) as typeof path;
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
  readonly failure?: unknown;
}

async function* archived(
  repository: Repository,
  { tree, path: directory }: FoundDirectory,
  onError: (error: DamagedError) => void,
  signal: AbortSignal,
): AsyncGenerator<Entry, void, undefined> {
  const descend = ({ node }: WalkedNode) => isSafeName(node.name);
  for await (const { path, node } of walkTree(repository, tree, { signal, descend })) {
    if (!isSafeName(node.name)) onError(unsafeName(node));
    if (!isSafeName(node.name) || !isArchived(node)) continue;
    let size = contentSize(node, repository);
    const failure = size === undefined ? await findMissing(node, repository, signal) : undefined;
    size ??= contentSize(node, repository) ?? 0;
    yield { path: joinPath(directory, path), node, size, failure };
  }
}

function unsafeName({ name }: TreeNode): DamagedError {
  return new DamagedError(
    `Cannot dump "${quoteName(name)}": this is not the name of a file, but may lead elsewhere`,
  );
}

async function* oneFile(node: TreeNode): AsyncGenerator<Entry, void, undefined> {
  yield { path: node.name, node, size: node.size };
}

/** Bytes of the blobs, which an archive has to know before it has them; `undefined` when one is in no index. */
function contentSize(node: TreeNode, repository: Repository): number | undefined {
  if (node.type !== "file") return 0;
  let size = 0;
  for (const id of node.content ?? []) {
    const length = repository.blobSize("data", id);
    if (length === undefined) return undefined;
    size += length;
  }
  return size;
}

/** Looks once more for the blobs that are in no index. @returns what loading them fails with */
async function findMissing(node: TreeNode, repository: Repository, signal: AbortSignal): Promise<unknown> {
  try {
    for (const id of node.content ?? [])
      if (repository.blobSize("data", id) === undefined) await repository.loadBlob("data", id, signal);
    return undefined;
  } catch (error) {
    return error;
  }
}
