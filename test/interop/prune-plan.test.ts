/**
 * What a prune decides is what restic decides: repositories with packs of any size and any part in use, which are never
 * read because both programs only say what they would do.
 */

import { createHash } from "node:crypto";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { formatId, type Id, IdList } from "../../src/bytes/id.js";
import { encodeIndexFile, type IndexedPack } from "../../src/format/index-file.js";
import { HEADER_LENGTH_LENGTH, type PackedBlob, sealedHeaderLength } from "../../src/format/pack-header.js";
import { saveSnapshot } from "../../src/repository/snapshots.js";
import { createRepository, node, PASSWORD, saveTree, snapshotOf } from "../repository/support.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { missingPeer, runRestic, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const MIB = 1024 * 1024;

interface FakeBlob {
  readonly type: "data" | "tree";
  readonly size: number;
  readonly used: boolean;
  readonly compressed: boolean;
}

interface FakeRepository {
  readonly version: 1 | 2;
  readonly packs: readonly (readonly FakeBlob[])[];
  /** Pack files that no index file lists. */
  readonly unreferenced: number;
}

/** Lays packs out that hold nothing but zeros: what is used of them is named by one file of a snapshot. */
async function layOut({ version, packs, unreferenced }: FakeRepository): Promise<string> {
  const location = join(await temporaryFolder(), "repository");
  const repository = await createRepository({ version }, await LocalBackend.open(location));
  let serial = 0;
  const nextId = () => createHash("sha256").update(`${serial++}`).digest() as Uint8Array as Id;
  const used: Id[] = [];
  const indexed: IndexedPack[] = [];
  for (const blobs of packs) {
    let offset = 0;
    const packed = blobs.map(({ type, size, used: isUsed, compressed }): PackedBlob => {
      const id = nextId();
      if (isUsed && type === "data") used.push(id);
      const at = offset;
      offset += size;
      return {
        type,
        id,
        offset: at,
        length: size,
        uncompressedLength: compressed && version === 2 ? size * 2 : 0,
      };
    });
    const packId = nextId();
    indexed.push({ packId, blobs: packed });
    await makeSparse(location, packId, offset + sealedHeaderLength(packed) + HEADER_LENGTH_LENGTH);
  }
  for (let i = 0; i < unreferenced; i++) await makeSparse(location, nextId(), 1000 + i);
  await repository.saveFile("index", encodeIndexFile(indexed));
  const tree = await saveTree(repository, [node("file", { content: IdList.from(used) })]);
  await repository.flush();
  await saveSnapshot(repository, snapshotOf(tree));
  await repository.close();
  await makeKeyCheap(location, PASSWORD);
  return location;
}

async function makeSparse(location: string, packId: Id, size: number): Promise<void> {
  const name = formatId(packId);
  await mkdir(join(location, "data", name.slice(0, 2)), { recursive: true });
  const file = await open(join(location, "data", name.slice(0, 2), name), "w");
  await file.truncate(size);
  await file.close();
}

/** What a dry run says, without what comes and goes; IDs of packs in order. */
function essence(stdout: string): string[] {
  return stdout
    .split("\n")
    .filter(
      (line) =>
        line !== "" &&
        line !== "{}" &&
        !/^\[|^Repeated|^loading indexes|^warning: running prune without a cache/.test(line),
    )
    .map((line) => (line.startsWith("{") ? line.slice(1, -1).split(" ").sort().join(" ") : line))
    .sort();
}

async function expectSamePlan(repository: FakeRepository, flags: readonly string[] = []): Promise<string[]> {
  const location = await layOut(repository);
  const args = ["-r", location, "--no-cache", "prune", "--dry-run", "-vv", ...flags];
  const env = { RESTIC_PASSWORD: PASSWORD };
  const restic = await runRestic(args, { env });
  const yore = await runYore(args, { env });
  expect({ code: yore.code, lines: essence(yore.stdout) }).toEqual({
    code: restic.code,
    lines: essence(restic.stdout),
  });
  return essence(yore.stdout);
}

const usedData = (size: number): FakeBlob => ({ type: "data", size, used: true, compressed: true });

const anyBlob = fc.record({
  type: fc.constant("data" as const),
  size: fc.integer({ min: 100, max: 8 * MIB }),
  used: fc.boolean(),
  compressed: fc.boolean(),
});

const anyPack = fc.oneof(
  { weight: 6, arbitrary: fc.array(anyBlob, { minLength: 1, maxLength: 6 }) },
  // Trees that nobody uses, alone or beside file content.
  { weight: 1, arbitrary: fc.array(anyBlob, { minLength: 1, maxLength: 3 }).map(withTree) },
);

function withTree(blobs: readonly FakeBlob[]): FakeBlob[] {
  return [...blobs, { type: "tree", size: 500, used: false, compressed: true }];
}

const anyFlags = fc.constantFrom(
  [],
  ["--max-unused", "0"],
  ["--max-unused", "25%"],
  ["--max-unused", "20M"],
  ["--max-unused", "unlimited"],
  ["--max-repack-size", "0"],
  ["--max-repack-size", "40M"],
  ["--repack-cacheable-only"],
  ["--repack-smaller-than", "10M"],
);

describe.skipIf(missingPeer("restic"))("prune --dry-run", () => {
  it("decides as restic does, whatever the packs are like", { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(1 as const, 2 as const),
        fc.array(anyPack, { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 0, max: 2 }),
        anyFlags,
        async (version, packs, unreferenced, flags) => {
          await expectSamePlan({ version, packs, unreferenced }, flags);
        },
      ),
      { numRuns: Number(process.env["YORE_TEST_PLANS"] ?? 5) },
    );
  });

  it("repacks what is not compressed when it is told to", async () => {
    const packs = [
      [usedData(5 * MIB)],
      [{ ...usedData(5 * MIB), compressed: false }, usedData(5 * MIB)],
      [{ ...usedData(6 * MIB), compressed: false }],
    ];
    const lines = await expectSamePlan({ version: 2, packs, unreferenced: 0 }, ["--repack-uncompressed"]);
    expect(lines.some((line) => /to repack: +2 packs/.test(line))).toBe(true);
  });

  it.each([
    ["eight", 8, 0],
    ["nine", 9, 10],
  ])("leaves %s small packs and one of trees alone, or not, as restic does", async (_, count, repacked) => {
    const packs = Array.from({ length: count }, (_, i) => [usedData(MIB + i * 1000)]);
    const lines = await expectSamePlan({ version: 2, packs, unreferenced: 0 });
    expect(lines.some((line) => new RegExp(`to repack: +${repacked} packs`).test(line))).toBe(true);
  });

  it("calls small what is well below the usual size, as restic does", { timeout: 100_000 }, async () => {
    for (const count of [99, 420]) {
      const packs = Array.from({ length: count }, (_, i) => [usedData(12 * MIB + i * 1000)]);
      for (let i = 0; i < 11; i++) packs.push([usedData(9 * MIB + i * 100_000)]);
      for (let i = 0; i < 11; i++) packs.push([usedData(3 * MIB + i * 50_000)]);
      await expectSamePlan({ version: 2, packs, unreferenced: 0 });
    }
  });
});
