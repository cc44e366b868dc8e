import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import {
  lstat,
  mkdir,
  open as openFile,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Id } from "../../src/bytes/id.js";
import type { UnsealPart } from "../../src/engine/engine.js";
import { loadEngine } from "../../src/engine/load-engine.js";
import { loadAddon } from "../../src/native/addon.js";
import type { FileCall, FileCallRunner } from "../../src/restorer/file-call.js";
import { decodeFailures, NativeFileCalls, ProgramMemory } from "../../src/restorer/native-file-calls.js";
import { PortableFileCalls } from "../../src/restorer/portable-file-calls.js";
import { run as runProgram } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const name = (text: string) => Buffer.from(text);
const IN_ROOT: FileCall = { kind: "directory", name: name("") };
const addon = loadAddon();

function write(text: string, data = "data"): FileCall {
  return { kind: "write", name: name(text), data: Buffer.from(data) };
}

const RUNNERS: [string, (root: string) => FileCallRunner][] = [
  ["PortableFileCalls", (root) => new PortableFileCalls(Buffer.from(root))],
];
if (addon) RUNNERS.push(["NativeFileCalls", (root) => new NativeFileCalls(addon, Buffer.from(root))]);

describe.each(RUNNERS)("%s", (_, runnerFor) => {
  it("carries out calls in order and tells which have failed", async () => {
    const root = await temporaryFolder();
    await mkdir(join(root, "full/inside"), { recursive: true });
    const failures = await runnerFor(root).run([
      IN_ROOT,
      write("a"),
      { kind: "mode", name: name("a"), mode: 0o640 },
      write("full"),
      { kind: "mode", name: name("full"), mode: 0 },
      { kind: "symlink", name: name("link"), target: name("a") },
      { kind: "times", name: name("missing"), mtime: time(0), atime: time(0) },
      { kind: "link", name: name("b"), source: name("a") },
    ]);
    expect(failures.map(({ position }) => position)).toEqual([3, 6]);
    expect(failures[1]).toMatchObject({ code: "ENOENT" });
    expect((await stat(join(root, "a"))).mode & 0o7777).toBe(0o640);
    expect((await stat(join(root, "full"))).mode & 0o777).not.toBe(0);
    expect(await readlink(join(root, "link"))).toBe("a");
    expect((await stat(join(root, "b"))).nlink).toBe(2);
  });

  it("gives a new file its status, or says that it has only its content", async () => {
    const root = await temporaryFolder();
    const status = {
      uid: process.getuid!(),
      gid: process.getgid!(),
      mtime: { seconds: -5, nanoseconds: 123_456_789, zoneMinutes: 0 },
      atime: { seconds: 2 ** 32 + 7, nanoseconds: 1, zoneMinutes: 0 },
      mode: 0o4640,
    };
    const runner = runnerFor(root);
    const failures = await runner.run([
      IN_ROOT,
      { kind: "write", name: name("a"), data: Buffer.from("data"), status },
      { kind: "mode", name: name("a"), mode: 0o4640 },
    ]);
    expect(await readFile(join(root, "a"), "utf8")).toBe("data");
    const found = await lstat(join(root, "a"), { bigint: true });
    expect(Number(found.mode & 0o7777n)).toBe(0o4640);
    if (runner instanceof PortableFileCalls) {
      expect(failures).toMatchObject([{ position: 1, isWritten: true }]);
    } else {
      expect(failures).toEqual([]);
      expect(found.mtimeNs).toBe(-4_876_543_211n);
      expect(found.atimeNs).toBe((2n ** 32n + 7n) * 1_000_000_000n + 1n);
    }
  });

  it("leaves a file whole whose status cannot be set", async () => {
    const root = await temporaryFolder();
    const at = { seconds: 1, nanoseconds: 2_000_000_000, zoneMinutes: 0 };
    const status = { uid: process.getuid!(), gid: process.getgid!(), mtime: at, atime: at, mode: 0o600 };
    const failures = await runnerFor(root).run([
      IN_ROOT,
      { kind: "write", name: name("a"), data: Buffer.from("data"), status },
      { kind: "mode", name: name("a"), mode: 0o640 },
    ]);
    expect(failures).toMatchObject([{ position: 1, isWritten: true }]);
    expect(await readFile(join(root, "a"), "utf8")).toBe("data");
    expect((await stat(join(root, "a"))).mode & 0o7777).toBe(0o640);
  });

  it("replaces what bears the name, links included, without following them", async () => {
    const outside = join(await temporaryFolder(), "precious");
    await writeFile(outside, "precious");
    const root = await temporaryFolder();
    for (const one of ["w", "s", "h"]) await symlink(outside, join(root, one));
    await mkdir(join(root, "empty"));
    const failures = await runnerFor(root).run([
      IN_ROOT,
      write("w", "new"),
      write("empty", "new"),
      { kind: "symlink", name: name("s"), target: name("elsewhere") },
      { kind: "link", name: name("h"), source: name("w") },
      { kind: "mode", name: name("s"), mode: 0o777 },
      { kind: "times", name: name("s"), mtime: time(5), atime: time(5) },
      { kind: "owner", name: name("s"), uid: process.getuid!(), gid: process.getgid!() },
    ]);
    expect(failures).toEqual([]);
    expect(await readFile(outside, "utf8")).toBe("precious");
    expect(await readFile(join(root, "w"), "utf8")).toBe("new");
    expect(await readFile(join(root, "empty"), "utf8")).toBe("new");
    expect((await lstat(join(root, "s"))).mtimeMs).toBe(5000);
  });

  it("enters no folder through a link, and leaves out what was to be done there", async () => {
    const outside = await temporaryFolder();
    await mkdir(join(outside, "below"));
    const root = await temporaryFolder();
    await symlink(outside, join(root, "link"));
    const failures = await runnerFor(root).run([
      { kind: "directory", name: name("link") },
      write("a"),
      { kind: "directory", name: name("link/below") },
      write("a"),
      { kind: "remove", name: name("b") },
      IN_ROOT,
      write("good"),
    ]);
    expect(failures.map(({ position }) => position)).toEqual([0, 2]);
    expect((await readdir(outside, { recursive: true })).sort()).toEqual(["below"]);
    expect(existsSync(join(root, "good"))).toBe(true);
  });

  it("makes folders, leaves those that are there, and replaces anything else", async () => {
    const outside = await temporaryFolder();
    const root = await temporaryFolder();
    await mkdir(join(root, "there"));
    await writeFile(join(root, "there/kept"), "");
    await writeFile(join(root, "file"), "");
    await symlink(outside, join(root, "link"));
    const folder = (text: string): FileCall => ({ kind: "folder", name: name(text) });
    const failures = await runnerFor(root).run([
      IN_ROOT,
      ...["new", "there", "file", "link"].map(folder),
      { kind: "directory", name: name("link") },
      write("inside"),
      { kind: "directory", name: name("new") },
      folder("x".repeat(300)),
      folder("below"),
    ]);
    expect(failures).toMatchObject([{ position: 8, code: "ENAMETOOLONG" }]);
    expect(await readdir(outside)).toEqual([]);
    expect((await readdir(root, { recursive: true })).sort()).toEqual(
      ["file", "link", "link/inside", "new", "new/below", "there", "there/kept"].sort(),
    );
    for (const one of ["new", "file", "link"]) {
      const status = await lstat(join(root, one));
      expect(status.isDirectory() && status.mode & 0o777).toBe(0o700);
    }
  });

  it("removes trees, but not what links in them lead to", async () => {
    const outside = await temporaryFolder();
    await writeFile(join(outside, "precious"), "");
    const root = await temporaryFolder();
    await mkdir(join(root, "a/b/c"), { recursive: true });
    await symlink(outside, join(root, "a/b/link"));
    await symlink(outside, join(root, "link"));
    const failures = await runnerFor(root).run([
      IN_ROOT,
      { kind: "remove", name: name("a") },
      { kind: "remove", name: name("link") },
      { kind: "remove", name: name("absent") },
    ]);
    expect(failures).toEqual([]);
    expect(await readdir(root)).toEqual([]);
    expect(await readdir(outside)).toEqual(["precious"]);
  });

  it("says when the root is missing", async () => {
    const failures = await runnerFor("/nowhere/at/all").run([
      { kind: "directory", name: name("x") },
      write("a"),
    ]);
    expect(failures).toMatchObject([{ position: 0, code: "ENOENT" }]);
  });
});

describe.skipIf(!addon)("NativeFileCalls", () => {
  const runnerFor = (root: string) => new NativeFileCalls(addon!, Buffer.from(root));

  it.each([
    ["before 1970", -2_000_000_000, 999_999_999],
    ["after 2106", 5_000_000_000, 123_456_789],
    ["with all its nanoseconds", 1_700_000_000, 987_654_321],
  ])("sets a time %s", async (_, seconds, nanoseconds) => {
    const root = await temporaryFolder();
    const mtime = { seconds, nanoseconds, zoneMinutes: 0 };
    const atime = { seconds: seconds + 1, nanoseconds: 1, zoneMinutes: 0 };
    const failures = await runnerFor(root).run([
      IN_ROOT,
      write("a"),
      { kind: "times", name: name("a"), mtime, atime },
    ]);
    expect(failures).toEqual([]);
    const status = await stat(join(root, "a"), { bigint: true });
    expect(status.mtimeNs).toBe(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
    expect(status.atimeNs).toBe(BigInt(seconds + 1) * 1_000_000_000n + 1n);
  });

  it("sets extended attributes, keeps those named and removes the others", async () => {
    const root = await temporaryFolder();
    const xattr = (attribute: string, value: string): FileCall => {
      return { kind: "set-xattr", name: name("a"), attribute, value: Buffer.from(value) };
    };
    const failures = await runnerFor(root).run([
      IN_ROOT,
      write("a"),
      xattr("user.one", "1\0with zero"),
      xattr("user.on", ""),
      xattr("user.extra", "x"),
      { kind: "keep-xattrs", name: name("a"), attributes: ["user.one", "user.on"] },
    ]);
    expect(failures).toEqual([]);
    const names = Buffer.from(await addon!.listXattrNames(Buffer.from(join(root, "a"))));
    expect(names.toString().split("\0").sort()).toEqual(["", "user.on", "user.one"]);
    const { stdoutBytes } = await runProgram("getfattr", [
      "--only-values",
      "-n",
      "user.one",
      join(root, "a"),
    ]);
    expect(stdoutBytes.toString()).toBe("1\0with zero");
  });

  it("makes fifos and, as root, devices with large numbers", async () => {
    const root = await temporaryFolder();
    const calls: FileCall[] = [IN_ROOT, { kind: "node", name: name("fifo"), mode: 0o010600, device: 0n }];
    const isRoot = process.getuid!() === 0;
    // Major 511, minor 1048575: more than fits the 16 bits of old.
    const device = (0xfffffn & 0xffn) | (511n << 8n) | ((0xfffffn & ~0xffn) << 12n);
    if (isRoot) calls.push({ kind: "node", name: name("device"), mode: 0o060600, device });
    expect(await runnerFor(root).run(calls)).toEqual([]);
    expect((await stat(join(root, "fifo"))).isFIFO()).toBe(true);
    if (isRoot) expect((await stat(join(root, "device"), { bigint: true })).rdev).toBe(device);
  });

  it.each(["..", ".", "a/b", "/x", "", "x\0y"])("refuses %j as the name of a new thing", async (bad) => {
    const root = await temporaryFolder();
    await mkdir(join(root, "a"));
    const calls: FileCall[] = [
      write(bad),
      { kind: "symlink", name: name(bad), target: name("t") },
      { kind: "remove", name: name(bad) },
      { kind: "link", name: name("l"), source: name(bad) },
      { kind: "mode", name: name(bad), mode: 0 },
    ];
    for (const call of calls) {
      const failures = await runnerFor(root).run([{ kind: "directory", name: name("a") }, call]);
      expect(failures, call.kind).toHaveLength(1);
    }
    expect((await readdir(root, { recursive: true })).sort()).toEqual(["a"]);
  });

  it("refuses a path that climbs out of the root", async () => {
    const root = await temporaryFolder();
    await mkdir(join(root, "a"));
    for (const path of ["..", "a/../..", "/", "/etc"]) {
      const failures = await runnerFor(root).run([{ kind: "directory", name: name(path) }, write("x")]);
      expect(failures, path).toHaveLength(1);
      await expect(addon!.openBeneath(Buffer.from(root), Buffer.from(path), 0)).rejects.toThrow();
    }
  });

  it("survives programs that are cut anywhere", async () => {
    const root = await temporaryFolder();
    const program = Buffer.alloc(200);
    program.writeUInt32LE(1, 0);
    program.writeUInt32LE(0xffff_ffff, 4);
    for (let length = 0; length < program.length; length += 7)
      await addon!.runFileCalls(Buffer.from(root), program.subarray(0, length));
    expect(await readdir(root)).toEqual([]);
  });
});

function time(seconds: number) {
  return { seconds, nanoseconds: 0, zoneMinutes: 0 };
}

describe.skipIf(!addon)("unsealToFiles of the native engine", () => {
  it("writes what it unseals to new files and into open ones, and nothing of a damaged part", async () => {
    const engine = await loadEngine();
    const key = { encrypt: randomBytes(32), macK: randomBytes(16), macR: randomBytes(16) };
    const contents = [randomBytes(1), Buffer.alloc(9000, "text"), randomBytes(70_000), randomBytes(500)];
    const sealed = await engine.seal(
      key,
      contents.map((plaintext, i) => ({ plaintext, compressionLevel: i === 1 ? 3 : undefined })),
    );
    const damaged = sealed.map((bytes, i) => {
      const copy = Buffer.from(bytes.sealed);
      if (i === 3) copy[20]! ^= 1;
      return copy;
    });
    let offset = 0;
    const parts: UnsealPart[] = damaged.map(({ length }, i) => {
      const id = createHash("sha256").update(contents[i]!).digest() as Uint8Array as Id;
      offset += length;
      return { id, offset: offset - length, length, uncompressedLength: sealed[i]!.uncompressedLength };
    });
    const root = await temporaryFolder();
    await mkdir(join(root, "folder"));
    const open = await openFile(join(root, "open"), "w");
    try {
      const part = (text: string, number: number) =>
        ({ kind: "write-part", name: name(text), part: number, isSparse: false }) as const;
      const program = new ProgramMemory().encode([
        { kind: "directory", name: name("folder") },
        part("a", 0),
        part("b", 1),
        part("same as b", 1),
        part("damaged", 3),
        { kind: "piece", fd: open.fd, offset: 5000, part: 2, isSparse: false },
        { kind: "directory", name: name("nowhere") },
        part("c", 2),
      ]);
      const result = await engine.unsealToFiles!(
        key,
        Buffer.concat(damaged),
        parts,
        Buffer.from(root),
        program,
      );
      expect(result.failures).toEqual([undefined, undefined, undefined, "mac"]);
      const failures = decodeFailures(result.callFailures);
      // What should have been done in a folder that is not there needs no failure of its own.
      expect(failures.map(({ position }) => position)).toEqual([6]);
      expect(failures[0]).toMatchObject({ code: "ENOENT" });
    } finally {
      await open.close();
    }
    expect((await readdir(join(root, "folder"))).sort()).toEqual(["a", "b", "same as b"]);
    expect((await readFile(join(root, "folder/a"))).equals(contents[0]!)).toBe(true);
    expect((await readFile(join(root, "folder/b"))).equals(contents[1]!)).toBe(true);
    expect((await readFile(join(root, "folder/same as b"))).equals(contents[1]!)).toBe(true);
    const piece = Buffer.concat([Buffer.alloc(5000), contents[2]!]);
    expect((await readFile(join(root, "open"))).equals(piece)).toBe(true);
  });

  it("writes no piece, and leaves no hole, where no file can have one", async () => {
    const engine = await loadEngine();
    const key = { encrypt: randomBytes(32), macK: randomBytes(16), macR: randomBytes(16) };
    const plaintext = Buffer.alloc(9000);
    const [made] = await engine.seal(key, [{ plaintext, compressionLevel: undefined }]);
    const id = createHash("sha256").update(plaintext).digest() as Uint8Array as Id;
    const parts = [{ id, offset: 0, length: made!.sealed.length, uncompressedLength: 0 }];
    const root = await temporaryFolder();
    const open = await openFile(join(root, "open"), "w");
    try {
      const offsets = [-1, -4096, -(2 ** 40)];
      const program = new ProgramMemory().encode(
        offsets.map((offset) => ({ kind: "piece", fd: open.fd, offset, part: 0, isSparse: true }) as const),
      );
      // The last one begins below 2^63 and ends above.
      program.writeBigInt64LE(2n ** 63n - 4096n, 2 * 56 + 32);
      const result = await engine.unsealToFiles!(key, made!.sealed, parts, Buffer.from(root), program);
      const failures = decodeFailures(result.callFailures);
      expect(failures.map(({ position, code }) => [position, code])).toEqual([
        [0, "EINVAL"],
        [1, "EINVAL"],
        [2, "EFBIG"],
      ]);
    } finally {
      await open.close();
    }
  });
});
