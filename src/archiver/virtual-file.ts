import type { Readable } from "node:stream";
import { untilInterrupted } from "../async/deadline.js";
import type { Id } from "../bytes/id.js";
import { interruptedError, messageOf } from "../errors.js";
import { GO_MODE_DIR } from "../format/file-mode.js";
import { emptyNode, type TreeNode } from "../format/node.js";
import type { Timestamp } from "../format/timestamp.js";
import { decodeTree, encodeTree } from "../format/tree.js";
import { type BackupProgress, noBlobs } from "./backup-progress.js";
import type { BackupStatistics } from "./backup-statistics.js";
import { type BlobStore, countBlob } from "./blob-store.js";
import { type ByteSource, ContentSaver, SourceError } from "./content-saver.js";
import { displayPath, joinRaw, type RawPath } from "./raw-path.js";
import { segmentPool } from "./segment.js";

/** One file that exists only as a stream: standard input, or what a command prints. */
export interface VirtualFile {
  /** Absolute and clean; its folders exist only in the snapshot. */
  readonly path: RawPath;
  readonly stream: Readable;
  /** For messages: "stdin". */
  readonly source: string;
  /** Waits for whatever writes the stream, and throws when it failed: then there is no snapshot. */
  readonly finished?: () => Promise<void>;
}

export interface VirtualFileOptions {
  readonly store: BlobStore;
  readonly statistics: BackupStatistics;
  readonly progress: BackupProgress;
  /** What the file and its folders bear as their times. */
  readonly time: Timestamp;
  readonly parentTree: Id | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onError: (path: RawPath, error: Error) => void;
}

const SEGMENTS = 5;

/** Saves a stream as one file in otherwise empty folders. @returns the ID of the root tree */
export async function saveVirtualFile(file: VirtualFile, options: VirtualFileOptions): Promise<Id> {
  const { store, statistics } = options;
  const names = file.path.split("/").filter((name) => name !== "");
  const previous = await loadPrevious(names, options);
  let node = await saveStream(file, names.at(-1)!, previous.at(-1), options);
  for (let depth = names.length - 1; ; depth--) {
    const startedAt = performance.now();
    const added = noBlobs();
    const saved = await store.saveBlob("tree", encodeTree(node ? [node] : []));
    countBlob(added, "tree", saved);
    if (depth === 0) {
      statistics.add(added);
      return saved.id;
    }
    node = { ...bareNode(names[depth - 1]!, "dir", GO_MODE_DIR + 0o755, options.time), subtree: saved.id };
    const path = joinRaw("/", names.slice(0, depth).join("/"));
    statistics.directory(path, previous[depth - 1], node, added, startedAt);
  }
}

async function saveStream(
  file: VirtualFile,
  name: string,
  previous: TreeNode | undefined,
  options: VirtualFileOptions,
): Promise<TreeNode | undefined> {
  const { store, progress, statistics, signal } = options;
  const startedAt = performance.now();
  const shown = displayPath(file.path);
  const onAbort = () => file.stream.destroy(interruptedError(signal));
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  progress.currentFiles.add(shown);
  try {
    const contents = new ContentSaver(store, segmentPool(SEGMENTS), progress);
    const saved = await contents.save(streamSource(file.stream), signal ?? new AbortController().signal);
    await finish(file, options);
    if (saved.size === 0) throw new SourceError(new Error(`read ${file.source}: no data read`));
    const node = {
      ...bareNode(name, "file", 0o644, options.time),
      content: saved.content,
      size: saved.size,
    };
    statistics.file(file.path, previous, node, saved.added, startedAt);
    return node;
  } catch (error) {
    if (signal?.aborted) throw interruptedError(signal);
    if (!(error instanceof SourceError)) throw error;
    options.onError(file.path, error.reason);
    return undefined;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    progress.currentFiles.delete(shown);
  }
}

/** Whoever writes the stream may close it long before he ends. */
async function finish(file: VirtualFile, { signal, onError }: VirtualFileOptions): Promise<void> {
  try {
    if (file.finished) await untilInterrupted(file.finished(), signal);
  } catch (error) {
    if (!signal?.aborted)
      onError(file.path, new Error(`failed to save ${displayPath(file.path)}: Fatal: ${messageOf(error)}`));
    throw error;
  }
}

/** Gathers the pieces of a stream into whole segments. */
function streamSource(stream: Readable): ByteSource {
  const pieces = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let rest: Buffer = Buffer.alloc(0);
  return {
    async fill(buffer: Buffer): Promise<number> {
      let filled = 0;
      while (filled < buffer.length) {
        if (rest.length === 0) {
          const next = await pieces.next();
          if (next.done) break;
          rest = next.value;
        }
        const taken = rest.copy(buffer, filled);
        rest = rest.subarray(taken);
        filled += taken;
      }
      return filled;
    },
  };
}

/**
 * The nodes of the same path in the parent snapshot, from the top; what is missing or unreadable is
 * `undefined`.
 */
async function loadPrevious(
  names: readonly string[],
  { store, parentTree, signal }: VirtualFileOptions,
): Promise<(TreeNode | undefined)[]> {
  const nodes: (TreeNode | undefined)[] = [];
  let tree = parentTree;
  for (const name of names) {
    let node: TreeNode | undefined;
    if (tree) {
      const raw = Buffer.from(name, "latin1");
      const siblings = await store.loadBlob("tree", tree, signal).then(decodeTree, () => []);
      node = siblings.find((sibling) => sibling.name.equals(raw));
    }
    nodes.push(node);
    tree = node?.subtree;
  }
  return nodes;
}

/** A node of nobody's, of which nothing is known but this. */
function bareNode(name: string, type: "file" | "dir", mode: number, time: Timestamp): TreeNode {
  return {
    ...emptyNode(),
    name: Buffer.from(name, "latin1"),
    type,
    mode,
    mtime: time,
    atime: time,
    ctime: time,
  };
}
