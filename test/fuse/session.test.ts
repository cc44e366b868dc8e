/** The protocol without a kernel. */

import { describe, expect, it } from "vitest";
import { DamagedError, YoreError } from "../../src/errors.js";
import { Errno } from "../../src/fuse/errno.js";
import type { Entry, NodeId } from "../../src/fuse/filesystem.js";
import { InitFlag, Opcode } from "../../src/fuse/kernel-abi.js";
import { begin, name, OFFERED, readIn, records, toy, u32 } from "./session-harness.js";
import { directory, file, ToyFilesystem } from "./toy-filesystem.js";

describe("Session initialisation", () => {
  it("grants what it wants of what is offered, and starts the filesystem", async () => {
    const filesystem = toy();
    const { initialise, session } = begin(filesystem);
    const reply = initialise();
    await session.ready;
    expect(reply?.errno).toBe(0);
    const { body } = reply!;
    expect(body.length).toBe(64);
    expect([body.readUInt32LE(0), body.readUInt32LE(4)]).toEqual([7, 38]);
    const flags = body.readUInt32LE(12);
    expect(flags & InitFlag.DO_READDIRPLUS).not.toBe(0);
    expect(flags & (1 << 14)).toBe(0);
    expect(flags & InitFlag.POSIX_ACL).toBe(0);
    expect([body.readUInt16LE(16), body.readUInt16LE(18)]).toEqual([64, 48]);
    expect([body.readUInt32LE(20), body.readUInt32LE(24), body.readUInt16LE(28)]).toEqual([4096, 1, 256]);
    expect(filesystem.notifier).toBeDefined();
  });

  it("grants nothing that is not offered", () => {
    const { initialise } = begin(toy(), { posixAcls: true });
    expect(initialise(InitFlag.POSIX_ACL | InitFlag.MAX_PAGES, 31)?.body.readUInt32LE(12)).toBe(
      InitFlag.POSIX_ACL | InitFlag.MAX_PAGES,
    );
  });

  it("opens files itself when the kernel cannot do without", () => {
    const { initialise, ask } = begin(toy());
    initialise(0);
    expect(ask(Opcode.OPEN, 1, u32(0, 0))).toMatchObject({ errno: 0, length: 32 });
    initialise();
    expect(ask(Opcode.OPEN, 1, u32(0, 0))?.errno).toBe(Errno.ENOSYS);
    expect(ask(Opcode.OPENDIR, 1, u32(0, 0))?.errno).toBe(Errno.ENOSYS);
  });

  it("refuses a kernel that is too old, and tells a later one its version", async () => {
    const old = begin(toy());
    expect(old.initialise(OFFERED, 30)?.errno).toBe(Errno.EPROTO);
    await expect(old.session.ready).rejects.toThrow(/speaks FUSE 7\.30, 7\.31 is needed/);
    const later = begin(toy());
    expect(later.ask(Opcode.INIT, 0, u32(8, 0, 0, 0))?.body.readUInt32LE(0)).toBe(7);
    later.initialise();
    await later.session.ready;
  });

  it("is never ready when the connection ends first", async () => {
    const { session } = begin(toy());
    session.onEnd(Errno.ENODEV);
    await expect(session.ready).rejects.toThrow(/ENODEV/);
    expect(await session.ended).toBe(Errno.ENODEV);
  });
});

describe("Session replies", () => {
  it("carry `unique` bit for bit", () => {
    const { ask, lastUnique } = begin(toy());
    for (let i = 0; i < 3; i++) expect(ask(Opcode.GETATTR, 1, u32(0, 0, 0, 0))?.unique).toBe(lastUnique());
    expect(lastUnique()).toBeGreaterThan(2n ** 32n);
  });

  it("refuse writing with EROFS, and for good what is unknown", () => {
    const { ask } = begin(toy());
    for (const opcode of [Opcode.WRITE, Opcode.SETATTR, Opcode.CREATE, Opcode.UNLINK, Opcode.TMPFILE])
      expect(ask(opcode, 1, Buffer.alloc(200))?.errno).toBe(Errno.EROFS);
    for (const opcode of [Opcode.STATX, Opcode.FLUSH, Opcode.ACCESS, 99, 4096])
      expect(ask(opcode, 1, Buffer.alloc(200))?.errno).toBe(Errno.ENOSYS);
  });

  it("refuse a request that is too short or whose name has no end", () => {
    const { ask } = begin(toy());
    expect(ask(Opcode.READ, 1, u32(0, 0))?.errno).toBe(Errno.EINVAL);
    expect(ask(Opcode.LOOKUP, 1, Buffer.from("endless"))?.errno).toBe(Errno.EIO);
  });

  it("to LOOKUP cache what is absent, unless it may not be", () => {
    const { ask } = begin(toy());
    const absent = ask(Opcode.LOOKUP, 1, name("none"));
    expect(absent).toMatchObject({ errno: 0, length: 144 });
    expect(absent?.body.readBigUInt64LE(0)).toBe(0n);
    expect(absent?.body.readBigUInt64LE(16)).toBe(1_000_000_000n);
    const brief = begin(new ToyFilesystem(directory({}), { ttlMs: 0 }));
    expect(brief.ask(Opcode.LOOKUP, 1, name("none"))?.errno).toBe(Errno.ENOENT);
    const timed = begin(new ToyFilesystem(directory({}), { ttlMs: 1_250 }));
    const { body } = timed.ask(Opcode.LOOKUP, 1, name("none"))!;
    expect([body.readBigUInt64LE(16), body.readUInt32LE(32)]).toEqual([1n, 250_000_000]);
  });

  it("to LOOKUP of . and .. hand out the directory and its parent", () => {
    const { ask } = begin(toy({ below: directory({}) }));
    const node = Number(ask(Opcode.LOOKUP, 1, name("below"))!.body.readBigUInt64LE(0));
    expect(ask(Opcode.LOOKUP, node, name("."))!.body.readBigUInt64LE(0)).toBe(BigInt(node));
    expect(ask(Opcode.LOOKUP, node, name(".."))!.body.readBigUInt64LE(0)).toBe(1n);
  });

  it("to GETXATTR and LISTXATTR follow the rules of the room", () => {
    const filesystem = toy({
      f: file("", { xattrs: { "user.a": Buffer.from("blue"), "user.bc": Buffer.of() } }),
    });
    const { ask } = begin(filesystem);
    const node = Number(ask(Opcode.LOOKUP, 1, name("f"))!.body.readBigUInt64LE(0));
    const get = (size: number, key: string) =>
      ask(Opcode.GETXATTR, node, Buffer.concat([u32(size, 0), name(key)]))!;
    expect(get(0, "user.a").body.readUInt32LE(0)).toBe(4);
    expect(get(3, "user.a").errno).toBe(Errno.ERANGE);
    expect(get(4, "user.a").body.toString()).toBe("blue");
    expect(get(9, "user.bc")).toMatchObject({ errno: 0, length: 16 });
    expect(get(9, "user.none").errno).toBe(Errno.ENODATA);
    const list = (size: number) => ask(Opcode.LISTXATTR, node, u32(size, 0))!;
    expect(list(0).body.readUInt32LE(0)).toBe(15);
    expect(list(14).errno).toBe(Errno.ERANGE);
    expect(list(15).body.toString()).toBe("user.a\0user.bc\0");
  });

  it("that the kernel rejects are followed by an error reply to the same request", () => {
    const { ask, port, log, lastUnique } = begin(toy());
    port.verdicts.push(Errno.EINVAL);
    ask(Opcode.STATFS, 1);
    expect(port.sent.map(({ errno, unique }) => [errno, unique])).toEqual([
      [0, lastUnique()],
      [Errno.EIO, lastUnique()],
    ]);
    expect(log[0]).toContain("EINVAL");
  });

  it("to aborted requests are forgotten, and what they handed out is given back", () => {
    const filesystem = toy({ a: file("a"), b: file("b") });
    const { ask, port, log } = begin(filesystem);
    port.verdicts.push(Errno.ENOENT, Errno.ENOENT);
    ask(Opcode.LOOKUP, 1, name("a"));
    ask(Opcode.READDIRPLUS, 1, readIn(0, 0, 4096));
    expect(port.sent.length).toBe(2);
    expect(filesystem.handedOutInAll()).toBe(0);
    expect(log).toEqual([]);
  });

  it("are EIO when a handler gives more than was asked for", () => {
    const { ask, log } = begin(toy({ f: file("f", { read: () => [Buffer.alloc(100)] }) }));
    const node = Number(ask(Opcode.LOOKUP, 1, name("f"))!.body.readBigUInt64LE(0));
    expect(ask(Opcode.READ, node, readIn(0, 0, 99))?.errno).toBe(Errno.EIO);
    expect(log[0]).toMatch(/^READ of node 2, 99 bytes at 0 failed: .*100 bytes/);
  });

  it("gather more pieces than one write takes", () => {
    const pieces = Array.from({ length: 3000 }, (_, i) => Buffer.of(i & 0xff));
    const { ask } = begin(toy({ f: file("f", { read: () => pieces }) }));
    const node = Number(ask(Opcode.LOOKUP, 1, name("f"))!.body.readBigUInt64LE(0));
    expect(ask(Opcode.READ, node, readIn(0, 0, 4096))?.body.equals(Buffer.concat(pieces))).toBe(true);
  });

  it("translate each kind of error", () => {
    const damage = (error: YoreError) => toy({ f: file("f", { damage: error }) });
    const errnoFor = (error: YoreError) => begin(damage(error)).ask(Opcode.LOOKUP, 1, name("f"))?.errno;
    expect(errnoFor(new DamagedError("Cannot x: y"))).toBe(Errno.EIO);
    expect(errnoFor(new YoreError("timeout", "Cannot x: y"))).toBe(Errno.EIO);
    expect(errnoFor(new YoreError("backend", "Cannot x: y"))).toBe(Errno.EIO);
    expect(errnoFor(new YoreError("not-found", "Cannot x: y"))).toBe(Errno.ENOENT);
    expect(errnoFor(new YoreError("not-supported", "Cannot x: y"))).toBe(Errno.ENOTSUP);
  });
});

describe("Session directories", () => {
  const children = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`name-${i}`, file("")]));

  it("READDIRPLUS hands out exactly what fits", () => {
    const filesystem = toy(children);
    const { ask } = begin(filesystem);
    const seen: string[] = [];
    let handedOut = 0;
    for (let position = 0; ; ) {
      const { body } = ask(Opcode.READDIRPLUS, 1, readIn(position, 0, 1000))!;
      expect(body.length).toBeLessThanOrEqual(1000);
      const found = records(body, true);
      if (found.length === 0) break;
      handedOut += found.filter(({ node }) => node !== 0n).length;
      expect(filesystem.handedOutInAll()).toBe(handedOut);
      seen.push(...found.map((record) => record.name));
      position = Number(found.at(-1)!.off);
    }
    expect(seen).toEqual([".", "..", ...Object.keys(children)]);
    expect(filesystem.calls.get("list")).toBe(1);
  });

  it("READDIR hands out nothing", () => {
    const filesystem = toy(children);
    const { ask } = begin(filesystem);
    const found = records(ask(Opcode.READDIR, 1, readIn(0, 0, 4096))!.body, false);
    expect(found.slice(0, 3)).toMatchObject([
      { name: ".", off: 1n, type: 4 },
      { name: "..", off: 2n, type: 4 },
      { name: "name-0", off: 3n, type: 8 },
    ]);
    expect(filesystem.handedOutInAll()).toBe(0);
  });

  it("leave out what is no name, and show what is damaged without a node", () => {
    const damage = new DamagedError("Cannot x: y");
    const filesystem = toy({
      "a/b": file(""),
      "": file(""),
      "..": file(""),
      broken: file("", { damage }),
      z: file(""),
    });
    const { ask, log } = begin(filesystem);
    const found = records(ask(Opcode.READDIRPLUS, 1, readIn(0, 0, 4096))!.body, true);
    expect(found.map((record) => [record.name, record.node !== 0n])).toEqual([
      [".", false],
      ["..", false],
      ["broken", false],
      ["z", true],
    ]);
    expect(log.length).toBe(4);
  });

  it("that change keep the listing of a stream, and give a new stream a new one", () => {
    const root = directory({ a: file(""), b: file(""), c: file("") }, { changeable: true });
    const { ask } = begin(new ToyFilesystem(root));
    const first = records(ask(Opcode.READDIR, 1, readIn(0, 0, 100))!.body, false);
    expect(first.map((record) => record.name)).toEqual([".", "..", "a"]);
    root.children!.delete("a");
    const cookie = first.at(-1)!.off;
    const goOn = () =>
      records(
        ask(Opcode.READDIR, 1, readIn(Number(cookie & 0xffffffffn), Number(cookie >> 32n), 100))!.body,
        false,
      );
    const fresh = records(ask(Opcode.READDIR, 1, readIn(0, 0, 1000))!.body, false);
    expect(fresh.map((record) => record.name)).toEqual([".", "..", "b", "c"]);
    expect(goOn().map((record) => record.name)).toEqual(["b", "c"]);
  });

  it("that change keep it for others who read by the same cookies when one has come to the end", () => {
    const root = directory({ a: file(""), b: file(""), c: file("") }, { changeable: true });
    const { ask } = begin(new ToyFilesystem(root));
    const from = (cookie: bigint) =>
      records(
        ask(Opcode.READDIR, 1, readIn(Number(cookie & 0xffffffffn), Number(cookie >> 32n), 1000))!.body,
        false,
      );
    const all = from(0n);
    expect(from(all.at(-1)!.off)).toEqual([]);
    root.children!.delete("a");
    // One whom the kernel's cache had given all up to "b".
    expect(from(all.at(-2)!.off).map((record) => record.name)).toEqual(["c"]);
  });
});

describe("Session answers that come later", () => {
  function slow() {
    let answer!: (pieces: Buffer[]) => void;
    let refuse!: (error: Error) => void;
    const read = () =>
      new Promise<Buffer[]>((resolve, reject) => {
        answer = resolve;
        refuse = reject;
      });
    const filesystem = toy({ f: file("slow", { read }) });
    return {
      filesystem,
      answer: (pieces: Buffer[]) => answer(pieces),
      refuse: (error: Error) => refuse(error),
    };
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  it("are sent once, after INTERRUPT with EINTR", async () => {
    const { filesystem, answer } = slow();
    const { ask, port, lastUnique, log } = begin(filesystem);
    const node = Number(ask(Opcode.LOOKUP, 1, name("f"))!.body.readBigUInt64LE(0));
    expect(ask(Opcode.READ, node, readIn(0, 0, 10))).toBeUndefined();
    const unique = lastUnique();
    const interrupt = u32(Number(unique & 0xffffffffn), Number(unique >> 32n));
    ask(Opcode.INTERRUPT, 0, interrupt);
    ask(Opcode.INTERRUPT, 0, interrupt);
    ask(Opcode.INTERRUPT, 0, u32(1, 2));
    expect(filesystem.signals[0]?.aborted).toBe(true);
    answer([Buffer.from("too late")]);
    await turn();
    expect(port.sent.filter((reply) => reply.unique === unique).map(({ errno }) => errno)).toEqual([
      Errno.EINTR,
    ]);
    expect(log).toEqual([]);
  });

  it("are EIO past their deadline, each its own", async () => {
    const { filesystem, answer } = slow();
    const { ask, port, lastUnique, log } = begin(filesystem, { deadlineMs: 30 });
    const node = Number(ask(Opcode.LOOKUP, 1, name("f"))!.body.readBigUInt64LE(0));
    ask(Opcode.READ, node, readIn(0, 0, 10));
    const unique = lastUnique();
    while (port.sent.length < 2) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(port.sent.at(-1)).toMatchObject({ errno: Errno.EIO, unique });
    expect(filesystem.signals[0]?.aborted).toBe(true);
    expect(log[0]).toMatch(/READ of node 2, 10 bytes at 0 failed: No answer within 0.03 s \(EIO\)/);
    answer([]);
    await turn();
    expect(port.sent.length).toBe(2);
  });

  it("give an entry back that came too late", async () => {
    let answer!: (entry: Entry) => void;
    const filesystem = toy();
    const entry = filesystem.lookup(1 as NodeId, Buffer.from("hello")) as Entry;
    filesystem.lookup = () =>
      new Promise<Entry>((resolve) => {
        answer = resolve;
      });
    const { ask, session } = begin(filesystem);
    ask(Opcode.LOOKUP, 1, name("hello"));
    session.giveUpPending();
    answer(entry);
    await turn();
    expect(filesystem.handedOutInAll()).toBe(0);
  });

  it("are abandoned without a reply when the connection ends", async () => {
    const { filesystem, refuse } = slow();
    const { ask, port, session } = begin(filesystem);
    const node = Number(ask(Opcode.LOOKUP, 1, name("f"))!.body.readBigUInt64LE(0));
    ask(Opcode.READ, node, readIn(0, 0, 10));
    session.onEnd(Errno.ENODEV);
    expect(filesystem.signals[0]?.aborted).toBe(true);
    refuse(new Error("x"));
    await turn();
    expect(port.sent.length).toBe(1);
  });

  it("hold back notifications about their node", async () => {
    const { filesystem, answer } = slow();
    const { ask, port, initialise } = begin(filesystem);
    initialise();
    const node = Number(ask(Opcode.LOOKUP, 1, name("f"))!.body.readBigUInt64LE(0)) as NodeId;
    ask(Opcode.READ, node, readIn(0, 0, 10));
    filesystem.notifier!.invalidateNode(node);
    filesystem.notifier!.invalidateNode(node);
    filesystem.notifier!.invalidateEntry(1 as NodeId, Buffer.from("f"));
    expect(port.notifications.map((message) => message.readInt32LE(4))).toEqual([3]);
    expect(port.notifications[0]?.subarray(16).equals(Buffer.concat([u32(1, 0, 1, 0), name("f")]))).toBe(
      true,
    );
    answer([]);
    await turn();
    expect(port.notifications.map((message) => message.readInt32LE(4))).toEqual([3, 2]);
    expect(port.notifications[1]?.subarray(16).equals(u32(node, 0, 0, 0, 0, 0))).toBe(true);
  });

  it("FORGET and BATCH_FORGET give back what they say", () => {
    const filesystem = toy({ a: file(""), b: file("") });
    const { ask, log } = begin(filesystem);
    const nodes = ["a", "a", "b"].map((child) =>
      Number(ask(Opcode.LOOKUP, 1, name(child))!.body.readBigUInt64LE(0)),
    );
    expect(ask(Opcode.FORGET, nodes[0]!, u32(1, 0))).toBeUndefined();
    expect(filesystem.handedOutInAll()).toBe(2);
    ask(Opcode.BATCH_FORGET, 0, u32(3, 0, nodes[0]!, 0, 1, 0, nodes[2]!, 0, 1, 0, 1, 0, 5, 0));
    expect(filesystem.handedOutInAll()).toBe(0);
    ask(Opcode.FORGET, nodes[0]!, u32(1, 0));
    expect(log[0]).toContain("FORGET failed: node 2 was given back 1 times too often");
  });
});
