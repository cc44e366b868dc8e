import { formatId, formatShortId, type Id } from "../bytes/id.js";
import { bytesOfText } from "../bytes/utf8.js";
import { UsageError, type YoreError } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import type { TreeNode } from "../format/node.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import { compareTimestamps, type Timestamp } from "../format/timestamp.js";
import { type PatternMatch, parsePatterns } from "../patterns/mod.js";
import type { BlobLocation } from "../repository/blob-index.js";
import { countTrees } from "../repository/count-trees.js";
import type { SnapshotFilter } from "../repository/snapshots.js";
import { type IgnoredSnapshot, selectSnapshots } from "./select-snapshots.js";
import type { Session } from "./session.js";
import { type SearchProgress, type TreeQuery, TreeSearch } from "./tree-search.js";

/** What is looked for. */
export type FindTarget =
  | {
      readonly type: "paths";
      /** Any of them; one that is empty fits everything. */
      readonly patterns: readonly string[];
      readonly ignoreCase: boolean;
      /** Only what was modified then or later. */
      readonly oldest: Timestamp | undefined;
      /** Only what was modified then or earlier. */
      readonly newest: Timestamp | undefined;
    }
  | {
      /** Where blobs are used; for packs, all blobs that lie in them. */
      readonly type: "blobs" | "trees" | "packs";
      /** IDs, whole or their first 8 hex digits. */
      readonly ids: readonly string[];
    };

export interface FindOptions {
  readonly target: FindTarget;
  /** Snapshot arguments; all snapshots that pass the filter when empty. */
  readonly snapshots: readonly string[];
  readonly filter: SnapshotFilter;
  /** Oldest snapshot first; newest first otherwise. */
  readonly oldestFirst: boolean;
}

/** One thing that was found, in whatever snapshot. */
export type FindHit =
  | {
      readonly type: "path";
      readonly path: Buffer;
      /** Decodes its tree, and must be called when the hit is told of or never. @throws {DamagedError} */
      readonly node: () => TreeNode;
    }
  /** A tree, and the directory that it is of; "/" is the root. */
  | { readonly type: "tree"; readonly path: Buffer; readonly id: Id }
  /** A blob, and a file that has it, which stands in the tree `parent`. */
  | { readonly type: "blob"; readonly path: Buffer; readonly id: Id; readonly parent: Id };

export interface FoundInSnapshot<T> {
  readonly snapshot: LoadedSnapshot;
  /** In the order of the trees. */
  readonly hits: Iterable<T>;
}

export interface FindWatch {
  readonly progress?: SearchProgress;
  readonly onIgnored?: (ignored: IgnoredSnapshot) => void;
  /** Told of each tree that cannot be loaded; what is below is left out. */
  readonly onError: (tree: Id, path: Buffer, error: YoreError) => void;
}

/**
 * Searches snapshots, newest first. Every tree is loaded once, however many snapshots have it at the same path.
 *
 * @param keep what is kept of a hit; the same one comes for each snapshot that has it unchanged
 * @throws {UsageError} if a pack is not known, or a pattern is none
 */
export async function* runFind<T>(
  session: Session,
  options: FindOptions,
  keep: (hit: FindHit) => T,
  watch: FindWatch,
): AsyncGenerator<FoundInSnapshot<T>, void, undefined> {
  const { repository, signal } = session;
  const snapshots = await selectSnapshots(repository, options.snapshots, options.filter, {
    ...watch,
    signal,
  });
  const order = options.oldestFirst ? 1 : -1;
  snapshots.sort((a, b) => order * compareTimestamps(a.time, b.time));
  await session.loadIndex();
  const query = await makeQuery(session, options.target);
  const kept: TreeQuery<T> = {
    hits: (path, node, tree) => query.hits(path, node, tree).map(keep),
    descends: (path) => query.descends(path),
  };
  if (watch.progress) watch.progress.treesTotal = countTrees(repository, snapshots);
  const search = new TreeSearch(repository, kept, { ...watch, signal });
  for (const snapshot of snapshots) {
    const root = query.root(snapshot.tree).map(keep);
    const below = await search.search(snapshot.tree);
    yield { snapshot, hits: root.length > 0 ? [...root, ...below] : below };
  }
}

/** The copies of a blob, for `--show-pack-id`. */
export function locateBlob(session: Session, type: BlobType, id: Id): BlobLocation[] {
  return session.repository.index.lookupAll(type, id);
}

interface FindQuery extends TreeQuery<FindHit> {
  /** What is found of the root of a snapshot, which is no node. */
  root(tree: Id): readonly FindHit[];
}

async function makeQuery(session: Session, target: FindTarget): Promise<FindQuery> {
  switch (target.type) {
    case "paths":
      return pathQuery(target);
    case "trees":
      return objectQuery(new IdNames(), new IdNames(target.ids));
    case "blobs":
      return objectQuery(new IdNames(target.ids), new IdNames());
    case "packs":
      return packQuery(session, target.ids);
  }
}

const NO_HITS: readonly FindHit[] = [];

function pathQuery(target: Extract<FindTarget, { type: "paths" }>): FindQuery {
  const { ignoreCase, oldest, newest } = target;
  // A leading "!" means nothing here, as in restic: there is nothing to take back from.
  const texts = target.patterns.map((text) => text.replace(/^!/, ""));
  const patterns = parsePatterns(texts.includes("") ? ["/"] : texts, { ignoreCase });
  // A directory is asked about twice.
  let asked: { path: string; match: PatternMatch } | undefined;
  const match = (path: string) => {
    if (asked?.path !== path) asked = { path, match: patterns.match(path) };
    return asked.match;
  };
  return {
    root: () => NO_HITS,
    hits: (path, node) => {
      if (!match(path).matched) return NO_HITS;
      if (oldest && compareTimestamps(node.mtime, oldest) < 0) return NO_HITS;
      if (newest && compareTimestamps(node.mtime, newest) > 0) return NO_HITS;
      return [{ type: "path", path: bytesOfText(path), node: () => node.decode() }];
    },
    descends: (path) => match(path).childMayMatch,
  };
}

/** IDs as they are typed: 64 hex digits, or the first 8. */
class IdNames {
  readonly #names = new Set<string>();

  constructor(names: Iterable<string> = []) {
    for (const name of names) this.#names.add(name.toLowerCase());
  }

  get size(): number {
    return this.#names.size;
  }

  add(id: Id): void {
    this.#names.add(formatId(id));
  }

  has(id: Id): boolean {
    if (this.#names.size === 0) return false;
    return this.#names.has(formatShortId(id)) || this.#names.has(formatId(id));
  }
}

function objectQuery(blobs: IdNames, trees: IdNames): FindQuery {
  return {
    root: (id) => (trees.has(id) ? [{ type: "tree", path: ROOT, id }] : NO_HITS),
    hits: (path, { subtree, content }, parent) => {
      if (subtree)
        return trees.has(subtree) ? [{ type: "tree", path: bytesOfText(path), id: subtree }] : NO_HITS;
      if (blobs.size === 0 || content.length === 0) return NO_HITS;
      const hits: FindHit[] = [];
      for (const id of content)
        if (blobs.has(id)) hits.push({ type: "blob", path: bytesOfText(path), id, parent });
      return hits;
    },
    descends: () => true,
  };
}

/** Blobs of the packs, from the index; of a pack that no index knows, from its header. */
async function packQuery({ repository, signal }: Session, names: readonly string[]): Promise<FindQuery> {
  const wanted = new IdNames(names);
  const missing = new Set(names);
  const blobs = new IdNames();
  const trees = new IdNames();
  const take = (packId: Id, list: readonly { readonly type: BlobType; readonly id: Id }[]) => {
    missing.delete(formatId(packId));
    missing.delete(formatShortId(packId));
    for (const { type, id } of list) (type === "tree" ? trees : blobs).add(id);
  };
  for (const { packId, blobs: list } of repository.index.packs()) if (wanted.has(packId)) take(packId, list);
  if (missing.size > 0) {
    for await (const { id, size } of repository.listFiles("pack")) {
      if (missing.has(formatId(id)) || missing.has(formatShortId(id)))
        take(id, await repository.readPackHeader(id, size, signal));
    }
  }
  if (missing.size > 0) throw new UsageError(`unable to find pack(s): [${[...missing].join(" ")}]`);
  return objectQuery(blobs, trees);
}

const ROOT = Buffer.from("/");
