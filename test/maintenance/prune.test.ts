import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId, type Id, IdList } from "../../src/bytes/id.js";
import { NotFoundError } from "../../src/errors.js";
import { check } from "../../src/maintenance/check.js";
import { pruneRepository } from "../../src/maintenance/prune.js";
import { unusedLimit } from "../../src/maintenance/prune-plan.js";
import { listSnapshots, saveSnapshot } from "../../src/repository/snapshots.js";
import {
  collect,
  createRepository,
  node,
  openRepository,
  saveTree,
  snapshotOf,
  wrapBackend,
} from "../repository/support.js";

interface Plan {
  /** Blobs by number; each list is one pack. A number may come several times: then the blob has copies. */
  readonly packs: readonly (readonly number[])[];
  /** Blobs that a snapshot needs. */
  readonly used: readonly number[];
  /** Packs that vanish, as long as everything that is needed is elsewhere. */
  readonly lost: readonly number[];
}

const anyPlan = fc.record({
  packs: fc.array(fc.array(fc.nat(14), { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 12 }),
  used: fc.array(fc.nat(14), { maxLength: 8 }),
  lost: fc.array(fc.nat(11), { maxLength: 2 }),
});

/** A repository in memory with just these packs. */
async function build({ packs, used, lost }: Plan) {
  const backend = new MemoryBackend();
  const repository = await createRepository({}, backend);
  const contents = Array.from({ length: 15 }, (_, i) => randomBytes(100 + i));
  const ids = contents.map((content) => repository.engine.hash(content));
  const packIds: Id[] = [];
  const before = new Set<string>();
  for (const pack of packs) {
    for (const number of new Set(pack))
      await repository.saveBlobAgain("data", ids[number]!, contents[number]!);
    await repository.flush();
    for (const { id } of await collect(repository.listFiles("pack")))
      if (!before.has(formatId(id)) && before.add(formatId(id))) packIds.push(id);
  }
  const vanished = new Set(lost.filter((number) => number < packs.length));
  const there = new Set(packs.flatMap((pack, number) => (vanished.has(number) ? [] : pack)));
  const needed = [...new Set(used)].filter((number) => there.has(number));
  const content = IdList.from(needed.map((number) => ids[number]!));
  const size = needed.reduce((sum, number) => sum + contents[number]!.length, 0);
  const tree = await saveTree(repository, [node("file", { content, size })]);
  await repository.flush();
  await saveSnapshot(repository, snapshotOf(tree));
  for (const number of vanished) await backend.remove({ type: "pack", name: formatId(packIds[number]!) });
  return { backend, needed: needed.map((number) => [ids[number]!, contents[number]!] as const) };
}

describe("pruneRepository", () => {
  it("keeps one copy of all that is used and nothing else, whatever copies there were", async () => {
    await fc.assert(
      fc.asyncProperty(anyPlan, async (plan) => {
        const { backend, needed } = await build(plan);
        const options = { maxUnused: { kind: "bytes", bytes: 0 } } as const;
        await pruneRepository(await openRepository(backend), options);
        const repository = await openRepository(backend);
        for (const [id, content] of needed) {
          expect(Buffer.from(await repository.loadBlob("data", id))).toEqual(content);
          expect(repository.index.lookupAll("data", id)).toHaveLength(1);
        }
        expect(repository.index.size).toBe(needed.length + 1);
        expect((await check(repository, { readData: { kind: "all" }, findUnused: true })).errors).toBe(0);
        const again = await pruneRepository(repository, options);
        expect(again.statistics.blobs).toMatchObject({ duplicate: 0, unused: 0, repack: 0, remove: 0 });
      }),
      { numRuns: 40 },
    );
  });

  it("counts snapshots that it is to ignore as gone, in a dry run", async () => {
    const { backend } = await build({ packs: [[1, 2, 3]], used: [1, 2], lost: [] });
    const repository = await openRepository(backend);
    const [snapshot] = await listSnapshots(repository);
    const { statistics } = await pruneRepository(repository, {
      dryRun: true,
      ignoreSnapshots: [snapshot!.id],
    });
    expect(statistics.blobs.used).toBe(0);
    expect(await collect(repository.listFiles("pack"))).toHaveLength(2);
  });

  it("refuses when a blob that is used is in no index file, and changes nothing", async () => {
    const { backend } = await build({ packs: [[1], [2]], used: [1], lost: [] });
    const repository = await openRepository(backend);
    await saveSnapshot(repository, snapshotOf(randomBytes(32) as Uint8Array as Id));
    const before = await collect(repository.listFiles("pack"));
    await expect(pruneRepository(repository)).rejects.toThrow("index is not complete");
    expect(await collect(repository.listFiles("pack"))).toEqual(before);
  });

  it("refuses when a snapshot is listed and the server says that it is not there", async () => {
    const { backend } = await build({ packs: [[0, 1]], used: [0], lost: [] });
    const before = await collect(backend.list("pack"));
    const far = wrapBackend(backend, {
      load: async (handle, range) => {
        if (handle.type !== "snapshot") return backend.load(handle, range);
        throw new NotFoundError("Cannot load it: file does not exist");
      },
    });
    await expect(pruneRepository(await openRepository(far))).rejects.toThrow("file does not exist");
    expect(await collect(backend.list("pack"))).toEqual(before);
  });

  it("refuses when a snapshot cannot be read: nobody knows what it needs", async () => {
    const { backend } = await build({ packs: [[1]], used: [], lost: [] });
    const repository = await openRepository(backend);
    await backend.save({ type: "snapshot", name: "ab".repeat(32) }, [randomBytes(100)]);
    await expect(pruneRepository(repository)).rejects.toMatchObject({ code: "damaged" });
    expect(await collect(repository.listFiles("pack"))).toHaveLength(2);
  });
});

describe("unusedLimit", () => {
  it("is a part of what is there afterwards", () => {
    expect(unusedLimit({ kind: "percent", percent: 5 }, 950)).toBe(50);
    expect(unusedLimit({ kind: "percent", percent: 0 }, 950)).toBe(0);
    expect(unusedLimit({ kind: "bytes", bytes: 7 }, 950)).toBe(7);
    expect(unusedLimit({ kind: "unlimited" }, 950)).toBe(Number.POSITIVE_INFINITY);
  });
});
