/**
 * Trees, snapshots, indexes and configs that the real restic wrote: decoded and encoded again, each must come out byte for
 * byte. The repositories are of version 1, whose blobs are not compressed, so that Node's own crypto is enough to read them.
 */

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { idFromBytes } from "../../src/bytes/id.js";
import { decodeConfig, encodeConfig } from "../../src/format/config.js";
import { decodeIndexFile, encodeIndexFile, type IndexedPack } from "../../src/format/index-file.js";
import { decodeKeyFile, encodeKeyFile } from "../../src/format/key-file.js";
import type { PackedBlob } from "../../src/format/pack-header.js";
import { isPrintable } from "../../src/format/printable.js";
import { decodeSnapshot, encodeSnapshot } from "../../src/format/snapshot.js";
import { decodeTree, encodeTree } from "../../src/format/tree.js";
import {
  keyFiles,
  plainBlobs,
  plainConfig,
  plainIndexes,
  plainSnapshots,
} from "../format/plain-repository.js";
import { missingPeer, peer, runRestic } from "../support/run.js";

const PASSWORD = "geheim";
/** Dates from 1901 on, which is as far back as ext4 goes, and beyond 2038. */
const SECONDS = [-2_000_000_000, -1, 0, 1, 951_782_400, 1_700_000_000.5, 2 ** 31, 2 ** 33];
const ODD_TARGETS = ["\b\f\n\r\t\v\x1b\x7f", "<>&\"'\\", "\u2028\u2029\ufffd", "é€😀"];

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "yore-tree-bytes-"));
  const zoo = join(folder, "zoo");
  mkdirSync(zoo);
  makeNames(zoo);
  for (const [i, target] of ODD_TARGETS.entries()) symlinkSync(target, join(zoo, `link${i}`));
  symlinkSync(Buffer.from("bad\xe2\x82target\xff", "latin1"), join(zoo, "link-bad"));
  for (const seconds of SECONDS) {
    const path = join(zoo, `time${seconds}`);
    writeFileSync(path, "x");
    utimesSync(path, seconds, seconds);
  }
  mkdirSync(join(zoo, "empty"));
  mkdirSync(join(zoo, "sticky"), { mode: 0o1777 });
  execFileSync("mkfifo", [join(zoo, "fifo")]);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A name for each boundary of the table of printable code points, for all of Latin, and for much that is no UTF-8. */
function makeNames(directory: string): void {
  const prefix = Buffer.from(`${directory}/`);
  const make = (name: Buffer) => writeFileSync(Buffer.concat([prefix, name]), "");
  for (let code = 1; code <= 0x10ffff; code++) {
    const surrogate = code >= 0xd7ff && code <= 0xe000;
    if (surrogate || (code >= 0x250 && isPrintable(code) === isPrintable(code - 1))) continue;
    for (const point of [code - 1, code]) {
      if (point !== 0x2f && point !== 0)
        make(Buffer.from(`${point.toString(16)}-${String.fromCodePoint(point)}`));
    }
  }
  const parts = [0x41, 0x80, 0x9f, 0xa0, 0xbf, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xff];
  for (const a of parts) for (const b of parts) for (const c of parts) make(Buffer.of(0x62, a, b, c));
}

async function backUp(name: "restic" | "restic-debian", zone: string): Promise<string> {
  const repository = join(folder, `${name}-${zone.replace("/", "-")}`);
  const options = { peer: name, env: { RESTIC_PASSWORD: PASSWORD, TZ: zone, HOME: folder } };
  const common = ["--no-cache", "-q", "-r", repository];
  expect(await runRestic([...common, "init", "--repository-version", "1"], options)).toMatchObject({
    code: 0,
  });
  const backup = await runRestic(
    [...common, "backup", "--tag", "a<b", "--exclude", "*.tmp", "--with-atime", join(folder, "zoo")],
    options,
  );
  expect(backup).toMatchObject({ code: 0 });
  return repository;
}

function decodeIndex(json: Uint8Array): IndexedPack[] {
  const packs: { packId: IndexedPack["packId"]; blobs: PackedBlob[] }[] = [];
  decodeIndexFile(json, {
    pack: (packId) => packs.push({ packId: idFromBytes(packId.slice()), blobs: [] }),
    blob: (type, id, offset, length, uncompressedLength) =>
      packs.at(-1)!.blobs.push({ type, id: idFromBytes(id.slice()), offset, length, uncompressedLength }),
  });
  return packs;
}

function expectSameFiles(repository: string): void {
  for (const json of plainSnapshots(repository, PASSWORD))
    expect(encodeSnapshot(decodeSnapshot(json)).toString()).toBe(json.toString());
  for (const json of plainIndexes(repository, PASSWORD))
    expect(encodeIndexFile(decodeIndex(json)).toString()).toBe(json.toString());
  for (const json of keyFiles(repository))
    expect(encodeKeyFile(decodeKeyFile(json)).toString()).toBe(json.toString());
  const config = plainConfig(repository, PASSWORD);
  expect(encodeConfig(decodeConfig(config)).toString()).toBe(config.toString());
}

describe.skipIf(missingPeer("restic"))("what restic wrote", () => {
  it.each(["UTC", "America/St_Johns"])("comes out byte for byte, in %s", async (zone) => {
    const repository = await backUp("restic", zone);
    let trees = 0;
    for (const { plaintext } of plainBlobs(repository, PASSWORD, "tree")) {
      expect(encodeTree(decodeTree(plaintext)).toString()).toBe(plaintext.toString());
      trees += 1;
    }
    expect(trees).toBeGreaterThan(3);
    expectSameFiles(repository);
  });
});

describe.skipIf(peer("restic-debian") === undefined)("what an old restic wrote", () => {
  it("comes out byte for byte, but for what Go has changed since", async () => {
    const repository = await backUp("restic-debian", "UTC");
    for (const { plaintext } of plainBlobs(repository, PASSWORD, "tree")) {
      const nodes = decodeTree(plaintext);
      const encoded = JSON.parse(encodeTree(nodes).toString()) as { nodes: Record<string, unknown>[] };
      const stored = JSON.parse(plaintext.toString()) as { nodes: Record<string, unknown>[] };
      // Its Go knew fewer code points, wrote \b and \f with \u, and it stored no raw link targets.
      const comparable = (node: Record<string, unknown>) => ({ ...node, name: "", linktarget_raw: "" });
      expect(encoded.nodes.map(comparable)).toEqual(stored.nodes.map(comparable));
      const again = decodeTree(encodeTree(nodes)).map(({ name }) => name);
      expect(again).toEqual(nodes.map(({ name }) => name));
    }
    expectSameFiles(repository);
  });
});
