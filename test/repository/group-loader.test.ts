import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId, type Id, parseId } from "../../src/bytes/id.js";
import type { PackedBlob } from "../../src/format/pack-header.js";
import type { PlaintextRoom, PlaintextSink } from "../../src/repository/blob-loader.js";
import type { Repository } from "../../src/repository/repository.js";
import { temporaryFolder } from "../support/temporary.js";
import { createRepository, openRepository, saveSmallBackup, wrapBackend } from "./support.js";

describe("Repository.loadBlobsInto", () => {
  let backend: MemoryBackend;
  let repository: Repository;
  let contents: ReadonlyMap<string, Buffer>;
  let packId: Id;
  let blobs: readonly PackedBlob[];
  const handle = () => ({ type: "pack", name: formatId(packId) }) as const;

  beforeEach(async () => {
    backend = new MemoryBackend();
    repository = await createRepository({}, backend);
    const sizes = Array.from({ length: 60 }, (_, i) => (i % 10 === 0 ? 700_000 : 1000 + i));
    ({ contents } = await saveSmallBackup(repository, sizes));
    const packs = [...repository.index.packs()].filter((pack) => pack.blobs[0]!.type === "data");
    ({ packId, blobs } = packs[0]!);
    expect(blobs.length).toBe(contents.size);
  });

  /** What became of each blob; every room is given back, with plaintexts in its memory, and none overlaps another's. */
  async function load(ids: readonly Id[], reader: Repository = repository): Promise<Map<string, string>> {
    const results = new Map<string, string>();
    const rooms = new Set<PlaintextRoom>();
    const sink: PlaintextSink = {
      room: (bytes) => {
        const room = { memory: Buffer.alloc(bytes) };
        rooms.add(room);
        return room;
      },
      arrived: (arrived, outcomes, room) => {
        if (room) expect(rooms.delete(room)).toBe(true);
        for (const [i, id] of arrived.entries()) {
          const hex = formatId(id);
          const outcome = outcomes[i]!;
          expect(results.has(hex)).toBe(false);
          if ("error" in outcome) results.set(hex, String(outcome.error));
          else
            results.set(hex, Buffer.compare(outcome.plaintext, contents.get(hex)!) === 0 ? "whole" : "wrong");
        }
      },
    };
    await reader.loadBlobsInto("data", ids, sink);
    expect(rooms.size).toBe(0);
    return results;
  }

  const idsOf = (some: readonly PackedBlob[]) => some.map(({ id }) => id);

  it("hands out every blob, whatever the order they are asked for in", async () => {
    const results = await load(idsOf(blobs.toReversed()));
    expect(results.size).toBe(blobs.length);
    expect(new Set(results.values())).toEqual(new Set(["whole"]));
  });

  it("reports a damaged blob alone, and its neighbours are whole", async () => {
    const victim = blobs[5]!;
    const bytes = Buffer.from(await backend.load(handle()));
    bytes[victim.offset + 20]! ^= 1;
    await backend.save(handle(), [bytes]);
    const results = await load(idsOf(blobs));
    expect(results.get(formatId(victim.id))).toContain("authentication failed");
    results.delete(formatId(victim.id));
    expect(new Set(results.values())).toEqual(new Set(["whole"]));
  });

  it("hands out what a pack that was cut short still holds, and reports the rest", async () => {
    const bytes = await backend.load(handle());
    await backend.save(handle(), [bytes.subarray(0, blobs[30]!.offset + 5)]);
    const results = await load(idsOf(blobs));
    expect(blobs.map(({ id }) => results.get(formatId(id)) === "whole")).toEqual(blobs.map((_, i) => i < 30));
  });

  it("uses its buffers again, for ranges of all lengths, while several loads are under way", async () => {
    const folder = join(await temporaryFolder(), "repository");
    await mkdir(folder);
    const local = await LocalBackend.open(folder);
    const writer = await createRepository({}, local);
    ({ contents } = await saveSmallBackup(
      writer,
      [...contents.values()].map(({ length }) => length),
    ));
    const given = new Set<ArrayBufferLike>();
    const reader = await openRepository(
      wrapBackend(local, {
        load: (file, range) => {
          if (range?.into) given.add(range.into.buffer);
          return local.load(file, range);
        },
      }),
    );
    const ids = [...contents.keys()].map((hex) => parseId(hex)!);
    for (let round = 0; round < 20; round++) {
      const parts = [ids.slice(0, 20), ids.slice(20, 25), ids.slice(25, 59), ids.slice(59)];
      for (const results of await Promise.all(parts.map((part) => load(part, reader))))
        expect(new Set(results.values())).toEqual(new Set(["whole"]));
    }
    expect(given.size).toBeLessThanOrEqual(12);
  });
});
