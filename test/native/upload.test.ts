import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it } from "vitest";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { UPLOAD_OUTCOME } from "../../src/native/upload-functions.js";
import { loseEnd } from "../support/lose-end.js";
import { canRefuseCalls, runRefusing } from "../support/refuse-calls.js";
import { run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const addon = loadAddon()!;
const canRefuse = await canRefuseCalls();

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();

describe.skipIf(addonProblem() !== undefined)("upload functions of the addon", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  const open = () => addon.uploadOpen(Buffer.from(folder), 0o600);
  const pathOf = (name: string) => Buffer.from(join(folder, name));

  it("show a file only when it is whole, with the mode asked for", async () => {
    const pieces = [randomBytes(70_000), Buffer.alloc(0), randomBytes(1)];
    const upload = await open();
    for (const piece of pieces) {
      await addon.uploadAppend(upload, [piece, piece]);
      expect(readdirSync(folder)).toEqual([]);
    }
    const whole = Buffer.concat(pieces.flatMap((piece) => [piece, piece]));
    expect(await addon.uploadCommit(upload, pathOf("whole"), sha256(whole))).toBe(UPLOAD_OUTCOME.saved);
    expect(readFileSync(join(folder, "whole")).equals(whole)).toBe(true);
    expect(statSync(join(folder, "whole")).mode & 0o7777).toBe(0o600);
  });

  it("leave an existing file alone, and save nothing with a wrong hash", async () => {
    writeFileSync(join(folder, "there"), "first");
    const second = await open();
    expect(await addon.uploadCommit(second, pathOf("there"), undefined)).toBe(UPLOAD_OUTCOME.exists);
    const wrong = await open();
    await addon.uploadAppend(wrong, [Buffer.from("bytes")]);
    const outcome = await addon.uploadCommit(wrong, pathOf("wrong"), sha256(Buffer.from("others")));
    expect(outcome).toBe(UPLOAD_OUTCOME.wrongHash);
    expect(readdirSync(folder)).toEqual(["there"]);
    expect(readFileSync(join(folder, "there"), "utf8")).toBe("first");
  });

  it.skipIf(!canRefuse)("leave one name where no kernel renames without replacing", async () => {
    const built =
      process.env["YORE_ADDON"] ??
      fileURLToPath(new URL("../../native/build/Release/yore.node", import.meta.url));
    const program = `
      const addon = require(process.argv[1]);
      const path = Buffer.from(process.argv[2]);
      const save = (text) => addon.uploadWhole(path, 0o600, Buffer.from(text), undefined);
      save("first").then(async (outcome) => console.log(outcome, await save("second")));`;
    const words = ["node", "-e", program, built, join(folder, "file")].map((word) => `'${word}'`);
    const result = await runRefusing(constants.errno.EINVAL, ["renameat2"], `exec ${words.join(" ")}`);
    expect(result.stdout, result.stderr).toBe(`${UPLOAD_OUTCOME.saved} ${UPLOAD_OUTCOME.exists}\n`);
    expect(readdirSync(folder)).toEqual(["file"]);
    expect(readFileSync(join(folder, "file"), "utf8")).toBe("first");
    expect(statSync(join(folder, "file")).nlink).toBe(1);
  });

  it("give a name to one of two that arrive at once", async () => {
    const [a, b] = [await open(), await open()];
    const outcomes = await Promise.all([a, b].map((it) => addon.uploadCommit(it, pathOf("one"), undefined)));
    expect(outcomes.sort()).toEqual([UPLOAD_OUTCOME.saved, UPLOAD_OUTCOME.exists]);
  });

  it("leave nothing of what is discarded or interrupted", async () => {
    const upload = await open();
    await addon.uploadAppend(upload, [randomBytes(1000)]);
    await addon.uploadDiscard(upload);
    expect(readdirSync(folder)).toEqual([]);
    await expect(addon.uploadAppend(upload, [randomBytes(1)])).rejects.toMatchObject({ code: "EBADF" });
    await expect(addon.uploadCommit(upload, pathOf("x"), undefined)).rejects.toMatchObject({ code: "EBADF" });
  });

  it("save nothing of which a write failed", async () => {
    const addonPath =
      process.env["YORE_ADDON"] || join(import.meta.dirname, "../../native/build/Release/yore.node");
    // Node.js ignores the signal, so that the write fails as it does on a disk that is full.
    const program = `
      const addon = require(${JSON.stringify(addonPath)});
      const [folder, path] = ${JSON.stringify([folder, join(folder, "short")])}.map((text) => Buffer.from(text));
      const content = Buffer.alloc(100_000, "x");
      const id = require("node:crypto").createHash("sha256").update(content).digest();
      const codeOf = (promise) => promise.then(() => "none", ({ code }) => code);
      addon.uploadOpen(folder, 0o600).then(async (upload) => {
        const appended = await codeOf(addon.uploadAppend(upload, [content]));
        const again = await codeOf(addon.uploadAppend(upload, []));
        console.log(appended, again, await codeOf(addon.uploadCommit(upload, path, id)));
      });`;
    const child = await run("sh", ["-c", 'ulimit -f 16; exec "$0" -e "$1"', process.execPath, program]);
    expect(child).toMatchObject({ stderr: "", stdout: "EFBIG EFBIG EFBIG\n" });
    expect(readdirSync(folder)).toEqual([]);
  });

  it("save nothing of which the file system lost a part", async () => {
    const content = randomBytes(1000);
    const upload = await open();
    await addon.uploadAppend(upload, [content]);
    loseEnd(folder, 999);
    const commit = addon.uploadCommit(upload, pathOf("short"), sha256(content));
    await expect(commit).rejects.toMatchObject({ code: "EIO" });
    expect(readdirSync(folder)).toEqual([]);
  });

  it("leave no name where they cannot say that it will last", async () => {
    mkdirSync(join(folder, "gone"));
    const upload = await addon.uploadOpen(pathOf("gone"), 0o600);
    rmdirSync(join(folder, "gone"));
    const commit = addon.uploadCommit(upload, pathOf("file"), undefined);
    await expect(commit).rejects.toMatchObject({ code: "ENOENT", syscall: "fsync" });
    expect(readdirSync(folder)).toEqual([]);
  });

  it("do one thing at a time, and take the next as soon as it is done", async () => {
    const upload = await open();
    const first = addon.uploadAppend(upload, [randomBytes(1 << 20)]);
    await expect(addon.uploadAppend(upload, [randomBytes(1)])).rejects.toMatchObject({ code: "EBUSY" });
    await first;
    for (let i = 0; i < 100; i++) await addon.uploadAppend(upload, [randomBytes(1)]);
    await addon.uploadCommit(upload, pathOf("all"), undefined);
    expect(statSync(join(folder, "all")).size).toBe((1 << 20) + 100);
  });

  it("say what is wrong with a folder, a path, a handle", async () => {
    const missing = addon.uploadOpen(pathOf("missing"), 0o600);
    await expect(missing).rejects.toMatchObject({ code: "ENOENT", syscall: "open" });
    const upload = await open();
    const lost = addon.uploadCommit(upload, pathOf("missing/file"), undefined);
    await expect(lost).rejects.toMatchObject({ code: "ENOENT", syscall: "rename" });
    const commit = addon.uploadCommit as (...args: unknown[]) => Promise<number>;
    const append = addon.uploadAppend as (...args: unknown[]) => Promise<void>;
    for (const wrong of [undefined, {}, 5, Buffer.alloc(3)])
      expect(() => append(wrong, []), String(wrong)).toThrow();
    expect(() => append(upload, ["text"])).toThrow(/Uint8Array/);
    expect(() => commit(upload, pathOf("x"), Buffer.alloc(31))).toThrow(/32 bytes/);
    expect(() => commit(upload, "path", undefined)).toThrow();
    expect(() => addon.uploadOpen(Buffer.from(folder), 0o10000)).toThrow(/mode/);
  });

  it("save a small file in one hop, unless it is there or has another hash", async () => {
    const content = randomBytes(1000);
    const save = (name: string, bytes: Uint8Array, id?: Uint8Array) =>
      addon.uploadWhole(pathOf(name), 0o600, bytes, id);
    expect(await save("small", content, sha256(content))).toBe(UPLOAD_OUTCOME.saved);
    expect(readFileSync(join(folder, "small")).equals(content)).toBe(true);
    expect(statSync(join(folder, "small")).mode & 0o7777).toBe(0o600);
    expect(await save("small", Buffer.from("other"))).toBe(UPLOAD_OUTCOME.exists);
    expect(await save("wrong", content, sha256(Buffer.from("other")))).toBe(UPLOAD_OUTCOME.wrongHash);
    expect(await save("empty", Buffer.alloc(0))).toBe(UPLOAD_OUTCOME.saved);
    await expect(save("missing/file", content)).rejects.toMatchObject({ code: "ENOENT", syscall: "open" });
    expect(readdirSync(folder).sort()).toEqual(["empty", "small"]);
    const many = await Promise.all(Array.from({ length: 20 }, () => save("one", content)));
    expect(many.filter((outcome) => outcome === UPLOAD_OUTCOME.saved).length).toBe(1);
    const whole = addon.uploadWhole as (...args: unknown[]) => Promise<number>;
    expect(() => whole(pathOf("x"), 0o600, "text", undefined)).toThrow(/Uint8Array/);
    expect(() => whole(pathOf("x"), 0o600, content, Buffer.alloc(31))).toThrow(/32 bytes/);
    expect(() => whole("x", 0o600, content, undefined)).toThrow();
  });
});
