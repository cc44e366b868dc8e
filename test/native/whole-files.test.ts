import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadAddon } from "../../src/native/addon.js";

const addon = loadAddon()!;
let folder: string;

/** As the functions take them: each followed by a zero. */
function list(names: readonly string[]): Buffer {
  return Buffer.from(names.map((name) => `${name}\0`).join(""));
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "yore-whole-"));
  writeFileSync(join(folder, "empty"), "");
  writeFileSync(join(folder, "small"), "abc");
  writeFileSync(join(folder, "large"), Buffer.alloc(100_000, "x"));
  symlinkSync("small", join(folder, "link"));
  symlinkSync("nothing", join(folder, "dangling"));
  symlinkSync("loop", join(folder, "loop"));
  mkdirSync(join(folder, "folder"));
  execFileSync("mkfifo", [join(folder, "pipe")]);
});

afterAll(() => rmSync(folder, { recursive: true }));

const NAMES = ["empty", "small", "large", "link", "dangling", "loop", "folder", "pipe", "missing"];

describe("readWhole", () => {
  it("gives the contents of plain files up to the limit, and nothing of anything else", async () => {
    const read = (limit: number) =>
      addon.readWhole(list(NAMES.map((name) => join(folder, name))), limit).then((all) => all.map(String));
    const nothing = Array(5).fill("undefined");
    expect(await read(100_000)).toEqual(["", "abc", "x".repeat(100_000), "abc", ...nothing]);
    expect(await read(99_999)).toEqual(["", "abc", "undefined", "abc", ...nothing]);
    expect(await read(2)).toEqual(["", "undefined", "undefined", "undefined", ...nothing]);
    expect(await addon.readWhole(Buffer.alloc(0), 1)).toEqual([]);
  });

  it("takes paths that are no UTF-8", async () => {
    const path = Buffer.concat([Buffer.from(`${folder}/`), Buffer.of(0xff, 0x80)]);
    writeFileSync(path, "bytes");
    expect(String(await addon.readWhole(Buffer.concat([path, Buffer.of(0)]), 10))).toBe("bytes");
    rmSync(path);
  });

  it("refuses paths without a zero behind them, and limits that are none", () => {
    expect(() => addon.readWhole(Buffer.from("/etc/hostname"), 10)).toThrow(TypeError);
    expect(() => addon.readWhole("/etc/hostname\0" as never, 10)).toThrow(TypeError);
    expect(() => addon.readWhole(list(["x"]), -1)).toThrow(RangeError);
    expect(() => addon.readWhole(list(["x"]), 2 ** 31)).toThrow(RangeError);
  });
});

describe("fileSizes", () => {
  it("gives the sizes of plain files, and -1 for anything else", async () => {
    expect([...(await addon.fileSizes(Buffer.from(folder), list(NAMES)))]).toEqual([
      0, 3, 100_000, 3, -1, -1, -1, -1, -1,
    ]);
    expect([...(await addon.fileSizes(Buffer.from(folder), Buffer.alloc(0)))]).toEqual([]);
  });

  it("gives NaN where it cannot be told", async () => {
    expect([...(await addon.fileSizes(Buffer.from(join(folder, "missing")), list(["a", "b"])))]).toEqual([
      Number.NaN,
      Number.NaN,
    ]);
    expect([...(await addon.fileSizes(Buffer.from(folder), list(["a".repeat(256)])))]).toEqual([Number.NaN]);
  });

  it("refuses names without a zero behind them", () => {
    expect(() => addon.fileSizes(Buffer.from(folder), Buffer.from("small"))).toThrow(TypeError);
    expect(() => addon.fileSizes(Buffer.alloc(0), list(["small"]))).toThrow(RangeError);
  });
});
