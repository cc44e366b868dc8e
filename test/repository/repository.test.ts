import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId, type Id, parseId } from "../../src/bytes/id.js";
import { throwIfAborted, YoreError } from "../../src/errors.js";
import { Repository } from "../../src/repository/repository.js";
import { loadSnapshot } from "../../src/repository/snapshots.js";
import {
  collect,
  createRepository,
  openRepository,
  PASSWORD,
  saveSmallBackup,
  wrapBackend,
} from "./support.js";

const MIB = 1024 * 1024;

describe.each([1, 2] as const)("Repository of version %i", (version) => {
  it("gives back every blob after flush, to itself and to others", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({ version, packSizeBytes: 4 * MIB }, backend);
    const sizes = [0, 1, 31, 32, 1000, 65_535, 65_536, 500_000, 3 * MIB, 5 * MIB, 8 * MIB];
    const { contents, snapshot, tree } = await saveSmallBackup(repository, [
      ...sizes,
      ...Array.from({ length: 300 }, (_, i) => i * 37),
    ]);
    for (const reader of [repository, await openRepository(backend)]) {
      expect(reader.indexProblems).toEqual([]);
      for (const [hex, content] of contents) {
        const id = parseId(hex)!;
        expect(Buffer.compare(await reader.loadBlob("data", id), content)).toBe(0);
        expect(reader.blobSize("data", id)).toBe(content.length);
      }
      expect(formatId((await loadSnapshot(reader, snapshot)).tree)).toBe(formatId(tree));
    }
  });

  it("compresses as the version says", async () => {
    const repository = await createRepository({ version });
    const text = Buffer.alloc(100_000, "abc");
    const { packedLength } = await repository.saveBlob("data", text);
    if (version === 1) expect(packedLength).toBe(text.length + 32);
    else expect(packedLength).toBeLessThan(1000);
  });

  it("keeps trees and data in packs of their own, of about the target size", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({ version, packSizeBytes: 4 * MIB }, backend);
    await saveSmallBackup(
      repository,
      Array.from({ length: 60 }, () => 700_000),
    );
    const packs = await collect(backend.list("pack"));
    for (const { name, size } of packs) {
      const blobs = await repository.readPackHeader(parseId(name)!, size);
      expect(new Set(blobs.map(({ type }) => type)).size).toBe(1);
      expect(size).toBeLessThan(5 * MIB);
    }
    expect(packs.length).toBeLessThan(15);
  });

  it("readPackHeader agrees with the index, for short and for long headers", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({ version }, backend);
    await saveSmallBackup(repository, [100]);
    await saveSmallBackup(
      repository,
      Array.from({ length: 400 }, () => 500),
    );
    const sizes = new Map((await collect(backend.list("pack"))).map(({ name, size }) => [name, size]));
    for (const { packId, blobs } of repository.index.packs())
      expect(await repository.readPackHeader(packId, sizes.get(formatId(packId))!)).toEqual(blobs);
  });
});

describe("Repository.saveBlob", () => {
  it("stores a blob once, whether the others come before, meanwhile or after", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({}, backend);
    const blob = randomBytes(100_000);
    const results = await Promise.all([1, 2, 3, 4].map(() => repository.saveBlob("data", blob)));
    expect(results.map(({ known }) => known).sort()).toEqual([false, true, true, true]);
    expect(results.filter(({ known }) => known).every(({ packedLength }) => packedLength === 0)).toBe(true);
    expect((await repository.saveBlob("data", blob)).known).toBe(true);
    await repository.flush();
    expect((await repository.saveBlob("data", blob)).known).toBe(true);
    expect((await repository.saveBlob("tree", blob)).known).toBe(false);
    await repository.flush();
    expect(repository.index.size).toBe(2);
    const other = await openRepository(backend);
    expect((await other.saveBlob("data", blob)).known).toBe(true);
  });

  it("with compression off stores data as it is and trees compressed", async () => {
    const repository = await createRepository({ compression: "off" });
    const text = Buffer.alloc(50_000, "x");
    expect((await repository.saveBlob("data", text)).packedLength).toBe(50_032);
    expect((await repository.saveBlob("tree", text)).packedLength).toBeLessThan(1000);
  });

  it("waits while packs pile up, so that memory is bounded", async () => {
    const inner = new MemoryBackend({ connections: 1 });
    let handedIn = 0;
    let saved = 0;
    let mostHeld = 0;
    const backend = wrapBackend(inner, {
      save: async (handle, pieces) => {
        await new Promise((resolve) => setTimeout(resolve, 30));
        for (const piece of pieces) if (handle.type === "pack") saved += piece.length;
        return inner.save(handle, pieces);
      },
    });
    const repository = await createRepository({ packSizeBytes: 4 * MIB }, backend);
    const feed = async () => {
      for (let i = 0; i < 10; i++) {
        await repository.saveBlob("data", randomBytes(MIB));
        handedIn += MIB;
        mostHeld = Math.max(mostHeld, handedIn - saved);
      }
    };
    await Promise.all([feed(), feed(), feed(), feed()]);
    await repository.flush();
    expect(repository.index.size).toBe(40);
    // Two open packs, one being uploaded, one that waits, and what four feeders have in hand.
    expect(mostHeld).toBeLessThanOrEqual(4 * 5 * MIB + 4 * MIB);
  });
});

describe("Repository.flush", () => {
  it("saves the index of finished packs also when a later one cannot be saved, and can go on afterwards", async () => {
    const inner = new MemoryBackend({ connections: 1 });
    let full = false;
    const backend = wrapBackend(inner, {
      save: async (handle, pieces) => {
        if (full && handle.type === "pack") throw new YoreError("no-space", "Cannot save: disk full");
        return inner.save(handle, pieces);
      },
    });
    const repository = await createRepository({ packSizeBytes: 4 * MIB }, backend);
    const first = await repository.saveBlob("data", randomBytes(5 * MIB));
    await expect.poll(async () => (await collect(inner.list("pack"))).length).toBe(1);
    full = true;
    const second = randomBytes(5 * MIB);
    await repository.saveBlob("data", second);
    await expect(repository.flush()).rejects.toMatchObject({ code: "no-space" });
    const other = await openRepository(inner);
    expect(other.index.has("data", first.id)).toBe(true);
    expect(other.index.size).toBe(1);
    full = false;
    expect((await repository.saveBlob("data", second)).known).toBe(false);
    await repository.flush();
    expect((await openRepository(inner)).index.size).toBe(2);
  });

  it("forgets after a failure also what was still being sealed for a pack that goes with it", async () => {
    const inner = new MemoryBackend({ connections: 1 });
    let fail = () => {};
    const isFull = new Promise<never>((_, reject) => {
      fail = () => reject(new YoreError("no-space", "Cannot save: disk full"));
    });
    isFull.catch(() => {});
    let isRoomMade = false;
    const backend = wrapBackend(inner, {
      save: async (handle, pieces) => {
        if (handle.type === "pack" && !isRoomMade) await isFull;
        return inner.save(handle, pieces);
      },
    });
    const repository = await createRepository({ packSizeBytes: 4 * MIB }, backend);
    await repository.saveBlob("data", randomBytes(5 * MIB));
    const second = randomBytes(5 * MIB);
    const id = repository.engine.hash(second);
    const saving = repository.saveBlob("data", second, id);
    // It will fill a pack of its own, which waits behind the first one already.
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    fail();
    await saving;
    await expect(repository.flush()).rejects.toMatchObject({ code: "no-space" });
    isRoomMade = true;
    expect((await repository.saveBlob("data", second)).known).toBe(false);
    await repository.flush();
    expect((await openRepository(inner)).index.size).toBe(1);
  });

  it("keeps packs whose index could not be saved for the next time", async () => {
    const inner = new MemoryBackend();
    let full = true;
    const backend = wrapBackend(inner, {
      save: async (handle, pieces) => {
        if (full && handle.type === "index") throw new YoreError("no-space", "Cannot save: disk full");
        return inner.save(handle, pieces);
      },
    });
    const repository = await createRepository({}, backend);
    await repository.saveBlob("data", randomBytes(100));
    await expect(repository.flush()).rejects.toMatchObject({ code: "no-space" });
    full = false;
    await repository.flush();
    expect((await openRepository(inner)).index.size).toBe(1);
  });

  it("without anything saved writes nothing", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({}, backend);
    await repository.flush();
    expect(await collect(backend.list("index"))).toEqual([]);
  });
});

describe("Repository.loadIndex", () => {
  it("while the same repository saves drops nothing of what it saves", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({}, backend);
    const ids: Id[] = [];
    for (let i = 0; i < 20; i++) {
      ids.push((await repository.saveBlob("data", randomBytes(50))).id);
      await Promise.all([repository.flush(), repository.loadIndex(), repository.loadIndex()]);
    }
    await repository.loadIndex();
    expect(ids.every((id) => repository.index.has("data", id))).toBe(true);
    expect(repository.index.size).toBe(20);
    for (const id of repository.indexIds) await repository.removeFile("index", id);
    await repository.loadIndex();
    expect(repository.index.size).toBe(0);
  });

  it("takes in what is new and drops what is gone", async () => {
    const backend = new MemoryBackend();
    const writer = await createRepository({}, backend);
    const a = await writer.saveBlob("data", randomBytes(100));
    await writer.flush();
    const reader = await openRepository(backend);
    const b = await writer.saveBlob("data", randomBytes(100));
    await writer.flush();
    expect(reader.index.has("data", b.id)).toBe(false);
    const progress = { totalFiles: 0, loadedFiles: 0 };
    await reader.loadIndex({ progress });
    expect(progress).toEqual({ totalFiles: 2, loadedFiles: 2 });
    expect(reader.index.has("data", b.id)).toBe(true);
    const [first] = writer.indexIds;
    await writer.removeFile("index", first!);
    await reader.loadIndex();
    expect(reader.index.has("data", a.id)).toBe(false);
    expect(reader.index.has("data", b.id)).toBe(true);
  });

  it("knows what was there when it was asked for, also when another load is under way", async () => {
    const inner = new MemoryBackend();
    const writer = await createRepository({}, inner);
    const goOn = new AbortController();
    const listed = new AbortController();
    const backend = wrapBackend(inner, {
      load: async (handle, range) => {
        if (handle.type === "index" && !goOn.signal.aborted) {
          listed.abort();
          await once(goOn.signal, "abort");
        }
        return inner.load(handle, range);
      },
    });
    const reader = await openRepository(backend);
    await writer.saveBlob("data", randomBytes(100));
    await writer.flush();
    const isListed = once(listed.signal, "abort");
    const first = reader.loadIndex();
    await isListed;
    const { id } = await writer.saveBlob("data", randomBytes(100));
    await writer.flush();
    const second = reader.loadIndex();
    goOn.abort();
    await Promise.all([first, second]);
    expect(reader.index.has("data", id)).toBe(true);
  });

  it("drops what it took in itself before another file vanished under it", async () => {
    const inner = new MemoryBackend({ connections: 1 });
    const writer = await createRepository({}, inner);
    const saveOne = async () => {
      const saved = await writer.saveBlob("data", randomBytes(100));
      await writer.flush();
      return saved.id;
    };
    const gone = [await saveOne(), await saveOne()];
    const old = writer.indexIds;
    const kept = { id: undefined as Id | undefined };
    const loaded: string[] = [];
    // A prune by another client comes between the first file and the second.
    const backend = wrapBackend(inner, {
      load: async (handle, range) => {
        if (handle.type === "index" && loaded.push(handle.name) === 2) {
          kept.id = await saveOne();
          for (const id of old) await writer.removeFile("index", id);
        }
        return inner.load(handle, range);
      },
    });
    const reader = await openRepository(backend);
    expect(loaded.length).toBeGreaterThan(2);
    expect(reader.index.has("data", kept.id!)).toBe(true);
    expect(gone.map((id) => reader.index.has("data", id))).toEqual([false, false]);
    expect(reader.indexIds.length).toBe(1);
  });

  it("is not stopped by the signal of another load that it shares", async () => {
    const inner = new MemoryBackend();
    const writer = await createRepository({}, inner);
    const { id } = await writer.saveBlob("data", randomBytes(100));
    await writer.flush();
    const controller = new AbortController();
    const backend = wrapBackend(inner, {
      load: async (handle, range) => {
        if (handle.type === "index") controller.abort();
        throwIfAborted(range?.signal);
        return inner.load(handle, range);
      },
    });
    const reader = await Repository.open(backend, writer.engine, { password: PASSWORD });
    // They ask in one moment, and load together.
    const stopped = reader.loadIndex({ signal: controller.signal });
    const other = reader.loadIndex({ signal: new AbortController().signal });
    await expect(stopped).rejects.toMatchObject({ code: "interrupted" });
    await other;
    expect(reader.index.has("data", id)).toBe(true);
  });

  it("loads the others when an index file is damaged, and tells which one is", async () => {
    const backend = new MemoryBackend();
    const writer = await createRepository({}, backend);
    const ids: Id[] = [];
    for (let i = 0; i < 3; i++) {
      ids.push((await writer.saveBlob("data", randomBytes(100))).id);
      await writer.flush();
    }
    const [damaged] = await collect(backend.list("index"));
    const handle = { type: "index", name: damaged!.name } as const;
    const bytes = Buffer.from(await backend.load(handle));
    bytes[30]! ^= 4;
    await backend.save(handle, [bytes]);
    const reader = await openRepository(backend);
    expect(reader.index.size).toBe(2);
    expect(reader.indexProblems.length).toBe(1);
    expect(formatId(reader.indexProblems[0]!.id)).toBe(damaged!.name);
    expect(reader.indexProblems[0]!.error).toMatchObject({
      code: "damaged",
      message: expect.stringContaining(damaged!.name.slice(0, 8)),
    });
  });
});
