import { createHash, randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { beforeEach, describe, expect, it } from "vitest";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { STORED } from "../../src/native/engine-functions.js";
import type { PackFileHandle } from "../../src/native/pack-file-functions.js";
import { loseEnd } from "../support/lose-end.js";
import { temporaryFolder } from "../support/temporary.js";

const addon = loadAddon()!;

describe.skipIf(addonProblem() !== undefined)("pack file functions of the addon", () => {
  const key = addon?.createMasterKey(randomBytes(32), randomBytes(16), randomBytes(16));
  let folder: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  const open = (mode = 0o600) => addon.packFileOpen(Buffer.from(folder), "name-tmp-1", mode);
  const pathOf = (name: string) => Buffer.from(join(folder, name));
  const text = (length: number) => Buffer.alloc(length, "all work and no play ");

  async function unsealAt(pack: Buffer, place: readonly number[], plaintext: Buffer, level: number) {
    const [offset, length] = place as [number, number];
    const uncompressed = Uint32Array.of(level === STORED ? 0 : plaintext.length);
    const [opened] = await addon.unsealMany(key, [pack.subarray(offset, offset + length)], uncompressed, [
      undefined,
    ]);
    return opened;
  }

  it("show a pack only when it has its name, read-only, named by the hash of all that was put in", async () => {
    const file = await open();
    expect(await addon.packFileAppend(file, [Buffer.from("first"), Buffer.alloc(0)])).toBe(0);
    expect(await addon.packFileAppend(file, [Buffer.from(" second")])).toBe(5);
    expect((await addon.packFileLoad(file)).toString()).toBe("first second");
    expect(readdirSync(folder)).toEqual([]);
    const id = await addon.packFileFinish(file, 0o400, true);
    expect(readdirSync(folder)).toEqual(["name-tmp-1"]);
    await addon.packFileCommit(file, pathOf("whole"));
    expect(readdirSync(folder)).toEqual(["whole"]);
    const content = readFileSync(join(folder, "whole"));
    expect(content.toString()).toBe("first second");
    expect(createHash("sha256").update(content).digest().equals(id)).toBe(true);
    expect(statSync(join(folder, "whole")).mode & 0o7777).toBe(0o400);
  });

  it.each([true, false])("stay in the kernel's cache if they shall: %s", async (keepsCached) => {
    const file = await open();
    const bytes = randomBytes(1 << 20);
    for (let i = 0; i < 48; i++) await addon.packFileAppend(file, [bytes]);
    await addon.packFileFinish(file, 0o400, keepsCached);
    await addon.packFileCommit(file, pathOf("whole"));
    const fd = openSync(join(folder, "whole"), "r");
    try {
      // A file system in memory forgets nothing.
      addon.forgetCached(fd, 47 << 20, 1 << 20);
      const forgets = !addon.isCached(fd, 47 << 20, 1 << 20);
      if (forgets) expect(addon.isCached(fd, 0, 47 << 20)).toBe(keepsCached);
    } finally {
      closeSync(fd);
    }
    const content = readFileSync(join(folder, "whole"));
    expect(content.length).toBe(48 << 20);
    for (let i = 0; i < 48; i++) expect(content.subarray(i << 20, (i + 1) << 20).equals(bytes)).toBe(true);
  });

  it("seal from many hops at once, each result where it is said to be", async () => {
    const file = await open();
    const hops = Array.from({ length: 20 }, async (_, hop) => {
      const level = hop % 3 === 0 ? STORED : 3;
      const plaintexts = [text(10 + hop * 1000), randomBytes(hop * 40_000), Buffer.alloc(0), text(700_000)];
      const levels = Int32Array.from(plaintexts, ({ length }) => (length === 0 ? STORED : level));
      if (hop % 2 === 0)
        return {
          plaintexts,
          levels,
          places: await addon.packFileSeal(file, key, plaintexts, levels, true, undefined),
        };
      const memory = Buffer.concat(plaintexts);
      let at = 0;
      const parts = plaintexts.flatMap(({ length }) => {
        at += length;
        return [at - length, length];
      });
      const places = await addon.packFileSealParts(
        file,
        key,
        memory,
        Uint32Array.from(parts),
        levels,
        true,
        undefined,
      );
      return { plaintexts, levels, places };
    });
    const sealed = await Promise.all(hops);
    await addon.packFileFinish(file, 0o400, true);
    await addon.packFileCommit(file, pathOf("pack"));
    const pack = readFileSync(join(folder, "pack"));
    let total = 0;
    for (const { plaintexts, levels, places } of sealed) {
      for (const [i, plaintext] of plaintexts.entries()) {
        const place = [...places.subarray(2 * i, 2 * i + 2)];
        total += place[1]!;
        const opened = await unsealAt(pack, place, plaintext, levels[i]!);
        expect(Buffer.isBuffer(opened) && opened.equals(plaintext), `${i}`).toBe(true);
      }
    }
    // Nothing lies between them: offsets are not stored in a pack.
    expect(pack.length).toBe(total);
  });

  it("put nothing into the pack that is not what its ID says, small or large, and everything else", async () => {
    const file = await open();
    const lengths = [10, 400_000, 70_000, 20, 2_000_000, 262_144, 262_143, 5, 1_000_000, 0];
    const plaintexts = lengths.map((length, i) => (i % 2 ? text(length) : randomBytes(length)));
    const wrong = [1, 3, 5, 8];
    const ids = Buffer.concat(
      plaintexts.map((plaintext, i) =>
        createHash("sha256")
          .update(wrong.includes(i) ? "something else" : plaintext)
          .digest(),
      ),
    );
    const levels = Int32Array.from(lengths, (length, i) => (i % 3 === 0 || length === 0 ? STORED : 3));
    const hops = Array.from({ length: 4 }, () =>
      addon.packFileSeal(file, key, plaintexts, levels, true, ids),
    );
    const places = (await Promise.all(hops)).flatMap((hop) => [...hop]);
    const id = await addon.packFileFinish(file, 0o600, true);
    await addon.packFileCommit(file, pathOf("pack"));
    const pack = readFileSync(join(folder, "pack"));
    expect(createHash("sha256").update(pack).digest().equals(id)).toBe(true);
    let total = 0;
    for (let place = 0; place < places.length / 2; place++) {
      const i = place % lengths.length;
      const [offset, length] = places.slice(2 * place, 2 * place + 2) as [number, number];
      total += length;
      if (wrong.includes(i)) expect(length).toBe(0);
      else {
        const opened = await unsealAt(pack, [offset, length], plaintexts[i]!, levels[i]!);
        expect(plaintexts[i]!.equals(opened as Buffer)).toBe(true);
      }
    }
    expect(total).toBe(pack.length);
  });

  it("leave nothing of what is discarded or collected, and refuse it afterwards", async () => {
    const file = await open();
    await addon.packFileAppend(file, [randomBytes(1000)]);
    await addon.packFileDiscard(file);
    await addon.packFileDiscard(file);
    expect(readdirSync(folder)).toEqual([]);
    const levels = Int32Array.of(3);
    const closed = { code: "EBADF" };
    await expect(addon.packFileAppend(file, [randomBytes(1)])).rejects.toMatchObject(closed);
    await expect(
      addon.packFileSeal(file, key, [randomBytes(1)], levels, false, undefined),
    ).rejects.toMatchObject(closed);
    await expect(addon.packFileLoad(file)).rejects.toMatchObject(closed);
    await expect(addon.packFileFinish(file, 0o400, true)).rejects.toMatchObject(closed);
    await expect(addon.packFileCommit(file, pathOf("x"))).rejects.toMatchObject(closed);
  });

  it("take nothing more when finished, and keep the file when its name cannot be given", async () => {
    const file = await open();
    await addon.packFileAppend(file, [Buffer.from("kept")]);
    await expect(addon.packFileCommit(file, pathOf("early"))).rejects.toMatchObject({ code: "EBADF" });
    await addon.packFileFinish(file, 0o400, true);
    await expect(addon.packFileAppend(file, [Buffer.from("x")])).rejects.toMatchObject({ code: "EBADF" });
    const lost = addon.packFileCommit(file, pathOf("missing/pack"));
    await expect(lost).rejects.toMatchObject({ code: "ENOENT", syscall: "rename" });
    expect((await addon.packFileLoad(file)).toString()).toBe("kept");
    mkdirSync(join(folder, "found"));
    await addon.packFileCommit(file, pathOf("found/pack"));
    expect(readFileSync(join(folder, "found/pack"), "utf8")).toBe("kept");
  });

  it("give no name to what could not be made durable", async () => {
    const file = await open();
    await addon.packFileAppend(file, [randomBytes(1000)]);
    loseEnd(folder, 999);
    const lost = { code: "EIO" };
    await expect(addon.packFileFinish(file, 0o400, true)).rejects.toMatchObject(lost);
    await expect(addon.packFileFinish(file, 0o400, true)).rejects.toMatchObject(lost);
    await expect(addon.packFileLoad(file)).rejects.toMatchObject(lost);
    await expect(addon.packFileCommit(file, pathOf("short"))).rejects.toMatchObject(lost);
    await addon.packFileDiscard(file);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("work in a worker that ends with a file open and a hop under way", async () => {
    const addonPath =
      process.env["YORE_ADDON"] || join(import.meta.dirname, "../../native/build/Release/yore.node");
    const worker = new Worker(
      `const addon = require(${JSON.stringify(addonPath)});
       const { parentPort } = require("node:worker_threads");
       addon.packFileOpen(Buffer.from(${JSON.stringify(folder)}), "x", 0o600).then((file) => {
         const key = addon.createMasterKey(new Uint8Array(32), new Uint8Array(16), new Uint8Array(16));
         const bytes = [require("node:crypto").randomBytes(2_000_000)];
         addon.packFileSeal(file, key, bytes, Int32Array.of(19), true).catch(() => {});
         parentPort.postMessage("under way");
       });`,
      { eval: true },
    );
    await new Promise((resolve) => worker.once("message", resolve));
    await worker.terminate();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("say what is wrong with a folder, a name, a handle, places", async () => {
    const missing = addon.packFileOpen(pathOf("missing"), "x", 0o600);
    await expect(missing).rejects.toMatchObject({ code: "ENOENT", syscall: "open" });
    for (const name of ["", "a/b", "a\0b"])
      expect(() => addon.packFileOpen(Buffer.from(folder), name, 0o600), name).toThrow(/temporaryName/);
    expect(() => addon.packFileOpen(Buffer.from(folder), "x", 0o10000)).toThrow(/mode/);
    const file = await open();
    for (const wrong of [undefined, {}, 5, key] as unknown[] as PackFileHandle[])
      expect(() => addon.packFileAppend(wrong, []), typeof wrong).toThrow(/file/);
    const seal = (places: number[], levels = 1) =>
      addon.packFileSealParts(
        file,
        key,
        Buffer.alloc(10),
        Uint32Array.from(places),
        new Int32Array(levels).fill(3),
        true,
        undefined,
      );
    expect(() => seal([0])).toThrow(/places/);
    expect(() => seal([0, 11])).toThrow(/places/);
    expect(() => seal([11, 0])).toThrow(/places/);
    expect(() => seal([0xffffffff, 0xffffffff])).toThrow(/places/);
    expect(() => seal([0, 10], 2)).toThrow(/levels/);
    expect(() => addon.packFileCommit(file, Buffer.from("name"))).toThrow(/path/);
    expect(await addon.packFileAppend(file, [])).toBe(0);
  });
});
