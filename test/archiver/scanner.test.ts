import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type FileRecord, isDirectory, isRegularFile, isSocket } from "../../src/archiver/file-record.js";
import { createNativeScanner } from "../../src/archiver/native-scanner.js";
import { NodeBuilder } from "../../src/archiver/node-builder.js";
import { createPortableScanner } from "../../src/archiver/portable-scanner.js";
import { type RawPath, rawPath } from "../../src/archiver/raw-path.js";
import type { MatchedDirectory } from "../../src/archiver/scanner.js";
import { type Id, IdList } from "../../src/bytes/id.js";
import { encodeTree } from "../../src/format/tree.js";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { testScanner } from "../suites/scanner-suite.js";
import { makeZoo } from "../support/make-zoo.js";
import { temporaryFolder } from "../support/temporary.js";

testScanner(createPortableScanner);

const addon = loadAddon();
if (addon) testScanner(() => createNativeScanner(addon));
else describe("native scanner", () => it.skip(`${addonProblem()}`));

describe.skipIf(!addon)("scanAgainst", () => {
  const scanner = createNativeScanner(addon!);
  const nodes = new NodeBuilder(scanner, { withAtime: false });
  let zoo: string;

  beforeAll(async () => {
    zoo = join(await temporaryFolder(), "zoo");
    await makeZoo(zoo);
    mkdirSync(join(zoo, "ünïcode"));
    writeFileSync(join(zoo, "ünïcode/日本 語"), "x");
  });

  /** A blob as a backup writes it, with made-up content and subtrees. */
  const encode = async (path: RawPath) => {
    const entries = ((await scanner.scanDirectory(path)) as FileRecord[]).filter(
      ({ stat }) => !isSocket(stat),
    );
    const contents: Uint8Array[] = [];
    const directories: { name: string; tree: Uint8Array }[] = [];
    let bytes = 0;
    const tree = encodeTree(
      entries.map((entry, i) => {
        const node = nodes.build(entry.name, entry);
        const id = Buffer.alloc(32, i + 1);
        if (isDirectory(entry.stat)) {
          directories.push({ name: entry.name, tree: id });
          return { ...node, subtree: id as Uint8Array as Id };
        }
        if (!isRegularFile(entry.stat)) return node;
        bytes += entry.stat.size;
        const content = Array.from({ length: i % 3 }, (_, j) => Buffer.alloc(32, 100 + i + j));
        contents.push(...content);
        return { ...node, content: IdList.from(content) };
      }),
    );
    const files = entries.filter(({ stat }) => isRegularFile(stat)).length;
    return { tree, match: { files, bytes, contents: Buffer.concat(contents), directories } };
  };

  const match = async (path: RawPath, tree: Uint8Array) => {
    const found = await scanner.scanAgainst!(path, tree);
    if (Array.isArray(found)) return undefined;
    const { contents, ...rest } = found as MatchedDirectory;
    return { ...rest, contents: Buffer.from(contents.bytes) };
  };

  for (const folder of [
    "contents",
    "contents/deep/er",
    "special",
    "times",
    "ünïcode",
    "contents/empty folder",
  ]) {
    it(`knows ${folder} again, and gives what is in it`, async () => {
      const path = rawPath(join(zoo, folder));
      const { tree, match: expected } = await encode(path);
      expect(await match(path, tree)).toEqual(expected);
    });
  }

  it.skipIf(process.getuid?.() !== 0)("knows owners, devices and attributes again", async () => {
    const path = rawPath(join(zoo, "owned"));
    const { tree, match: expected } = await encode(path);
    expect(tree.toString()).toContain("extended_attributes");
    expect(await match(path, tree)).toEqual(expected);
  });

  it("knows moments again that share their second with others, or come back to it", async () => {
    const path = rawPath(join(zoo, "moments"));
    mkdirSync(join(zoo, "moments"));
    const moments = [1.5, 1, 1.000000001, 2.9, 1.12, -1.5, 1.999999999, 1_000_000_000, 2];
    for (const [i, moment] of moments.entries()) {
      const file = join(zoo, "moments", String(i));
      writeFileSync(file, "");
      execFileSync("touch", ["-d", `@${moment.toFixed(9)}`, file]);
    }
    const { tree, match: expected } = await encode(path);
    expect(tree.toString().match(/:01\.000000001/g)).toHaveLength(2);
    expect(await match(path, tree)).toEqual(expected);
  });

  it("leaves names that a tree quotes, and link targets beyond ASCII, to the decoder", async () => {
    for (const folder of ["names", "links"]) {
      const path = rawPath(join(zoo, folder));
      const { tree } = await encode(path);
      const found = (await scanner.scanAgainst!(path, tree)) as FileRecord[];
      expect(found.map(({ name }) => name)).toEqual(
        ((await scanner.scanDirectory(path)) as FileRecord[]).map(({ name }) => name),
      );
    }
  });

  it("takes no blob for the directory that differs in a byte, but for the IDs it has from there", async () => {
    for (const folder of ["special", "times", "ünïcode", "contents"]) {
      const path = rawPath(join(zoo, folder));
      const { tree, match: expected } = await encode(path);
      const ids = [...tree.toString("latin1").matchAll(/[0-9a-f]{64}/g)].map(({ index }) => index);
      for (let at = 0; at < tree.length; at++) {
        const isInId = ids.some((id) => at >= id && at < id + 64);
        const changed = Buffer.from(tree);
        changed[at]! ^= isInId ? 1 : 0x21;
        const found = await match(path, changed);
        if (found !== undefined) {
          expect(isInId, `byte ${at}: ${tree.subarray(at - 20, at + 20)}`).toBe(true);
          expect(found).not.toEqual(expected);
        }
      }
      expect(await match(path, tree.subarray(0, -1))).toBeUndefined();
      expect(await match(path, Buffer.concat([tree, Buffer.from(" ")]))).toBeUndefined();
      expect(await match(path, Buffer.alloc(0))).toBeUndefined();
    }
  });

  it("takes no blob for the directory whose owners have other names by now", async () => {
    const path = rawPath(join(zoo, "contents"));
    const { tree } = await encode(path);
    const user = scanner.userName(process.getuid!());
    const other = Buffer.from(
      tree.toString("latin1").replaceAll(`"user":"${user}"`, '"user":"nobody-else"'),
      "latin1",
    );
    expect(await match(path, other)).toBeUndefined();
  });

  it("fails with the system's error for what is no directory", async () => {
    const scan = (name: string) => scanner.scanAgainst!(rawPath(join(zoo, name)), Buffer.from("{}"));
    await expect(scan("nothing")).rejects.toMatchObject({ code: "ENOENT" });
    await expect(scan("contents/text")).rejects.toMatchObject({ code: "ENOTDIR" });
  });
});
