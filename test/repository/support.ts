import { randomBytes } from "node:crypto";
import type { Backend, Handle } from "../../src/backend/backend.js";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId, type Id, IdList } from "../../src/bytes/id.js";
import type { Engine } from "../../src/engine/engine.js";
import { loadEngine } from "../../src/engine/load-engine.js";
import { emptyNode, type TreeNode } from "../../src/format/node.js";
import type { Snapshot } from "../../src/format/snapshot.js";
import { encodeTree } from "../../src/format/tree.js";
import { Repository } from "../../src/repository/repository.js";
import type { CreateRepositoryOptions } from "../../src/repository/repository-settings.js";
import { saveSnapshot } from "../../src/repository/snapshots.js";

export const PASSWORD = "geheim";

let engine: Promise<Engine> | undefined;

/** The engine of this machine, loaded once. */
export function testEngine(): Promise<Engine> {
  engine ??= loadEngine();
  return engine;
}

/**
 * The same engine with a cheap key derivation, for repositories that live in memory and are never seen by restic: most
 * of the time of a test would go into scrypt.
 */
async function quickEngine(): Promise<Engine> {
  const real = await testEngine();
  const scrypt: Engine["scrypt"] = (password, salt, _, length) =>
    real.scrypt(password, salt, { N: 2, r: 1, p: 1 }, length);
  return new Proxy(real, {
    get: (target, name) => {
      if (name === "scrypt") return scrypt;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function engineFor(backend: Backend): Promise<Engine> {
  return backend.location === "memory:" ? quickEngine() : testEngine();
}

export async function createRepository(
  options: Partial<CreateRepositoryOptions> = {},
  backend: Backend = new MemoryBackend(),
): Promise<Repository> {
  const repository = await Repository.create(backend, await engineFor(backend), {
    password: PASSWORD,
    ...options,
  });
  await repository.loadIndex();
  return repository;
}

export async function openRepository(backend: Backend): Promise<Repository> {
  const repository = await Repository.open(backend, await engineFor(backend), { password: PASSWORD });
  await repository.loadIndex();
  return repository;
}

/** A backend that does as another, except for what a test changes. */
export function wrapBackend(inner: Backend, changes: Partial<Backend>): Backend {
  return {
    location: inner.location,
    connections: inner.connections,
    create: () => inner.create(),
    save: (handle, pieces, signal) => inner.save(handle, pieces, signal),
    load: (handle, range) => inner.load(handle, range),
    stat: (handle) => inner.stat(handle),
    list: (type) => inner.list(type),
    remove: (handle) => inner.remove(handle),
    close: () => inner.close(),
    ...changes,
  };
}

export function node(name: string | Buffer, fields: Partial<TreeNode> = {}): TreeNode {
  return {
    ...emptyNode(),
    name: typeof name === "string" ? Buffer.from(name) : name,
    type: "file",
    mode: 0o644,
    content: fields.type === undefined || fields.type === "file" ? IdList.EMPTY : null,
    ...fields,
  };
}

export async function saveTree(repository: Repository, nodes: TreeNode[]): Promise<Id> {
  return (await repository.saveBlob("tree", encodeTree(nodes))).id;
}

export function snapshotOf(tree: Id, fields: Partial<Snapshot> = {}): Snapshot {
  return {
    time: { seconds: 1_700_000_000, nanoseconds: 0, zoneMinutes: 0 },
    tree,
    paths: ["/data"],
    hostname: "host",
    username: "user",
    uid: 0,
    gid: 0,
    excludes: [],
    tags: [],
    programVersion: "yore test",
    unknown: {},
    ...fields,
  };
}

/** What a small backup made by hand consists of. */
export interface SmallBackup {
  readonly snapshot: Id;
  readonly tree: Id;
  /** File contents by hex of their blob. */
  readonly contents: ReadonlyMap<string, Buffer>;
}

/** Saves files of these sizes, in two folders, and a snapshot of them. */
export async function saveSmallBackup(
  repository: Repository,
  sizes: readonly number[],
): Promise<SmallBackup> {
  const contents = new Map<string, Buffer>();
  const files = await Promise.all(
    sizes.map(async (size, i) => {
      const half = randomBytes(Math.floor(size / 2));
      const content = Buffer.concat([half, Buffer.alloc(size - half.length, `text ${i} `)]);
      const { id } = await repository.saveBlob("data", content);
      contents.set(formatId(id), content);
      return node(`file-${String(i).padStart(6, "0")}`, { size, content: IdList.from([id]) });
    }),
  );
  const folder = await saveTree(repository, files);
  const subtree = { type: "dir", mode: 0o755 + 2 ** 31, subtree: folder } as const;
  const tree = await saveTree(repository, [node("a", subtree), node("b", subtree), node("empty")]);
  await repository.flush();
  const snapshot = await saveSnapshot(repository, snapshotOf(tree));
  return { snapshot, tree, contents };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

/** Spoils a file of a backend. */
export async function flipBit(backend: Backend, handle: Handle, offset: number): Promise<void> {
  const bytes = Buffer.from(await backend.load(handle));
  bytes[offset]! ^= 0x10;
  await backend.save(handle, [bytes]);
}

export function packHandle(packId: Id): Handle {
  return { type: "pack", name: formatId(packId) };
}

/** A second program that knows the repository but not its index: what it saves are copies. */
export async function createCopyWriter(backend: Backend, original: Repository): Promise<Repository> {
  return Repository.open(backend, original.engine, { password: PASSWORD });
}
