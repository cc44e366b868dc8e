import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { SCAN_RECORD } from "../../src/native/scan-functions.js";
import { temporaryFolder } from "../support/temporary.js";

const addon = loadAddon()!;

describe.skipIf(addonProblem() !== undefined)("scan functions of the addon", () => {
  it("refuse what is no path, no buffer or no room, and keep the process alive", async () => {
    const scan = addon.scanDirectory as (...args: unknown[]) => Promise<Buffer>;
    const read = addon.readSmallFiles as (...args: unknown[]) => Promise<Buffer>;
    const path = Buffer.from("/etc/hostname\0");
    for (const wrong of ["/etc", undefined, Buffer.alloc(0), Buffer.from("a\0b"), 5, new Float64Array(1)])
      expect(() => scan(wrong, false, true), String(wrong)).toThrow();
    expect(() => scan(path.subarray(0, -1))).toThrow(/followTarget/);
    const room = Uint32Array.of(10);
    expect(() => read(path, room, Buffer.alloc(9))).toThrow(/room/);
    expect(() => read(Buffer.concat([path, path]), room, Buffer.alloc(100))).toThrow(/rooms/);
    expect(() => read(path.subarray(0, -1), room, Buffer.alloc(100))).toThrow(/zero byte/);
    expect(() => read(Buffer.from("\0"), room, Buffer.alloc(100))).toThrow(/a path/);
    expect(() => read(path, Uint32Array.of(10, 10), Buffer.alloc(100))).toThrow(/paths/);
    for (const none of [Buffer.alloc(0), new Uint8Array(0)])
      expect(() => read(none, room, Buffer.alloc(100))).toThrow(/paths/);
    expect(() => read([path], room, Buffer.alloc(100))).toThrow(/paths/);
    expect(() => read(path, [10], Buffer.alloc(100))).toThrow(/rooms/);
    expect(() => addon.userName(-1)).toThrow(/uid/);
    expect(() => addon.groupName(2 ** 32)).toThrow(/gid/);
    expect((await read(Buffer.alloc(0), new Uint32Array(), Buffer.alloc(0))).length).toBe(0);
  });

  it("pack a large directory into whole records, sorted by bytes", async () => {
    const folder = join(await temporaryFolder(), "many");
    mkdirSync(folder);
    for (let i = 0; i < 3000; i++) writeFileSync(join(folder, `${i}${"ü".repeat(i % 50)}`), "");
    const records = await addon.scanDirectory(Buffer.from(folder), false, true);
    const names: string[] = [];
    for (let at = 0; at < records.length; at += records.readUInt32LE(at + SCAN_RECORD.length)) {
      const length = records.readUInt32LE(at + SCAN_RECORD.nameLength);
      names.push(records.toString("latin1", at + SCAN_RECORD.name, at + SCAN_RECORD.name + length));
    }
    const expected = readdirSync(folder, { encoding: "latin1" as never }) as string[];
    expect(names).toEqual(expected.sort());
  });

  it("count what is in a directory and name its subdirectories", async () => {
    const folder = await temporaryFolder();
    for (const name of ["a", "b\n"]) mkdirSync(join(folder, name));
    for (const size of [0, 10, 1000]) writeFileSync(join(folder, `file ${size}`), Buffer.alloc(size));
    symlinkSync("a", join(folder, "link"));
    const { files, bytes, directories } = await addon.countDirectory(Buffer.from(folder));
    expect([files, bytes]).toEqual([3, 1010]);
    expect(directories.toString().split("\0").sort()).toEqual(["", "a", "b\n"]);
    const missing = addon.countDirectory(Buffer.from(join(folder, "missing")));
    await expect(missing).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("do many things at once, and never write beyond a file's room", async () => {
    const folder = await temporaryFolder();
    const contents = Array.from({ length: 50 }, (_, i) => Buffer.alloc(i * 100, i));
    for (const [i, content] of contents.entries()) writeFileSync(join(folder, String(i)), content);
    const paths = Buffer.from(contents.map((_, i) => `${join(folder, String(i))}\0`).join(""));
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        // Every second file has a byte too little room, so that it does not fit.
        const rooms = Uint32Array.from(contents, (content, i) => content.length + 1 - (i % 2));
        const total = rooms.reduce((sum, room) => sum + room, 0);
        const into = Buffer.alloc(total + 16, 0xee);
        await addon.readSmallFiles(paths, rooms, into);
        expect(into.subarray(total).every((byte) => byte === 0xee)).toBe(true);
        let offset = 0;
        for (const [i, content] of contents.entries()) {
          if (i % 2 === 0)
            expect(into.subarray(offset, offset + content.length).equals(content), String(i)).toBe(true);
          offset += rooms[i]!;
        }
      }),
    );
  });
});
