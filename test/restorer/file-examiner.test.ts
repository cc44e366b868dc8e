import { createHash, randomBytes } from "node:crypto";
import { linkSync, mkdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { IdList, idFromBytes } from "../../src/bytes/id.js";
import { textKeepingBytes } from "../../src/bytes/utf8.js";
import { loadEngine } from "../../src/engine/load-engine.js";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import type { WantedContent } from "../../src/restorer/existing-file.js";
import { type ExamineOptions, FileExaminer } from "../../src/restorer/file-examiner.js";
import { TargetFolder } from "../../src/restorer/target-folder.js";
import { run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const engine = await loadEngine();

function wantedOf(...blobs: readonly Buffer[]): WantedContent {
  const ids = blobs.map((blob) => idFromBytes(createHash("sha256").update(blob).digest()));
  const lengths = blobs.map(({ length }) => length);
  return { content: IdList.from(ids), lengths, size: lengths.reduce((sum, length) => sum + length, 0) };
}

const WAYS = [
  ["with the addon", loadAddon()],
  ["without the addon", null],
] as const;

describe.each(WAYS)("looking at what a restore finds, %s", (_, addon) => {
  const right = randomBytes(5000);
  let folder: string;
  let examiner: FileExaminer;

  beforeEach(async (context) => {
    if (addon === undefined) context.skip(addonProblem());
    folder = await temporaryFolder();
    examiner = new FileExaminer(new TargetFolder(folder), engine, addon);
  });

  const put = (name: string, content: Buffer) => writeFileSync(join(folder, name), content);
  const examine = (name: string, wanted = wantedOf(right), options: ExamineOptions = {}) =>
    examiner.examine(`/${name}`, wanted, options);
  const matches = async (name: string, wanted = wantedOf(right)) => {
    const { existing } = await examine(name, wanted);
    return existing && { sizeMatches: existing.sizeMatches, matches: [...(existing.matches ?? [])] };
  };

  it("compares contents", async () => {
    put("right", right);
    put("wrong", randomBytes(5000));
    put("short", right.subarray(0, 4999));
    put("long", Buffer.concat([right, right]));
    put("empty", Buffer.alloc(0));
    expect(await examine("right")).toMatchObject({ kind: "file", size: 5000 });
    expect(await matches("right")).toEqual({ sizeMatches: true, matches: [1] });
    expect(await matches("wrong")).toEqual({ sizeMatches: true, matches: [0] });
    expect(await matches("short")).toEqual({ sizeMatches: false, matches: [0] });
    expect(await matches("long")).toEqual({ sizeMatches: false, matches: [1] });
    expect(await matches("empty")).toEqual({ sizeMatches: false, matches: [0] });
    expect(await matches("empty", wantedOf())).toEqual({ sizeMatches: true, matches: [] });
    expect(await matches("right", wantedOf())).toEqual({ sizeMatches: false, matches: [] });
  });

  it("compares files of many blobs, and large ones", async () => {
    const blobs = [randomBytes(100), randomBytes(600_000), randomBytes(3_000_000)];
    put("many", Buffer.concat([blobs[0]!, randomBytes(600_000), blobs[2]!]));
    expect(await matches("many", wantedOf(...blobs))).toEqual({ sizeMatches: true, matches: [1, 0, 1] });
    put("one", blobs[1]!);
    expect(await matches("one", wantedOf(blobs[1]!))).toEqual({ sizeMatches: true, matches: [1] });
  });

  it("tells what is no file, and opens none of it", async () => {
    mkdirSync(join(folder, "folder"));
    symlinkSync("/etc/hostname", join(folder, "link"));
    await run("mkfifo", [join(folder, "fifo")]);
    for (const name of ["folder", "link", "fifo"])
      expect(await examine(name)).toMatchObject({ kind: "other" });
    put("file", right);
    for (const name of ["missing", "missing/below", "file/below"])
      expect(await examine(name)).toEqual({
        kind: "nothing",
        size: 0,
        existing: undefined,
        isCompared: false,
        hasStatus: false,
      });
  });

  it("believes a time only together with the size", async () => {
    const seconds = 1_600_000_000;
    const trustTime = { seconds, nanoseconds: 0, zoneMinutes: 0 };
    put("file", randomBytes(5000));
    utimesSync(join(folder, "file"), seconds, seconds);
    const believed = { kind: "file", size: 5000, existing: { sizeMatches: true, matches: undefined } };
    expect(await examine("file", wantedOf(right), { trustTime })).toMatchObject(believed);
    const later = { ...trustTime, nanoseconds: 1 };
    const { existing } = await examine("file", wantedOf(right), { trustTime: later });
    expect([...existing!.matches!]).toEqual([0]);
    truncateSync(join(folder, "file"), 4000);
    utimesSync(join(folder, "file"), seconds, seconds);
    expect((await examine("file", wantedOf(right), { trustTime })).existing?.sizeMatches).toBe(false);
  });

  it.each([undefined, { seconds: 1_600_000_000, nanoseconds: 5, zoneMinutes: 0 }])(
    "tells which files have all that they should, with the addon (time that is believed: %o)",
    async (trustTime) => {
      const mtime = { seconds: 1_600_000_000, nanoseconds: 5, zoneMinutes: 0 };
      const atime = { seconds: -7, nanoseconds: 999_999_999, zoneMinutes: 0 };
      const status = { uid: 1234, gid: 77, mode: 0o1640, mtime, atime };
      const set = async (name: string, change: readonly string[] = []) => {
        put(name, right);
        const path = join(folder, name);
        await run("chown", ["1234:77", path]);
        await run("chmod", ["1640", path]);
        if (change[0] === "setfattr") await run("setfattr", [...change.slice(1), path]);
        await run("touch", ["-m", "-d", "@1600000000.000000005", path]);
        await run("touch", ["-a", "-d", "@-6.000000001", path]);
        if (change[0] !== undefined && change[0] !== "setfattr")
          await run(change[0], [...change.slice(1), path]);
        return (await examine(name, wantedOf(right), { status, trustTime })).hasStatus;
      };
      // Twice: looking must not change it.
      expect([await set("same"), await set("same")]).toEqual([addon !== null, addon !== null]);
      const again = await examine("same", wantedOf(right), { status, trustTime });
      expect(again.hasStatus).toBe(addon !== null);
      expect((await examine("same", wantedOf(right), { trustTime })).hasStatus).toBe(false);
      const changes = [
        ["chown", "1235"],
        ["chgrp", "78"],
        ["chmod", "0640"],
        ["touch", "-a", "-d", "@-6.000000002"],
        ["touch", "-m", "-d", "@1600000000.000000006"],
        ["setfattr", "-n", "user.x", "-v", ""],
      ];
      for (const [i, change] of changes.entries())
        expect(await set(`other-${i}`, change), change.join(" ")).toBe(false);
    },
  );

  it("counts nothing of a file with other names, unless it is right", async () => {
    put("wrong", randomBytes(5000));
    linkSync(join(folder, "wrong"), join(folder, "second"));
    expect(await examine("wrong")).toMatchObject({ kind: "file", size: 5000, existing: undefined });
    const { existing } = await examine("wrong", wantedOf(right), { linksMatter: false });
    expect([...existing!.matches!]).toEqual([0]);
    put("wrong", right);
    expect(await matches("second")).toEqual({ sizeMatches: true, matches: [1] });
  });

  it("takes names of any bytes and up to 255 of them, and fails for longer ones alone", async () => {
    const name = Buffer.concat([Buffer.from([0xff, 0xfe, 0x0a]), Buffer.alloc(252, "x")]);
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), name]), right);
    const [found, tooLong] = await Promise.allSettled([
      examine(textKeepingBytes(name)),
      examine("y".repeat(256)),
    ]);
    expect(found).toMatchObject({ status: "fulfilled", value: { kind: "file", size: 5000 } });
    expect(tooLong).toMatchObject({ status: "rejected", reason: { code: "ENAMETOOLONG" } });
  });

  it("looks at hundreds in folders by turns", async () => {
    mkdirSync(join(folder, "a"));
    mkdirSync(join(folder, "b"));
    const contents = Array.from({ length: 300 }, (_, i) => randomBytes(i));
    for (const [i, content] of contents.entries())
      put(`${"ab"[i % 2]}/${i}`, i % 3 ? content : randomBytes(i + 1));
    const found = await Promise.all(
      contents.map((content, i) => examine(`${"ab"[i % 2]}/${i}`, wantedOf(content))),
    );
    for (const [i, { size, existing }] of found.entries()) {
      expect(size).toBe(i % 3 ? i : i + 1);
      expect(existing).toEqual({
        sizeMatches: i % 3 !== 0,
        matches: Uint8Array.of(i % 3 || i === 0 ? 1 : 0),
      });
    }
  });
});
