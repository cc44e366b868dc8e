import { createHash, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatPosixAcl } from "../../src/commands/posix-acl.js";
import { tarHeaders } from "../../src/commands/tar-writer.js";
import { ZipWriter } from "../../src/commands/zip-writer.js";
import { node } from "../repository/support.js";
import { run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/** What Python's tarfile reads in the headers of one entry. */
async function readTarHeader(headers: Buffer): Promise<Record<string, unknown>> {
  const path = join(await temporaryFolder(), "headers.tar");
  await writeFile(path, headers);
  const program = `
import json, sys, tarfile
m = tarfile.open(sys.argv[1], errors="surrogateescape").next()
print(json.dumps({"name": list(m.name.encode("utf-8", "surrogateescape")), "size": m.size, "mtime": m.mtime, "uid": m.uid,
  "link": m.linkname, "type": m.type.decode(), "mode": m.mode, "user": m.uname, "pax": sorted(m.pax_headers)}))`;
  const { stdout, stderr } = await run("python3", ["-c", program, path]);
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe("tarHeaders", () => {
  it("says everything that does not fit a ustar header in records", async () => {
    const deep = Buffer.from(`${"long name/".repeat(60)}file`);
    const file = node("file", {
      mode: 0o644 + (1 << 23),
      mtime: { seconds: -2, nanoseconds: 500_000_000, zoneMinutes: 0 },
      uid: 4_000_000_000,
      user: "a user whose name is longer than thirty-two bytes",
      extendedAttributes: [{ name: "user.a", value: Buffer.from([0, 255, 10]) }],
    });
    expect(await readTarHeader(tarHeaders({ path: deep, node: file, size: 9 * 2 ** 40 }))).toEqual({
      name: [...deep],
      size: 9 * 2 ** 40,
      mtime: -1.5,
      uid: 4_000_000_000,
      link: "",
      type: "0",
      mode: 0o4644,
      user: "a user whose name is longer than thirty-two bytes",
      pax: ["SCHILY.xattr.user.a", "mtime", "path", "size", "uid", "uname"],
    });
  });

  it("writes names as bytes, and a plain entry without records", async () => {
    const path = Buffer.from([0x61, 0xff, 0x62]);
    expect(await readTarHeader(tarHeaders({ path, node: node("a"), size: 0 }))).toMatchObject({
      name: [...path],
    });
    const plain = node("link", {
      type: "symlink",
      linkTarget: Buffer.from("to"),
      mtime: { seconds: 1, nanoseconds: 0, zoneMinutes: 0 },
    });
    const headers = tarHeaders({ path: Buffer.from("link"), node: plain, size: 0 });
    expect(headers.length).toBe(512);
    expect(await readTarHeader(headers)).toMatchObject({ link: "to", type: "2", mtime: 1, pax: [] });
  });
});

describe("formatPosixAcl", () => {
  it("writes a list as getfacl does", () => {
    const entry = (tag: number, permissions: number, id = 0xffff_ffff) => {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt16LE(tag, 0);
      bytes.writeUInt16LE(permissions, 2);
      bytes.writeUInt32LE(id, 4);
      return bytes;
    };
    const list = [entry(1, 6), entry(2, 4, 1000), entry(4, 5), entry(16, 7), entry(32, 0)];
    const bytes = Buffer.concat([Buffer.from([2, 0, 0, 0]), ...list]);
    expect(formatPosixAcl(bytes)).toBe("user::rw-\nuser:1000:r--\ngroup::r-x\nmask::rwx\nother::---\n");
    expect(formatPosixAcl(bytes.subarray(1))).toBeUndefined();
  });
});

describe("ZipWriter", () => {
  it("puts together what was compressed piece by piece, also when fewer pieces come than were promised", async () => {
    const written: Uint8Array[] = [];
    // A sink that takes its time, and must find the bytes as they were.
    const writer = new ZipWriter(async (bytes) => {
      await new Promise(setImmediate);
      written.push(Buffer.from(bytes));
    });
    const text = Buffer.from("some text that comes again. ".repeat(40_000));
    const noise = randomBytes(300_000);
    const tiny = Buffer.from("a");
    const contents = { mixed: [text, noise, text, tiny], noise: [noise], text: [text], tiny: [tiny] };
    for (const [name, pieces] of Object.entries(contents)) {
      const size = pieces.reduce((sum, { length }) => sum + length, 0);
      writer.begin({ path: Buffer.from(name), node: node(name), size });
      for (const piece of pieces) writer.content(piece, piece === noise);
      writer.end();
    }
    writer.begin({ path: Buffer.from("short"), node: node("short"), size: 1_000_000 });
    writer.content(text, false);
    writer.end();
    await writer.finish();
    const path = join(await temporaryFolder(), "pieces.zip");
    await writeFile(path, Buffer.concat(written));
    expect((await run("unzip", ["-tqq", path])).stdout).toBe("");
    const program = `
import hashlib, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
for i in z.infolist(): print(i.filename, i.compress_size < i.file_size / 10, hashlib.sha256(z.read(i)).hexdigest())`;
    const hash = (pieces: Buffer[]) => createHash("sha256").update(Buffer.concat(pieces)).digest("hex");
    const lines = (await run("python3", ["-c", program, path])).stdout.trim().split("\n");
    expect(lines).toEqual([
      `mixed False ${hash(contents.mixed)}`,
      `noise False ${hash(contents.noise)}`,
      `text True ${hash(contents.text)}`,
      `tiny False ${hash(contents.tiny)}`,
      `short True ${hash([text])}`,
    ]);
  });

  it("refuses a path that the format has no room for, and takes the longest that it has", async () => {
    const zip = new ZipWriter(() => Promise.resolve());
    await zip.begin({ path: Buffer.alloc(65_535, "a/"), node: node("a"), size: 0 });
    await zip.end();
    await zip.finish();
    const begin = () => zip.begin({ path: Buffer.alloc(65_536, "a/"), node: node("a"), size: 0 });
    expect(begin).toThrow(/^Cannot put "a\/a\/.*its path has 65536 bytes/);
  });

  it("fails with what the sink fails with, whoever waits", async () => {
    const writer = new ZipWriter(() => Promise.reject(new Error("no room")));
    writer.begin({ path: Buffer.from("a"), node: node("a"), size: 1 });
    await expect(writer.content(Buffer.from("x"), false)).rejects.toThrow("no room");
    await expect(writer.finish()).rejects.toThrow("no room");
  });

  it("writes more entries than fit without Zip64", async () => {
    const pieces: Uint8Array[] = [];
    const writer = new ZipWriter((bytes) => void pieces.push(Buffer.from(bytes)));
    const count = 70_000;
    const empty = node("file");
    for (let i = 0; i < count; i++) {
      await writer.begin({ path: Buffer.from(`f${i}`), node: empty, size: 0 });
      await writer.end();
    }
    await writer.finish();
    const path = join(await temporaryFolder(), "many.zip");
    await writeFile(path, Buffer.concat(pieces));
    const program =
      "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(len(z.namelist()), z.testzip())";
    expect((await run("python3", ["-c", program, path])).stdout).toBe(`${count} None\n`);
  }, 60_000);
});
