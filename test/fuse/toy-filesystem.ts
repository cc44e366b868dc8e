/**
 * A filesystem in memory for the tests of the drivers. It counts what it hands out, so that a test can see whether the
 * kernel and the driver gave everything back.
 */

import { NotFoundError, type YoreError } from "../../src/errors.js";
import {
  type Absent,
  type Answer,
  type Attributes,
  type DirectoryListing,
  type Entry,
  type FileContents,
  type Filesystem,
  type FilesystemStatistics,
  FOREVER,
  type KernelNotifier,
  type NodeId,
  ROOT_NODE,
} from "../../src/fuse/filesystem.js";

type ReadFunction = (offset: number, size: number, signal: AbortSignal) => Answer<readonly Uint8Array[]>;

export interface ToyOptions {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly rdev?: number;
  readonly size?: number;
  readonly target?: Buffer;
  readonly mtime?: { seconds: number; nanoseconds: number };
  readonly xattrs?: Record<string, Uint8Array>;
  readonly read?: ReadFunction;
  /** The only range that holds data, for SEEK_DATA and SEEK_HOLE. */
  readonly data?: { readonly from: number; readonly to: number };
  readonly changeable?: boolean;
  /** Thrown whenever the node is asked for in a listing or by name. */
  readonly damage?: YoreError;
}

let lastIno = 0x1_0000_0000n;

export class ToyNode {
  readonly children: Map<string, ToyNode> | undefined;
  readonly ino = ++lastIno;
  nlink = 1;
  options: ToyOptions;

  constructor(options: ToyOptions, children?: Map<string, ToyNode>) {
    this.options = options;
    this.children = children;
  }

  attributes(): Attributes {
    const { options } = this;
    const size = options.target?.length ?? options.size ?? 0;
    const time = options.mtime ?? { seconds: 1_600_000_000, nanoseconds: 123_000_000 };
    return {
      ino: this.ino,
      mode: options.mode ?? 0o100644,
      nlink: this.children ? 2 : this.nlink,
      uid: options.uid ?? 0,
      gid: options.gid ?? 0,
      rdev: options.rdev ?? 0,
      size,
      blocks: Math.ceil(size / 512),
      blockSize: 4096,
      atime: time,
      mtime: time,
      ctime: time,
    };
  }
}

/** Names are byte strings (latin1). */
export function directory(children: Record<string, ToyNode>, options: ToyOptions = {}): ToyNode {
  return new ToyNode({ mode: 0o040755, ...options }, new Map(Object.entries(children)));
}

export function file(content: string | Uint8Array, options: ToyOptions = {}): ToyNode {
  const bytes = Buffer.from(content);
  // In pieces of an odd length, so that replies have to be gathered.
  const read: ReadFunction = (offset, size) => pieces(bytes.subarray(offset, offset + size), 1000);
  return new ToyNode({ size: bytes.length, read, ...options });
}

function pieces(bytes: Buffer, length: number): Buffer[] {
  const cut: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += length) cut.push(bytes.subarray(at, at + length));
  return cut;
}

/** The byte of every generated file at an offset: differs between 4 KiB pages and between 4 GiB. */
export function generatedByte(offset: number): number {
  return (offset + Math.floor(offset / 4096) * 7 + Math.floor(offset / 2 ** 32) * 13) & 0xff;
}

export function generatedFile(size: number, options: ToyOptions = {}): ToyNode {
  return new ToyNode({
    size,
    read: (offset, length) => {
      const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - offset)));
      for (let i = 0; i < bytes.length; i++) bytes[i] = generatedByte(offset + i);
      return [bytes];
    },
    ...options,
  });
}

export function symlink(target: string | Buffer): ToyNode {
  return new ToyNode({ mode: 0o120777, target: Buffer.from(target) });
}

/** Directories in directories, and the names of all that is in them as a walk meets them. */
export function forest(width: number, depth: number): { root: ToyNode; names: string[] } {
  const children: Record<string, ToyNode> = { "0-file": file("") };
  const names = ["0-file"];
  for (let i = 0; i < width && depth > 0; i++) {
    const below = forest(width, depth - 1);
    children[`dir-${i}`] = below.root;
    names.push(`dir-${i}`, ...below.names);
  }
  children["z-file"] = file("");
  names.push("z-file");
  return { root: directory(children), names };
}

export interface ToyFilesystemOptions {
  /** Every answer is a promise. */
  readonly isAsync?: boolean;
  readonly ttlMs?: number;
  /** Contents of files go with the prepared listing of their directory. */
  readonly givesContents?: boolean;
}

export class ToyFilesystem implements Filesystem {
  readonly root: ToyNode;
  /** What has been handed out and not yet been given back. */
  readonly handedOut = new Map<NodeId, number>();
  /** How often each method was called. */
  readonly calls = new Map<string, number>();
  /** Signals of all reads, in order. */
  readonly signals: AbortSignal[] = [];
  notifier: KernelNotifier | undefined;
  isClosed = false;
  readonly #options: ToyFilesystemOptions;
  readonly #ids = new Map<ToyNode, NodeId>();
  readonly #nodes = new Map<NodeId, ToyNode>();
  readonly #parents = new Map<ToyNode, ToyNode>();

  constructor(root: ToyNode, options: ToyFilesystemOptions = {}) {
    this.root = root;
    this.#options = options;
    this.#nodes.set(ROOT_NODE, root);
    this.#ids.set(root, ROOT_NODE);
  }

  get ttlMs(): number {
    return this.#options.ttlMs ?? FOREVER;
  }

  handedOutInAll(): number {
    return [...this.handedOut.values()].reduce((sum, count) => sum + count, 0);
  }

  nodeIdOf(node: ToyNode): NodeId {
    let id = this.#ids.get(node);
    if (id === undefined) {
      id = (this.#ids.size + 1) as NodeId;
      this.#ids.set(node, id);
      this.#nodes.set(id, node);
    }
    return id;
  }

  start(notifier: KernelNotifier): void {
    this.notifier = notifier;
  }

  lookup(parent: NodeId, name: Buffer): Answer<Entry | Absent> {
    return this.#answer("lookup", () => {
      const above = this.#node(parent);
      const text = name.toString("latin1");
      if (text === ".") return this.#entry(above);
      if (text === "..") return this.#entry(this.#parents.get(above) ?? above);
      const child = above.children?.get(text);
      return child ? this.#entry(child, above) : { nodeId: 0, ttlMs: this.ttlMs };
    });
  }

  getattr(id: NodeId): Answer<{ attributes: Attributes; ttlMs: number }> {
    return this.#answer("getattr", () => ({ attributes: this.#node(id).attributes(), ttlMs: this.ttlMs }));
  }

  list(id: NodeId): Answer<DirectoryListing> {
    return this.#answer("list", () => {
      const above = this.#node(id);
      const children = [...(above.children ?? [])];
      const at = (position: number): readonly [string, ToyNode] => {
        const child = children[position];
        if (!child) throw new RangeError(`no position ${position}`);
        return child;
      };
      return {
        length: children.length,
        changeable: above.options.changeable ?? false,
        name: (position) => Buffer.from(at(position)[0], "latin1"),
        ino: (position) => at(position)[1].ino,
        typeBits: (position) => at(position)[1].attributes().mode & 0o170000,
        entry: (position) => this.#entry(at(position)[1], above),
      };
    });
  }

  contentsAhead(id: NodeId): FileContents | undefined {
    if (!this.#options.givesContents) return undefined;
    const files = [...this.#node(id).children!.values()].filter(({ options }) => options.read);
    const { signal } = new AbortController();
    const contents = files.map(({ options }) => {
      const pieces = options.read!(0, options.size ?? 0, signal);
      return Buffer.concat(pieces as readonly Uint8Array[]);
    });
    return { nodes: files.map((node) => this.nodeIdOf(node)), offsets: files.map(() => 0), contents };
  }

  parent(id: NodeId): NodeId {
    const node = this.#node(id);
    return this.nodeIdOf(this.#parents.get(node) ?? node);
  }

  ino(id: NodeId): bigint {
    return this.#node(id).ino;
  }

  readlink(id: NodeId): Answer<Buffer> {
    return this.#answer("readlink", () => this.#node(id).options.target!);
  }

  read(
    id: NodeId,
    offset: number,
    size: number,
    makeSignal: () => AbortSignal,
  ): Answer<readonly Uint8Array[]> {
    const signal = makeSignal();
    this.signals.push(signal);
    return this.#answer("read", () => this.#node(id).options.read!(offset, size, signal));
  }

  seek(id: NodeId, offset: number, what: "data" | "hole"): Answer<number | undefined> {
    return this.#answer("seek", () => {
      const { size = 0, data = { from: 0, to: size } } = this.#node(id).options;
      if (offset >= size) return undefined;
      if (what === "hole") return offset < data.from ? offset : Math.max(offset, data.to);
      return offset < data.to ? Math.max(offset, data.from) : undefined;
    });
  }

  getxattr(id: NodeId, name: string): Answer<Uint8Array | undefined> {
    return this.#answer("getxattr", () => this.#node(id).options.xattrs?.[name]);
  }

  listxattr(id: NodeId): Answer<readonly string[]> {
    return this.#answer("listxattr", () => Object.keys(this.#node(id).options.xattrs ?? {}));
  }

  statfs(): Answer<FilesystemStatistics> {
    return this.#answer("statfs", () => ({
      blockSize: 4096,
      blocks: 123_456,
      files: 789,
      maxNameBytes: 255,
    }));
  }

  forget(id: NodeId, count: number): void {
    const left = (this.handedOut.get(id) ?? 0) - count;
    if (left < 0) throw new Error(`node ${id} was given back ${-left} times too often`);
    if (left === 0) this.handedOut.delete(id);
    else this.handedOut.set(id, left);
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  #answer<T>(name: string, work: () => Answer<T>): Answer<T> {
    this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
    return this.#options.isAsync ? Promise.resolve().then(work) : work();
  }

  #node(id: NodeId): ToyNode {
    const node = this.#nodes.get(id);
    if (!node) throw new NotFoundError(`Cannot find node ${id}`);
    return node;
  }

  #entry(node: ToyNode, above?: ToyNode): Entry {
    if (node.options.damage) throw node.options.damage;
    if (above && !this.#parents.has(node)) this.#parents.set(node, above);
    const nodeId = this.nodeIdOf(node);
    // The root is never given back, so handing it out (as "..") is not counted.
    if (nodeId !== ROOT_NODE) this.handedOut.set(nodeId, (this.handedOut.get(nodeId) ?? 0) + 1);
    return { nodeId, attributes: node.attributes(), ttlMs: this.ttlMs };
  }
}

/** One of each kind of node, and what drivers stumble over. */
export function toyTree() {
  const hello = file("hello, world\n", { uid: 1000, gid: 1001, mode: 0o100640 });
  const linked = file("two names\n");
  linked.nlink = 2;
  const names: Record<string, ToyNode> = {};
  const one = file("x");
  for (let i = 0; i < 10_000; i++)
    names[`file-${String(i).padStart(6, "0")}.dat`] = i === 0 ? one : file("x");
  const nodes = {
    hello,
    linked,
    empty: file(""),
    xattrs: file("with attributes", {
      xattrs: {
        "user.colour": Buffer.from("blue"),
        "user.binary": Buffer.from([0, 1, 254, 255]),
        "user.long": Buffer.alloc(3000, 0x61),
      },
    }),
    link: symlink("hello"),
    longLink: symlink("a/".repeat(2047)),
    fifo: new ToyNode({ mode: 0o010600 }),
    socket: new ToyNode({ mode: 0o140700 }),
    block: new ToyNode({ mode: 0o060660, rdev: (7 << 8) | 200 }),
    char: new ToyNode({ mode: 0o020666, rdev: (1 << 8) | 3 }),
    setuid: file("#!", { mode: 0o104755 }),
    sticky: directory({}, { mode: 0o041777 }),
    old: file("old", { mtime: { seconds: -100_000_000, nanoseconds: 5 } }),
    exact: file("exact", { mtime: { seconds: 5_000_000_000, nanoseconds: 987_654_321 } }),
    big: generatedFile(6 * 2 ** 30),
    medium: generatedFile(3_000_001),
    sparse: file(Buffer.alloc(1_000_000), { data: { from: 400_000, to: 500_000 } }),
    huge: directory(names),
    deep: directory({ a: directory({ b: directory({ c: file("deep down\n") }) }) }),
    ["n".repeat(255)]: file("long name\n"),
    "sp ace\nnewline'quote\\": file("odd\n"),
    "r\xe9sum\xe9": file("latin1\n"),
    "r\xc3\xa9sum\xc3\xa9": file("utf8\n"),
  };
  return { root: directory({ ...nodes, linkedToo: linked }), nodes };
}
