/**
 * The filesystem: virtual directories on top, the trees of the snapshots below them. It answers from memory where it
 * can, and loads where it must; what is in a snapshot never changes, so the kernel may keep such answers for ever.
 *
 * Start reading at `lookup` and `list`; `read` is in file-reader.ts, what a stat shows in attributes.ts.
 */

import { when } from "../async/when.js";
import { MAX_NAME_BYTES } from "../bytes/file-name.js";
import { formatId, type Id } from "../bytes/id.js";
import type { BlobCache } from "../cache/blob-cache.js";
import { CompactTree } from "../cache/compact-tree.js";
import type { TreeCache } from "../cache/tree-cache.js";
import { NotFoundError, YoreError } from "../errors.js";
import { S_IFREG } from "../format/file-mode.js";
import type { ExtendedAttribute } from "../format/node.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import {
  type Absent,
  type Answer,
  type DirectoryListing,
  type Entry,
  type FileContents,
  type Filesystem,
  type FilesystemStatistics,
  FOREVER,
  type KernelNotifier,
  type NodeId,
  ROOT_NODE,
} from "../fuse/filesystem.js";
import { AttributeMaker, type OwnershipOptions, type TimedAttributes } from "./attributes.js";
import { FailureTeller } from "./failure-teller.js";
import { FileReader } from "./file-reader.js";
import { ROOT_INO, snapshotSeed, virtualIno } from "./ino.js";
import { LinkCounts } from "./link-counts.js";
import { TreeListing, VirtualListing } from "./listing.js";
import { NodeTable } from "./node-table.js";
import type { OpenFile } from "./open-file.js";
import type { Place, TreePlace, VirtualPlace } from "./place.js";
import { SnapshotDirectories, type SnapshotDirectoriesOptions } from "./snapshot-directories.js";
import { TreeEntries } from "./tree-entries.js";
import type { VirtualDirectory, VirtualEntry } from "./virtual-directory.js";

/** Where the list of snapshots comes from. */
export interface SnapshotSource {
  /** All that are to be shown. A snapshot that cannot be read is left out; throws when there is no list to be had. */
  list(): Promise<readonly LoadedSnapshot[]>;
}

/** One folder of one snapshot, to be shown at the root instead of all snapshots. */
export interface FixedRoot {
  readonly snapshot: LoadedSnapshot;
  readonly tree: Id;
}

export interface SnapshotFilesystemOptions extends SnapshotDirectoriesOptions, OwnershipOptions {
  readonly root?: FixedRoot | undefined;
  /** How long the kernel may believe the list of snapshots, milliseconds; 5,000 when left out. */
  readonly listTtlMs?: number | undefined;
  /** Bytes stored, and how many files there are, for statfs. */
  readonly statistics?: (() => { readonly storedBytes: number; readonly files: number }) | undefined;
  /** A line for the user: a range that cannot be read, a list that cannot be loaded. */
  readonly onLog?: ((line: string) => void) | undefined;
}

const DEFAULT_LIST_TTL_MS = 5_000;
/** How long an answer may be believed that failed to find out something. */
const DOUBTFUL_TTL_MS = 1_000;
const STATFS_BLOCK_BYTES = 4096;

export class SnapshotFilesystem implements Filesystem {
  readonly #source: SnapshotSource;
  readonly #trees: TreeCache;
  readonly #nodes: NodeTable;
  readonly #reader: FileReader;
  readonly #attributes: AttributeMaker;
  readonly #entries: TreeEntries;
  readonly #links: LinkCounts;
  readonly #directories: SnapshotDirectories;
  readonly #directoryNodes = new Map<VirtualDirectory, NodeId>();
  /** One that went and came again is another one: somebody may stand in what went. */
  readonly #directoryNumbers = new WeakMap<VirtualDirectory, number>();
  #nextDirectoryNumber = 0;
  readonly #listTtlMs: number;
  readonly #statistics: NonNullable<SnapshotFilesystemOptions["statistics"]>;
  readonly #failures: FailureTeller;
  readonly #isFixed: boolean;
  #notifier: KernelNotifier | undefined;

  constructor(
    source: SnapshotSource,
    blobs: BlobCache,
    trees: TreeCache,
    options: SnapshotFilesystemOptions = {},
  ) {
    this.#source = source;
    this.#trees = trees;
    this.#reader = new FileReader(blobs, {
      nodeAt: (directory, position) => this.#nodes.handedOut(directory, position),
      store: (files) => this.#notifier?.store?.(files),
    });
    this.#attributes = new AttributeMaker(trees, (id) => blobs.blobSize("data", id), options);
    this.#links = new LinkCounts(trees);
    this.#directories = new SnapshotDirectories(options);
    this.#listTtlMs = options.listTtlMs ?? DEFAULT_LIST_TTL_MS;
    this.#statistics = options.statistics ?? (() => ({ storedBytes: 0, files: 0 }));
    this.#isFixed = options.root !== undefined;
    const root: Place = options.root
      ? snapshotPlace(options.root.snapshot, options.root.tree)
      : { kind: "virtual", directory: this.#directories.root };
    this.#nodes = new NodeTable(root, ROOT_INO);
    this.#directoryNodes.set(this.#directories.root, ROOT_NODE);
    this.#entries = new TreeEntries(this.#nodes, this.#attributes, (plain) =>
      this.#notifier?.withoutAttributes?.(plain),
    );
    this.#failures = new FailureTeller(this.#nodes, trees, options.onLog);
  }

  /** Objects that the kernel knows of. */
  get nodeCount(): number {
    return this.#nodes.size;
  }

  start(notifier: KernelNotifier): void {
    this.#notifier = notifier;
  }

  /**
   * Asks for the list of snapshots again, shows what is new and tells the kernel. When there is no list to be had the
   * old one stays: an empty directory would be a lie.
   *
   * @throws what the source throws
   */
  async refresh(): Promise<void> {
    if (this.#isFixed) return;
    const snapshots = await this.#source.list();
    const changed = new Set<VirtualDirectory>();
    for (const { directory, name } of this.#directories.update(snapshots)) {
      const node = this.#directoryNodes.get(directory);
      if (node === undefined) continue;
      changed.add(directory);
      if (name) this.#notifier?.invalidateEntry(node, name);
    }
    for (const directory of changed) this.#notifier?.invalidateNode(this.#directoryNodes.get(directory)!);
  }

  lookup(parent: NodeId, name: Buffer): Answer<Entry | Absent> {
    const place = this.#directoryPlace(parent);
    if (isDots(name)) return this.#enterAgain(name.length === 1 ? parent : this.#nodes.parent(parent));
    if (place.kind === "virtual")
      return when(place.directory.lookup(name), (entry) =>
        entry
          ? when(entry.kind === "snapshot" && this.#links.seeRoot(place.directory, entry.snapshot), () =>
              this.#enterVirtual(parent, name, entry),
            )
          : { nodeId: 0 as const, ttlMs: this.#listTtlMs },
      );
    return when(this.#loadTree(parent, place.tree), (tree) => {
      const position = tree.find(name);
      if (position < 0) return { nodeId: 0 as const, ttlMs: FOREVER };
      return when(this.#links.see(tree.subtree(position)), () =>
        this.#entries.enter({ node: parent, place, tree }, position),
      );
    });
  }

  getattr(node: NodeId): Answer<TimedAttributes> {
    const ino = this.#nodes.ino(node);
    const place = this.#nodes.place(node);
    if (place?.kind === "link")
      return { attributes: this.#attributes.ofLink(place, ino), ttlMs: this.#listTtlMs };
    if (place?.kind === "virtual") return this.#virtualAttributes(place.directory, ino);
    if (place?.isSnapshotRoot)
      return when(this.#links.see(place.tree), (seen) =>
        doubtful(this.#attributes.ofSnapshotRoot(place, ino, this.#rootTtlMs(node)), seen),
      );
    const { tree: parentTree, position } = this.#parentTree(node);
    return when(parentTree, (tree) =>
      when(this.#links.see(tree.subtree(position)), (seen) =>
        doubtful(this.#attributes.ofTree(tree, position, ino), seen),
      ),
    );
  }

  list(node: NodeId): Answer<DirectoryListing> {
    const place = this.#directoryPlace(node);
    if (place.kind === "virtual")
      return when(place.directory.list(), (entries) => {
        return when(this.#links.seeRoots(entries), () => {
          const ino = this.#nodes.ino(node);
          return new VirtualListing(entries, ino, ({ name, entry }) =>
            entry.kind !== "snapshot" || this.#links.isKnown(entry.snapshot.tree)
              ? this.#enterVirtual(node, name, entry)
              : undefined,
          );
        });
      });
    return when(this.#loadTree(node, place.tree), (tree) =>
      when(this.#links.seeAll(subtreesOf(tree)), () => new TreeListing({ node, place, tree }, this.#entries)),
    );
  }

  contentsAhead(node: NodeId): FileContents | undefined {
    const tree = this.#treeInMemory(node);
    return tree && this.#reader.contentsAhead(node, tree);
  }

  listed(node: NodeId): void {
    const tree = this.#treeInMemory(node);
    if (tree) this.#reader.onListed(node, tree);
  }

  parent(node: NodeId): NodeId {
    return this.#nodes.parent(node);
  }

  ino(node: NodeId): bigint {
    return this.#nodes.ino(node);
  }

  readlink(node: NodeId): Answer<Buffer> {
    const place = this.#nodes.place(node);
    if (place?.kind === "link") return place.target;
    if (place) throw new YoreError("usage", "Cannot read link: it is a directory");
    const { tree: parentTree, position } = this.#parentTree(node);
    return when(parentTree, (tree) => {
      const target = tree.linkTarget(position);
      if (!target) throw new YoreError("usage", "Cannot read link: it is none");
      return target;
    });
  }

  read(node: NodeId, offset: number, size: number, signal: () => AbortSignal): Answer<readonly Uint8Array[]> {
    const opened = this.#openFile(node);
    return when(opened, (file) => {
      try {
        const pieces = this.#reader.read(file, offset, size, signal, opened instanceof Promise);
        return pieces instanceof Promise
          ? pieces.catch((error: unknown) => this.#failures.read(node, offset, size, error))
          : pieces;
      } catch (error) {
        return this.#failures.read(node, offset, size, error);
      }
    });
  }

  seek(node: NodeId, offset: number, what: "data" | "hole"): Answer<number | undefined> {
    return when(this.#openFile(node), (file) => this.#reader.seek(file, offset, what));
  }

  getxattr(node: NodeId, name: string): Answer<Uint8Array | undefined> {
    return when(this.#extendedAttributes(node), (all) => {
      return all.find((attribute) => attribute.name === name)?.value ?? undefined;
    });
  }

  listxattr(node: NodeId): Answer<readonly string[]> {
    return when(this.#extendedAttributes(node), (all) =>
      all.filter(({ value }) => value !== null).map(({ name }) => name),
    );
  }

  statfs(): FilesystemStatistics {
    const { storedBytes, files } = this.#statistics();
    return {
      blockSize: STATFS_BLOCK_BYTES,
      blocks: Math.ceil(storedBytes / STATFS_BLOCK_BYTES),
      files,
      maxNameBytes: MAX_NAME_BYTES,
    };
  }

  forget(node: NodeId, count: number): void {
    for (const freed of this.#nodes.forget(node, count)) {
      this.#reader.forget(freed.node);
      if (freed.place?.kind === "virtual") this.#directoryNodes.delete(freed.place.directory);
    }
  }

  async close(): Promise<void> {
    this.#notifier = undefined;
  }

  #enterVirtual(parent: NodeId, name: Buffer, entry: VirtualEntry): Entry {
    const ino = virtualIno(this.#nodes.ino(parent), name, entry);
    const place: Place = { ...placeOf(entry), name };
    const nodeId = this.#nodes.enterVirtual(parent, this.#virtualKey(name, entry), ino, place);
    this.#notifier?.withoutAttributes?.([nodeId]);
    if (place.kind === "virtual") {
      this.#directoryNodes.set(place.directory, nodeId);
      return { nodeId, ...this.#virtualAttributes(place.directory, ino) };
    }
    const ttlMs = this.#listTtlMs;
    if (place.kind === "link") return { nodeId, attributes: this.#attributes.ofLink(place, ino), ttlMs };
    return { nodeId, ...this.#attributes.ofSnapshotRoot(place, ino, ttlMs) };
  }

  /** The directory itself or its parent, by number: an NFS server finds its way back so. */
  #enterAgain(nodeId: NodeId): Answer<Entry> {
    return when(this.getattr(nodeId), (timed) => {
      this.#nodes.enterAgain(nodeId);
      return { nodeId, ...timed };
    });
  }

  #virtualAttributes(directory: VirtualDirectory, ino: bigint): TimedAttributes {
    const attributes = this.#attributes.ofVirtualDirectory(directory, directory.subdirectories, ino);
    return { attributes, ttlMs: this.#listTtlMs };
  }

  #rootTtlMs(node: NodeId): number {
    return node === ROOT_NODE ? FOREVER : this.#listTtlMs;
  }

  #directoryPlace(node: NodeId): TreePlace | VirtualPlace {
    const place = this.#nodes.place(node);
    if (place && place.kind !== "link") return place;
    // Throws when the node itself is unknown.
    this.#nodes.position(node);
    throw new YoreError("usage", "Cannot list directory: it is none");
  }

  /** The tree that an object of a snapshot stands in, and where. */
  #parentTree(node: NodeId): { tree: Answer<CompactTree>; position: number } {
    const position = this.#nodes.position(node);
    const parent = this.#nodes.parent(node);
    const place = this.#nodes.place(parent);
    if (place?.kind !== "tree") throw new NotFoundError(`Cannot look up node ${node}: it stands in no tree`);
    return { tree: this.#loadTree(parent, place.tree), position };
  }

  #openFile(node: NodeId): Answer<OpenFile> {
    const { tree: parentTree, position } = this.#parentTree(node);
    return when(parentTree, (tree) => {
      if (tree.typeBits(position) !== S_IFREG) throw new YoreError("usage", "Cannot read file: it is none");
      return { node, directory: this.#nodes.parent(node), tree, position };
    });
  }

  /** Tells apart what may stand behind the same name at different times. */
  #virtualKey(name: Buffer, entry: VirtualEntry): string {
    const text = name.toString("latin1");
    switch (entry.kind) {
      case "directory":
        return `${text}/d${this.#numberOf(entry.directory)}`;
      case "link":
        return `${text}/l${entry.target.toString("latin1")}`;
      case "snapshot":
        return `${text}/s${formatId(entry.snapshot.id)}`;
    }
  }

  #numberOf(directory: VirtualDirectory): number {
    let number = this.#directoryNumbers.get(directory);
    if (number === undefined) {
      number = this.#nextDirectoryNumber++;
      this.#directoryNumbers.set(directory, number);
    }
    return number;
  }

  #extendedAttributes(node: NodeId): Answer<readonly ExtendedAttribute[]> {
    const place = this.#nodes.place(node);
    if (place && (place.kind !== "tree" || place.isSnapshotRoot)) return [];
    const { tree: parentTree, position } = this.#parentTree(node);
    return when(parentTree, (tree) => tree.extendedAttributes(position));
  }

  #treeInMemory(node: NodeId): CompactTree | undefined {
    const place = this.#nodes.isKnown(node) ? this.#nodes.place(node) : undefined;
    return place?.kind === "tree" && place.tree ? this.#trees.peek(place.tree) : undefined;
  }

  #loadTree(node: NodeId, id: Id | undefined): Answer<CompactTree> {
    if (!id) return CompactTree.EMPTY;
    const tree = this.#trees.load(id);
    if (!(tree instanceof Promise)) return tree;
    return tree.catch((error: unknown) => this.#failures.directory(node, error));
  }
}

function snapshotPlace(snapshot: LoadedSnapshot, tree: Id): TreePlace {
  const view = { ino: snapshotSeed(snapshot.id), time: snapshot.time };
  return { kind: "tree", tree, view, isSnapshotRoot: true };
}

function placeOf(entry: VirtualEntry): Place {
  switch (entry.kind) {
    case "directory":
      return { kind: "virtual", directory: entry.directory };
    case "link":
      return { kind: "link", target: entry.target, time: entry.time };
    case "snapshot":
      return snapshotPlace(entry.snapshot, entry.snapshot.tree);
  }
}

function subtreesOf(tree: CompactTree): Id[] {
  const subtrees: Id[] = [];
  if (tree.subdirectories === 0) return subtrees;
  for (let i = 0; i < tree.length; i++) {
    const subtree = tree.subtree(i);
    if (subtree) subtrees.push(subtree);
  }
  return subtrees;
}

function doubtful(timed: TimedAttributes, isKnown: boolean): TimedAttributes {
  return isKnown ? timed : { ...timed, ttlMs: DOUBTFUL_TTL_MS };
}

/** "." or "..". */
function isDots(name: Buffer): boolean {
  return name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
}
