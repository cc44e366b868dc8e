/** Listings that are prepared for a walk, with a port that keeps them as the kernel's side does, and a kernel that counts. */

import { describe, expect, it } from "vitest";
import { DamagedError, NotFoundError } from "../../src/errors.js";
import type { NodeId } from "../../src/fuse/filesystem.js";
import { Opcode, REQUEST_BYTES } from "../../src/fuse/kernel-abi.js";
import { type KernelPort, LeftOfPrepared, type PreparedListing } from "../../src/fuse/kernel-port.js";
import { Session } from "../../src/fuse/session.js";
import { UpcomingDirectories } from "../../src/fuse/upcoming-directories.js";
import { directory, file, forest, ToyFilesystem, type ToyNode } from "./toy-filesystem.js";

const SIZE = 4096;

interface Listed {
  readonly name: string;
  readonly node: number;
  readonly isDirectory: boolean;
}

/** A kernel that lists directories, and remembers what it was handed. */
class Kernel implements KernelPort {
  readonly filesystem: ToyFilesystem;
  readonly log: string[] = [];
  /** Slot by slot, as the addon keeps it. */
  readonly prepared = new Map<number, { node: number; body: Buffer; end: number; left: LeftOfPrepared }>();
  readonly has = new Map<number, number>();
  /** Directories that were answered without the session. */
  answeredAhead = 0;
  readonly #session: Session;
  #reply = Buffer.alloc(0);
  #unique = 0n;

  constructor(root: ToyNode, isAsync = false) {
    this.filesystem = new ToyFilesystem(root, { isAsync });
    const onLog = (line: string) => this.log.push(line);
    this.#session = new Session(this.filesystem, this, {
      readDeadlineMs: 60_000,
      posixAcls: false,
      onLog,
    });
  }

  reply(length: number): number {
    this.#reply = Buffer.from(this.#session.replies.bytes.subarray(16, length));
    return 0;
  }

  replyWithPieces(): number {
    throw new Error("not asked for");
  }

  notify(): void {}

  store(): number {
    return 0;
  }

  withoutAttributes(): void {}

  prepare(slot: number, { node, size, body, end }: PreparedListing): void {
    expect(body.length).toBeLessThanOrEqual(size);
    this.prepared.set(slot, { node, body: Buffer.from(body), end, left: LeftOfPrepared.ALL });
  }

  withdraw(slot: number): LeftOfPrepared {
    const left = this.prepared.get(slot)?.left ?? LeftOfPrepared.NOTHING;
    this.prepared.delete(slot);
    return left;
  }

  /** Lists a directory to its end. */
  async list(node: number): Promise<Listed[]> {
    const found: Listed[] = [];
    for (let position = 0; ; ) {
      const body = await this.#answer(node, position);
      if (body.length === 0) return found;
      for (let at = 0; at < body.length; ) {
        const id = Number(body.readBigUInt64LE(at));
        const length = body.readUInt32LE(at + 144);
        const name = body.toString("latin1", at + 152, at + 152 + length);
        position = body.readUInt32LE(at + 136);
        if (id !== 0) {
          this.has.set(id, (this.has.get(id) ?? 0) + 1);
          found.push({ name, node: id, isDirectory: body.readUInt32LE(at + 148) === 4 });
        }
        at += (152 + length + 7) & ~7;
      }
    }
  }

  /** Lists a directory and all below it, as `find` does; the names as they come. */
  async walk(node = 1, into: (name: string) => boolean = () => true): Promise<string[]> {
    const names: string[] = [];
    for (const entry of await this.list(node)) {
      names.push(entry.name);
      if (entry.isDirectory && into(entry.name)) names.push(...(await this.walk(entry.node, into)));
    }
    return names;
  }

  /** What was handed out is what was got, and what is prepared. */
  expectNothingLost(): void {
    const expected = new Map(this.has);
    for (const { body, left } of this.prepared.values()) {
      for (let at = 0; left === LeftOfPrepared.ALL && at < body.length; ) {
        const id = Number(body.readBigUInt64LE(at));
        if (id !== 0) expected.set(id, (expected.get(id) ?? 0) + 1);
        at += (152 + body.readUInt32LE(at + 144) + 7) & ~7;
      }
    }
    expect(new Map<number, number>(this.filesystem.handedOut)).toEqual(expected);
  }

  /** The kernel refuses what is prepared next. @returns whether anything was */
  refuseOne(): boolean {
    for (const [slot, { left }] of this.prepared) {
      if (left !== LeftOfPrepared.ALL) continue;
      this.prepared.delete(slot);
      this.#session.onRequests(0, 0, 1 << slot);
      return true;
    }
    return false;
  }

  async #answer(node: number, position: number): Promise<Buffer> {
    for (const [slot, prepared] of this.prepared) {
      if (prepared.node !== node) continue;
      if (prepared.left === LeftOfPrepared.ALL && position === 0) {
        prepared.left = prepared.end === 0 ? LeftOfPrepared.NOTHING : LeftOfPrepared.END;
        this.answeredAhead++;
        this.#session.onRequests(0, 1 << slot, 0);
        return prepared.body;
      }
      if (prepared.left === LeftOfPrepared.END && position === prepared.end) {
        this.prepared.delete(slot);
        this.#session.onRequests(0, 0, 0);
        return Buffer.alloc(0);
      }
    }
    const request = this.#session.requests;
    request.fill(0, 0, REQUEST_BYTES);
    request.writeUInt32LE(80, 0);
    request.writeUInt32LE(Opcode.READDIRPLUS, 4);
    request.writeBigUInt64LE(++this.#unique, 8);
    request.writeBigUInt64LE(BigInt(node), 16);
    request.writeUInt32LE(position, 48);
    request.writeUInt32LE(SIZE, 56);
    this.#reply = Buffer.alloc(0);
    this.#session.onRequests(1);
    await new Promise<void>((resolve) => setImmediate(resolve));
    return this.#reply;
  }
}

describe("PreparedListings", () => {
  it.each([false, true])("answer a walk ahead, and the same as without them (async: %s)", async (isAsync) => {
    const { root, names } = forest(4, 4);
    const kernel = new Kernel(root, isAsync);
    expect(await kernel.walk()).toEqual(names);
    // 341 directories.
    expect(kernel.answeredAhead).toBeGreaterThan(320);
    kernel.expectNothingLost();
    expect(kernel.log).toEqual([]);
  });

  it("stay away from somebody who looks at a few directories only", async () => {
    const kernel = new Kernel(forest(4, 4).root);
    const below = await kernel.list(1);
    await kernel.list(below[1]!.node);
    await kernel.list(below[2]!.node);
    expect(kernel.prepared.size).toBe(0);
  });

  it("are given back when the walk goes elsewhere", async () => {
    const kernel = new Kernel(forest(4, 4).root);
    const below = await kernel.list(1);
    await kernel.walk(below[1]!.node);
    expect(kernel.prepared.size).toBeGreaterThan(0);
    await kernel.list(1);
    expect(kernel.prepared.size).toBe(0);
    kernel.expectNothingLost();
  });

  it("go on behind directories that the walker leaves out", async () => {
    const { root } = forest(4, 5);
    const kernel = new Kernel(root);
    await kernel.walk(1, (name) => name !== "dir-1");
    expect(kernel.answeredAhead).toBeGreaterThan(200);
    kernel.expectNothingLost();
  });

  it("lose nothing when the kernel refuses them", async () => {
    const { root, names } = forest(3, 4);
    const kernel = new Kernel(root);
    const below = await kernel.list(1);
    await kernel.walk(below[1]!.node);
    expect(kernel.refuseOne()).toBe(true);
    kernel.expectNothingLost();
    expect(await kernel.walk()).toEqual(names);
    kernel.expectNothingLost();
  });

  it("leave what changes, and what is damaged, to whoever asks for it", async () => {
    const damage = new DamagedError("Cannot x: y");
    const inner: Record<string, ToyNode> = {};
    for (let i = 0; i < 12; i++) inner[`d${i.toString(16)}`] = directory({ a: file("") });
    const changing = directory({ b: file("") }, { changeable: true });
    const damaged = directory({ c: file(""), broken: file("", { damage }) });
    const kernel = new Kernel(
      directory({ ...inner, x: changing, y: damaged, z: directory({ d: file("") }) }),
    );
    const names = await kernel.walk();
    expect(names.slice(-6)).toEqual(["x", "b", "y", "c", "z", "d"]);
    expect(kernel.log).toHaveLength(1);
    expect(kernel.log[0]).toContain("Cannot x: y");
    kernel.expectNothingLost();
  });

  it("survive that what is being loaded is forgotten before it has come", async () => {
    const { root, names } = forest(4, 4);
    const kernel = new Kernel(root, true);
    const { filesystem } = kernel;
    const below = await kernel.list(1);
    await kernel.walk(below[1]!.node);
    let missed = 0;
    const isKnown = filesystem.ino.bind(filesystem);
    filesystem.ino = (node) => {
      missed++;
      throw new NotFoundError(`Cannot look up node ${node}: it is not known any more`);
    };
    await kernel.walk(below[2]!.node);
    expect(missed).toBeGreaterThan(0);
    filesystem.ino = isKnown;
    expect(await kernel.walk()).toEqual(names);
    kernel.expectNothingLost();
  });

  it("cover the first part of a directory that takes several requests", async () => {
    const many = () =>
      directory(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`name-${100 + i}`, file("")])));
    const children: Record<string, ToyNode> = {};
    for (let i = 0; i < 20; i++) children[`d${100 + i}`] = many();
    const kernel = new Kernel(directory(children));
    const names = await kernel.walk();
    expect(names).toHaveLength(20 * 101);
    expect(new Set(names).size).toBe(20 + 100);
    expect(kernel.answeredAhead).toBeGreaterThan(10);
    kernel.expectNothingLost();
  });
});

describe("UpcomingDirectories", () => {
  const ids = (...numbers: number[]) => numbers as NodeId[];
  const nothing = () => undefined;

  it("come in the order of a walk", () => {
    const upcoming = new UpcomingDirectories();
    upcoming.onListed(1 as NodeId, ids(10, 20, 30));
    expect(upcoming.next(5, nothing)).toEqual(ids(10));
    expect(upcoming.next(5, (node) => (node === 10 ? ids(11, 12) : []))).toEqual(ids(10, 11, 12, 20, 30));
    upcoming.onListed(10 as NodeId, ids(11, 12));
    upcoming.onListed(11 as NodeId, []);
    expect(upcoming.next(3, () => [])).toEqual(ids(12, 20, 30));
    expect(upcoming.streak).toBe(2);
  });

  it("of a directory that is listed in parts stand together", () => {
    const upcoming = new UpcomingDirectories();
    upcoming.onListed(1 as NodeId, ids(10, 20));
    upcoming.onListed(10 as NodeId, ids(11, 12));
    upcoming.onMore(10 as NodeId, ids(13));
    upcoming.onMore(1 as NodeId, ids(30));
    expect(upcoming.next(9, () => [])).toEqual(ids(11, 12, 13, 20));
  });

  it("begin anew at a directory that nobody expected", () => {
    const upcoming = new UpcomingDirectories();
    upcoming.onListed(1 as NodeId, ids(10, 20));
    upcoming.onListed(10 as NodeId, []);
    upcoming.onListed(5 as NodeId, ids(6));
    expect(upcoming.streak).toBe(0);
    expect(upcoming.next(9, () => [])).toEqual(ids(6));
  });

  it("are bounded", () => {
    const upcoming = new UpcomingDirectories();
    upcoming.onListed(
      1 as NodeId,
      Array.from({ length: 100_000 }, (_, i) => (i + 2) as NodeId),
    );
    expect(upcoming.next(100_000, () => [])).toHaveLength(4096);
  });
});
