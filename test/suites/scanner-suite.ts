import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { lstatSync, openSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type FileRecord, isRegularFile, isUnreadable } from "../../src/archiver/file-record.js";
import { joinRaw, pathBuffer, rawPath } from "../../src/archiver/raw-path.js";
import type { Scanner } from "../../src/archiver/scanner.js";
import { holdLease } from "../support/lease.js";
import { makeZoo } from "../support/make-zoo.js";
import { temporaryFolder } from "../support/temporary.js";
import { itWhere } from "../support/where.js";

/** What every scanner must do. */
export function testScanner(createScanner: () => Scanner): void {
  const scanner = createScanner();

  describe(`${scanner.name} scanner`, () => {
    let zoo: string;

    beforeAll(async () => {
      zoo = join(await temporaryFolder(), "zoo");
      await makeZoo(zoo);
    });

    for (const folder of ["contents", "names", "links", "special", "times"]) {
      it(`sees everything in ${folder} as lstat does, sorted by bytes`, async () => {
        const path = rawPath(join(zoo, folder));
        const entries = (await scanner.scanDirectory(path)) as FileRecord[];
        const names = readdirSync(join(zoo, folder), { encoding: "latin1" as never }) as string[];
        expect(entries.map((entry) => entry.name)).toEqual(names.sort());
        for (const { name, stat } of entries) {
          const expected = lstatSync(pathBuffer(joinRaw(path, name)), { bigint: true });
          expect(BigInt(stat.mode), name).toBe(expected.mode);
          expect([stat.ino, stat.dev, stat.rdev]).toEqual([expected.ino, expected.dev, expected.rdev]);
          expect([stat.uid, stat.gid, stat.links, stat.size, stat.blocks].map(BigInt)).toEqual([
            expected.uid,
            expected.gid,
            expected.nlink,
            expected.size,
            expected.blocks,
          ]);
          const { mtime, ctime } = stat;
          expect(BigInt(mtime.seconds) * 10n ** 9n + BigInt(mtime.nanoseconds)).toBe(expected.mtimeNs);
          expect(BigInt(ctime.seconds) * 10n ** 9n + BigInt(ctime.nanoseconds)).toBe(expected.ctimeNs);
        }
      });
    }

    it("reads where links lead, byte by byte", async () => {
      const entries = (await scanner.scanDirectory(rawPath(join(zoo, "links")))) as FileRecord[];
      const targets = Object.fromEntries(
        entries.map(({ name, linkTarget }) => [name, linkTarget?.toString("latin1")]),
      );
      expect(targets).toMatchObject({
        broken: "/nowhere/at/all",
        "odd target": "target\xff",
        first: undefined,
      });
    });

    it("fails with the system's error for what is no directory, a link to one included", async () => {
      const scan = (name: string) => scanner.scanDirectory(rawPath(join(zoo, name)));
      await expect(scan("nothing")).rejects.toMatchObject({ code: "ENOENT" });
      await expect(scan("links/first")).rejects.toMatchObject({ code: "ENOTDIR" });
      await expect(scan("links/folder")).rejects.toThrow();
    });

    it("follows the path itself only when it is told to", async () => {
      const path = rawPath(join(zoo, "links/folder"));
      const link = (await scanner.statPath(path)) as FileRecord;
      const folder = (await scanner.statPath(path, { follow: true })) as FileRecord;
      expect([link.linkTarget?.toString(), folder.linkTarget]).toEqual(["../contents", undefined]);
      expect((await scanner.scanDirectory(path, { follow: true })).length).toBeGreaterThan(3);
      expect(isUnreadable(await scanner.statPath(rawPath(join(zoo, "nothing"))))).toBe(true);
    });

    it("looks at many paths, each on its own, in their order", async () => {
      const names = ["contents/text", "nothing", "links/folder", "no\0path", "contents/text"];
      const paths = [...names.map((name) => rawPath(join(zoo, name))), rawPath("")];
      const entries = await scanner.statPaths(paths, { attributes: false });
      expect(entries.map((entry) => entry.name)).toEqual(paths);
      expect(entries.map(isUnreadable)).toEqual([false, true, false, true, false, true]);
      expect(entries[1]).toMatchObject({ error: { code: "ENOENT" } });
      expect(entries[5]).toMatchObject({ error: { code: "ENOENT" } });
      expect((entries[2] as FileRecord).linkTarget?.toString()).toBe("../contents");
      expect((entries[4] as FileRecord).stat.ino).toBe((entries[0] as FileRecord).stat.ino);
      expect(await scanner.statPaths([])).toEqual([]);
    });

    it("reads small files whole and tells why others are not read", async () => {
      symlinkSync("text", join(zoo, "contents/link to text"));
      const names = ["contents/text", "contents/empty", "contents/large", "contents/link to text", "nothing"];
      const files = [...names, "special/fifo"].map((name) => ({
        path: rawPath(join(zoo, name)),
        size: 100_000,
      }));
      const into = Buffer.alloc(files.length * 100_001);
      const [text, empty, large, link, nothing, fifo] = await scanner.readSmallFiles(files, into);
      const content = readFileSync(join(zoo, "contents/text"));
      expect(text).toMatchObject({ content, stat: { size: content.length } });
      expect(empty).toMatchObject({ content: Buffer.alloc(0) });
      expect(large).toMatchObject({ content: undefined, stat: { size: 5_000_000 } });
      expect(link).toMatchObject({ error: { code: "ELOOP" } });
      expect(nothing).toMatchObject({ error: { code: "ENOENT" } });
      // A FIFO without a writer must not make anybody wait.
      expect(fifo).toMatchObject({ content: undefined });
      expect(isRegularFile((fifo as { stat: FileRecord["stat"] }).stat)).toBe(false);
    });

    itWhere(process.platform === "linux")("waits for who has a lease on a file", async () => {
      const path = join(await temporaryFolder(), "file");
      writeFileSync(path, "content");
      await holdLease(path);
      const [read] = await scanner.readSmallFiles([{ path: rawPath(path), size: 7 }], Buffer.alloc(8));
      expect(read).toMatchObject({ content: Buffer.from("content") });
    });

    it("hashes small files of all sizes, in whatever company they are read", async () => {
      const folder = await temporaryFolder();
      const sizes = [
        ...Array(30).keys(),
        200_000,
        1,
        70_000,
        70_000,
        70_000,
        0,
        300_000,
        63,
        64,
        65,
        130_000,
      ];
      const contents = sizes.map((size) => randomBytes(size));
      const files = contents.map((content, i) => {
        writeFileSync(join(folder, `${i}`), content);
        return { path: rawPath(join(folder, `${i}`)), size: content.length };
      });
      // One that is not there takes no hash from the others.
      files.splice(33, 0, { path: rawPath(join(folder, "nothing")), size: 10 });
      const expected = [...contents.slice(0, 33), undefined, ...contents.slice(33)];
      const into = Buffer.alloc(files.reduce((sum, { size }) => sum + size + 1, 0));
      const read = await scanner.readSmallFiles(files, into);
      for (const [i, content] of expected.entries()) {
        const one = read[i]!;
        if (!content) expect(one).toMatchObject({ error: { code: "ENOENT" } });
        else if ("error" in one) throw one.error;
        else {
          expect(one.content).toEqual(content);
          const hash = createHash("sha256").update(content).digest();
          if (content.length > 0) expect(Buffer.from(one.id!).toString("hex")).toBe(hash.toString("hex"));
          else expect(one.id).toBeUndefined();
        }
      }
    });

    it("knows the names of users and groups, and of the unknown that they have none", () => {
      const id = (flag: string) => execFileSync("id", [flag, "-n"]).toString().trim();
      expect(scanner.userName(process.getuid!())).toBe(id("-u"));
      expect(scanner.groupName(process.getgid!())).toBe(id("-g"));
      expect([scanner.userName(3_999_999), scanner.groupName(3_999_999)]).toEqual(["", ""]);
    });

    it("says where data begins behind a hole, or that it cannot tell", () => {
      const path = join(zoo, "contents/islands");
      const found = scanner.seekData(openSync(path, "r"), 200_000);
      // What cannot tell holes answers with the offset.
      expect(found === 200_000 || (found! > 200_000 && found! <= 3_000_000)).toBe(true);
    });

    itWhere(scanner.readsAttributes)("reads attributes in the kernel's order", async () => {
      const path = join(zoo, "owned/attributes");
      const record = (await scanner.statPath(rawPath(path))) as FileRecord;
      const listed = execFileSync("getfattr", ["-d", "-m", "-", "--absolute-names", path]).toString();
      for (const { name, value } of record.attributes)
        expect(listed).toContain(value?.length ? `${name}="${Buffer.from(value)}"` : name);
      expect(record.attributes.length).toBe(listed.split("\n").filter((line) => /^[a-z]/.test(line)).length);
    });
  });
}
