import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { join } from "node:path";
import { NotFoundError } from "../../src/errors.js";
import {
  type Absent,
  type Attributes,
  type DirectoryListing,
  type Entry,
  type Filesystem,
  type FilesystemStatistics,
  type NodeId,
  ROOT_NODE,
} from "../../src/fuse/filesystem.js";

/** A folder of this machine once more, which can be made to hang: a repository on a disk that has gone to sleep. */
export class MirrorFilesystem implements Filesystem {
  readonly #paths = new Map<NodeId, string>();
  readonly #nodes = new Map<string, NodeId>();
  readonly #parents = new Map<NodeId, NodeId>();
  #gate: { readonly open: Promise<void>; readonly letGo: () => void } | undefined;

  constructor(folder: string) {
    this.#paths.set(ROOT_NODE, folder);
    this.#parents.set(ROOT_NODE, ROOT_NODE);
  }

  /** From now on nothing is answered, until `heal`. */
  stall(): void {
    let letGo = () => {};
    const open = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    this.#gate = { open, letGo };
  }

  heal(): void {
    this.#gate?.letGo();
    this.#gate = undefined;
  }

  start(): void {}

  async lookup(parent: NodeId, name: Buffer): Promise<Entry | Absent> {
    await this.#gate?.open;
    try {
      return this.#entry(parent, name.toString());
    } catch {
      return { nodeId: 0, ttlMs: 0 };
    }
  }

  async getattr(node: NodeId): Promise<{ attributes: Attributes; ttlMs: number }> {
    await this.#gate?.open;
    return { attributes: attributesOf(this.#path(node)), ttlMs: 0 };
  }

  async list(node: NodeId): Promise<DirectoryListing> {
    await this.#gate?.open;
    const path = this.#path(node);
    const names = readdirSync(path).sort();
    return {
      length: names.length,
      changeable: true,
      name: (position) => Buffer.from(names[position]!),
      ino: (position) => attributesOf(join(path, names[position]!)).ino,
      typeBits: (position) => attributesOf(join(path, names[position]!)).mode & 0o170000,
      entry: (position) => this.#entry(node, names[position]!),
    };
  }

  parent(node: NodeId): NodeId {
    return this.#parents.get(node)!;
  }

  ino(node: NodeId): bigint {
    return attributesOf(this.#path(node)).ino;
  }

  readlink(node: NodeId): Buffer {
    return Buffer.from(readlinkSync(this.#path(node)));
  }

  async read(node: NodeId, offset: number, size: number): Promise<readonly Uint8Array[]> {
    await this.#gate?.open;
    const file = openSync(this.#path(node), "r");
    const bytes = Buffer.alloc(size);
    try {
      return [bytes.subarray(0, readSync(file, bytes, 0, size, offset))];
    } finally {
      closeSync(file);
    }
  }

  seek(): undefined {}

  getxattr(): undefined {}

  listxattr(): readonly string[] {
    return [];
  }

  statfs(): FilesystemStatistics {
    return { blockSize: 4096, blocks: 1, files: 1, maxNameBytes: 255 };
  }

  forget(): void {}

  async close(): Promise<void> {}

  #entry(parent: NodeId, name: string): Entry {
    const path = join(this.#path(parent), name);
    const attributes = attributesOf(path);
    let nodeId = this.#nodes.get(path);
    if (nodeId === undefined) {
      nodeId = (this.#paths.size + 1) as NodeId;
      this.#nodes.set(path, nodeId);
      this.#paths.set(nodeId, path);
      this.#parents.set(nodeId, parent);
    }
    return { nodeId, attributes, ttlMs: 0 };
  }

  #path(node: NodeId): string {
    const path = this.#paths.get(node);
    if (path === undefined) throw new NotFoundError(`Cannot find node ${node}: nobody has looked it up`);
    return path;
  }
}

function attributesOf(path: string): Attributes {
  const stats = lstatSync(path, { bigint: true });
  const moment = { seconds: Number(stats.mtimeNs / 1_000_000_000n), nanoseconds: 0 };
  return {
    ino: stats.ino,
    mode: Number(stats.mode),
    nlink: Number(stats.nlink),
    uid: 0,
    gid: 0,
    rdev: 0,
    size: Number(stats.size),
    blocks: Number(stats.blocks),
    blockSize: 4096,
    atime: moment,
    mtime: moment,
    ctime: moment,
  };
}
