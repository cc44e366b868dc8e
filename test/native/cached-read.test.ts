import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { beforeEach, describe, expect, it } from "vitest";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { temporaryFolder } from "../support/temporary.js";

const addon = loadAddon()!;

describe.skipIf(addonProblem() !== undefined)("readCached of the addon", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  const read = (name: string, maxBytes = 65_536) =>
    addon.readCached(Buffer.from(join(folder, name)), maxBytes);

  /** Whether this kernel and this file system can tell what is in memory: elsewhere all answers are `undefined`. */
  function canTell(): boolean {
    writeFileSync(join(folder, "probe"), "probe");
    return read("probe") !== undefined;
  }

  it("gives a small file that was just written, as it is", () => {
    if (!canTell()) return;
    for (const size of [0, 1, 4096, 65_536]) {
      const content = randomBytes(size);
      writeFileSync(join(folder, `${size}`), content);
      expect(read(`${size}`)?.equals(content), String(size)).toBe(true);
    }
  });

  it("leaves all else to others: larger, missing, a folder, a link", () => {
    writeFileSync(join(folder, "large"), randomBytes(65_537));
    writeFileSync(join(folder, "file"), "12345");
    mkdirSync(join(folder, "folder"));
    symlinkSync("file", join(folder, "link"));
    for (const name of ["large", "missing", "folder", "link", "file/below"])
      expect(read(name), name).toBeUndefined();
    expect(read("file", 4)).toBeUndefined();
    expect(addon.readCached(Buffer.from(join(folder, "large")), 1_000_000)).toBeUndefined();
  });

  it("leaves the time of the last access alone", () => {
    const path = join(folder, "file");
    writeFileSync(path, "content");
    utimesSync(path, 1, 2);
    read("file");
    expect(statSync(path).atimeMs).toBe(1000);
    expect(readFileSync(path, "utf8")).toBe("content");
  });

  it("works in a worker, and says what is wrong with its arguments", async () => {
    const wrong = addon.readCached as (...args: unknown[]) => unknown;
    expect(() => wrong("path", 1)).toThrow();
    expect(() => wrong(Buffer.from("a\0b"), 1)).toThrow(/zero bytes/);
    expect(() => wrong(Buffer.from("a"), -1)).toThrow(/maxBytes/);
    writeFileSync(join(folder, "file"), "content");
    const source = `
      const { parentPort, workerData } = require("node:worker_threads");
      const bytes = require(workerData.addon).readCached(Buffer.from(workerData.path), 100);
      parentPort.postMessage(bytes === undefined ? "" : Buffer.from(bytes).toString());
    `;
    const native = join(import.meta.dirname, "../../native/build/Release/yore.node");
    const workerData = { addon: process.env["YORE_ADDON"] ?? native, path: join(folder, "file") };
    const said = await new Promise((resolve, reject) => {
      const worker = new Worker(source, { eval: true, workerData });
      worker.on("message", resolve);
      worker.on("error", reject);
    });
    expect(said).toBe(canTell() ? "content" : "");
  });
});
