import { equalIds, type Id } from "../bytes/id.js";
import { throwIfAborted, UsageError, YoreError } from "../errors.js";
import type { NodeType, TreeNode } from "../format/node.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import type { Timestamp } from "../format/timestamp.js";
import { encodeTree } from "../format/tree.js";
import { findSnapshot, resolveSubfolder } from "../repository/snapshots.js";
import { joinPath, TreeCursor } from "../repository/tree-cursor.js";
import { visitTrees } from "../repository/walk-tree.js";
import { BlobSides, BOTH, LEFT, RIGHT } from "./blob-sides.js";
import { type DirectoryPair, directoryPair, LoadedPair, PairsAhead } from "./directory-pair.js";
import type { Session } from "./session.js";
import type { SkimmedNode } from "./skimmed-tree.js";

export interface DiffOptions {
  /** Snapshot arguments, each may have ":folder" behind it. */
  readonly source: string;
  readonly target: string;
  /** Also tell of what differs in metadata only. */
  readonly metadata: boolean;
}

/** What differs at a path, in restic's letters: "+", "-", "T" type, "M" content, "M?" content alone, "U" metadata. */
export interface DiffChange {
  /** Raw bytes, "/" in front; directories have one behind, too. */
  readonly path: Buffer;
  readonly modifier: string;
}

/** What only one side has. */
export interface DiffSide {
  files: number;
  dirs: number;
  others: number;
  dataBlobs: number;
  treeBlobs: number;
  /** Plaintext of those blobs. */
  bytes: number;
}

export interface DiffSummary {
  /** Files whose content differs. */
  readonly changedFiles: number;
  readonly added: DiffSide;
  readonly removed: DiffSide;
}

export interface DiffWatch {
  readonly onStart: (source: LoadedSnapshot, target: LoadedSnapshot) => void;
  /** In the order of the trees. What is returned is awaited. */
  readonly onChange: (change: DiffChange) => Promise<void> | undefined;
  /**
   * Told of each directory below the folders that cannot be loaded; what is below it is left out. Its path is not known
   * when both sides have it. Without it the first one fails the comparison.
   */
  readonly onError?: ((path: Buffer | undefined, error: YoreError) => void) | undefined;
}

/**
 * Compares two snapshots, or folders in them. Directories with the same tree are equal and not compared; only what
 * their blobs are has to be known in the end, to tell which ones the other side has not.
 */
export async function runDiff(
  session: Session,
  options: DiffOptions,
  watch: DiffWatch,
): Promise<DiffSummary> {
  const { repository, signal } = session;
  const source = await findSnapshot(repository, options.source, undefined, { signal });
  const target = await findSnapshot(repository, options.target, undefined, { signal });
  watch.onStart(source.snapshot, target.snapshot);
  await session.loadIndex();
  const before = await resolveSubfolder(repository, source.snapshot.tree, source.subfolder, signal);
  const after = await resolveSubfolder(repository, target.snapshot.tree, target.subfolder, signal);
  const comparison = new Comparison(session, options.metadata, watch);
  return comparison.run(before, after);
}

class Comparison {
  readonly #session: Session;
  readonly #metadata: boolean;
  readonly #watch: DiffWatch;
  readonly #removed = emptySide();
  readonly #added = emptySide();
  /** All that stand outside of common directories. */
  readonly #blobs = new BlobSides();
  /** Trees that stand at the same path on both sides. */
  readonly #common: Id[] = [];
  #changedFiles = 0;

  constructor(session: Session, metadata: boolean, watch: DiffWatch) {
    this.#session = session;
    this.#metadata = metadata;
    this.#watch = watch;
  }

  async run(before: Id, after: Id): Promise<DiffSummary> {
    const { repository, signal } = this.#session;
    this.#blobs.add("tree", before, LEFT);
    this.#blobs.add("tree", after, RIGHT);
    const pair = { path: ROOT, before, after };
    if (equalIds(before, after)) this.#common.push(before);
    else await this.#compare(ROOT, await LoadedPair.load(repository, pair, signal));
    await this.#countBlobs();
    return { changedFiles: this.#changedFiles, added: this.#added, removed: this.#removed };
  }

  async #compare(path: Buffer, trees: LoadedPair): Promise<void> {
    const { repository, signal } = this.#session;
    throwIfAborted(signal);
    const ahead = new PairsAhead(trees.directories(path), repository, signal);
    for (const { left, right } of trees.nodes()) {
      if (left && right) {
        const pair = await this.#compareNodes(path, left, right);
        const loaded = pair && (await this.#loaded(pair, ahead));
        if (loaded) await this.#compare(pair.path, loaded);
      } else if (left) await this.#onlyIn(LEFT, path, left);
      else if (right) await this.#onlyIn(RIGHT, path, right);
    }
  }

  /** @returns `undefined` for directories one of which cannot be loaded, when that was told */
  async #loaded(pair: DirectoryPair, ahead: PairsAhead): Promise<LoadedPair | undefined> {
    try {
      return await ahead.take(pair);
    } catch (error) {
      this.#fail(pair.path, error);
      return undefined;
    }
  }

  /** @throws {unknown} the error itself, unless somebody is to be told */
  #fail(path: Buffer | undefined, error: unknown): void {
    throwIfAborted(this.#session.signal);
    if (!this.#watch.onError || !(error instanceof YoreError)) throw error;
    this.#watch.onError(path && fromRoot(path), error);
  }

  /** @returns the directories that they are, if those differ */
  async #compareNodes(
    path: Buffer,
    left: SkimmedNode,
    right: SkimmedNode,
  ): Promise<DirectoryPair | undefined> {
    const isSame = left.isWrittenAs(right);
    this.#addBlobs(isSame ? BOTH : LEFT, left);
    if (!isSame) {
      this.#addBlobs(RIGHT, right);
      const modifier = this.#modifier(left, right);
      if (modifier !== "") await this.#tell(modifier, joinPath(path, right.name), right.type);
    }
    const pair = directoryPair(path, left, right);
    if (!pair || !equalIds(pair.before, pair.after)) return pair;
    this.#common.push(pair.before);
    return undefined;
  }

  #addBlobs(side: number, { type, content, subtree }: Pick<TreeNode, "type" | "content" | "subtree">): void {
    if (type === "file") for (const id of content ?? []) this.#blobs.add("data", id, side);
    if (type === "dir" && subtree) this.#blobs.add("tree", subtree, side);
  }

  #modifier(left: SkimmedNode, right: SkimmedNode): string {
    const type = left.type === right.type ? "" : "T";
    if (left.type === "file" && right.type === "file" && !sameContent(left, right)) {
      this.#changedFiles++;
      const isSame = equalNodes({ ...left.decode(), content: null }, { ...right.decode(), content: null });
      // All that a backup looks at is the same: it is the content that has changed by itself.
      return isSame ? `${type}M?` : `${type}M`;
    }
    return this.#metadata && !equalNodes(left.decode(), right.decode()) ? `${type}U` : type;
  }

  async #onlyIn(side: typeof LEFT | typeof RIGHT, directory: Buffer, node: SkimmedNode): Promise<void> {
    const { repository, signal } = this.#session;
    const [counts, modifier] = side === LEFT ? [this.#removed, "-"] : [this.#added, "+"];
    const take = async (path: Buffer, one: SkimmedNode | TreeNode) => {
      this.#addBlobs(side, one);
      counts[one.type === "file" ? "files" : one.type === "dir" ? "dirs" : "others"]++;
      await this.#tell(modifier, path, one.type);
    };
    const path = joinPath(directory, node.name);
    await take(path, node);
    if (!node.subtree) return;
    const onError = (below: Buffer, error: YoreError) =>
      this.#fail(below.length > 0 ? joinPath(path, below) : path, error);
    const cursor = new TreeCursor(repository, node.subtree, { signal, onError });
    try {
      for (;;) {
        const next = cursor.next();
        const walked = next instanceof Promise ? await next : next;
        if (!walked) return;
        await take(joinPath(path, walked.path), walked.node);
      }
    } finally {
      cursor.close();
    }
  }

  async #tell(modifier: string, path: Buffer, type: NodeType): Promise<void> {
    const whole = fromRoot(path);
    const full = this.#watch.onChange({
      path: type === "dir" ? Buffer.concat([whole, SLASH]) : whole,
      modifier,
    });
    if (full) await full;
  }

  /** Counts the blobs that one side has and the other has not, at the same place or anywhere else. */
  async #countBlobs(): Promise<void> {
    const { repository, signal } = this.#session;
    const blobs = this.#blobs;
    const sides = [
      [LEFT, this.#removed],
      [RIGHT, this.#added],
    ] as const;
    const isAnyAlone = () => sides.some(([side]) => TYPES.some((type) => !isEmpty(blobs.onlyOf(type, side))));
    if (isAnyAlone()) {
      await visitTrees(
        repository,
        this.#common,
        (id, tree) => {
          blobs.addIfKnown("tree", id);
          if ("error" in tree) {
            this.#fail(undefined, tree.error);
            return;
          }
          for (const blob of tree.contents) blobs.addIfKnown("data", blob);
        },
        { signal, engine: repository.engine },
      );
    }
    for (const [side, counts] of sides) {
      for (const type of TYPES) {
        for (const id of blobs.onlyOf(type, side)) {
          counts[type === "data" ? "dataBlobs" : "treeBlobs"]++;
          counts.bytes += repository.blobSize(type, id) ?? 0;
        }
      }
    }
  }
}

const TYPES = ["data", "tree"] as const;

function emptySide(): DiffSide {
  return { files: 0, dirs: 0, others: 0, dataBlobs: 0, treeBlobs: 0, bytes: 0 };
}

function isEmpty(items: Iterable<unknown>): boolean {
  for (const _ of items) return false;
  return true;
}

const ROOT = Buffer.alloc(0);
const SLASH = Buffer.from("/");

function fromRoot(path: Buffer): Buffer {
  return Buffer.concat([SLASH, path]);
}

function sameContent(left: SkimmedNode, right: SkimmedNode): boolean {
  return Buffer.compare(left.content.bytes, right.content.bytes) === 0;
}

/** Whether two nodes of one name are the same in everything, times as moments. */
function equalNodes(left: TreeNode, right: TreeNode): boolean {
  return encodeTree([inUtc(left)]).equals(encodeTree([inUtc(right)]));
}

function inUtc(node: TreeNode): TreeNode {
  const utc = (time: Timestamp) => ({ ...time, zoneMinutes: 0 });
  return { ...node, mtime: utc(node.mtime), atime: utc(node.atime), ctime: utc(node.ctime) };
}

/** @throws {UsageError} unless there are two of them */
export function requireTwo(names: readonly string[]): readonly [string, string] {
  const [source, target] = names;
  if (source === undefined || target === undefined || names.length > 2)
    throw new UsageError("specify two snapshot IDs");
  return [source, target];
}
