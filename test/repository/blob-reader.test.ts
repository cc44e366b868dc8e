import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Backend, FileInfo } from "../../src/backend/backend.js";
import { DiskCache } from "../../src/backend/disk-cache.js";
import { DiskCacheBackend } from "../../src/backend/disk-cache-backend.js";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId, formatShortId, type Id, parseId } from "../../src/bytes/id.js";
import { DamagedError, NotFoundError, YoreError } from "../../src/errors.js";
import { encodeIndexFile } from "../../src/format/index-file.js";
import type { PackedBlob } from "../../src/format/pack-header.js";
import type { PackBlobResult } from "../../src/repository/pack-blobs.js";
import type { Repository } from "../../src/repository/repository.js";
import { blobLoaderSuite } from "../suites/blob-loader-suite.js";
import { temporaryFolder } from "../support/temporary.js";
import {
  collect,
  createCopyWriter,
  createRepository,
  flipBit,
  openRepository,
  packHandle,
  saveSmallBackup,
  wrapBackend,
} from "./support.js";

blobLoaderSuite("Repository as a blob loader", async () => {
  const repository = await createRepository();
  const sizes = [0, 1, 1000, 65_536, 3_000_000, ...Array.from({ length: 50 }, (_, i) => i * 997)];
  const { contents, tree } = await saveSmallBackup(repository, sizes);
  return { loader: repository, contents, tree };
});

describe("Repository.loadBlob", () => {
  let backend: MemoryBackend;
  let repository: Repository;
  let blob: Buffer;
  let id: Id;

  beforeEach(async () => {
    backend = new MemoryBackend();
    repository = await createRepository({}, backend);
    blob = randomBytes(5000);
    id = (await repository.saveBlob("data", blob)).id;
    await repository.saveBlob("data", randomBytes(5000));
    await repository.flush();
  });

  /** Puts the same blob into a second pack, behind the index's back. */
  async function addCopy(): Promise<void> {
    const other = await createCopyWriter(backend, repository);
    await other.saveBlob("data", blob);
    await other.flush();
    await repository.loadIndex();
    expect(repository.index.lookupAll("data", id).length).toBe(2);
  }

  it("names blob, pack and offset when the only copy is damaged", async () => {
    const { packId, offset } = repository.index.lookup("data", id)!;
    await flipBit(backend, packHandle(packId), offset + 100);
    const failure = await repository.loadBlob("data", id).catch((error: unknown) => error as YoreError);
    expect(failure).toBeInstanceOf(DamagedError);
    const { message, hint } = failure as YoreError;
    expect(message).toContain(`data blob ${formatShortId(id)}`);
    expect(message).toContain(`pack ${formatShortId(packId)} at offset ${offset}: authentication failed`);
    expect(hint).toContain(formatId(packId));
    expect(hint).toContain(formatId(id));
  });

  it("takes another copy when one is damaged", async () => {
    await addCopy();
    for (const { packId, offset } of repository.index.lookupAll("data", id)) {
      await flipBit(backend, packHandle(packId), offset + 100);
      expect(Buffer.compare(await repository.loadBlob("data", id), blob)).toBe(0);
      await flipBit(backend, packHandle(packId), offset + 100);
    }
  });

  it("fetches a pack anew that went bad in the cache after it was verified", async () => {
    const folder = await temporaryFolder();
    const fetched: string[] = [];
    const far = wrapBackend(backend, {
      load: (handle, range) => {
        if (handle.type === "pack") fetched.push(`${handle.name} ${range?.length ?? "whole"}`);
        return backend.load(handle, range);
      },
    });
    const open = async () => {
      const cached = new DiskCacheBackend(far);
      const cache = await DiskCache.open(folder, "ab".repeat(32));
      cached.use({ cache, keepsData: false, holdsTrees: () => true });
      return openRepository(cached);
    };
    const writer = await open();
    expect(await writer.loadBlob("data", id)).toEqual(blob);
    await writer.backend.close();
    const reader = await open();
    expect(await reader.loadBlob("data", id)).toEqual(blob);

    const { packId } = reader.index.lookup("data", id)!;
    const name = formatId(packId);
    const path = join(folder, "ab".repeat(32), "data", name.slice(0, 2), name);
    writeFileSync(path, Buffer.alloc(readFileSync(path).length));
    const size = (await backend.stat(packHandle(packId))).size;
    const blobs = await repository.readPackHeader(packId, size);
    const results: PackBlobResult[] = [];
    await reader.loadPackBlobs(packId, blobs, (_, result) => void results.push(result));
    expect(results.map((result) => "plaintext" in result)).toEqual([true, true]);
    expect(await reader.loadBlob("data", id)).toEqual(blob);
    expect(fetched).toEqual([`${name} whole`, `${name} whole`]);
    await reader.backend.close();
  });

  /** Bytes of packs come damaged as long as this says so. */
  function spoilt(isSpoilt: () => boolean): Backend {
    return wrapBackend(backend, {
      load: async (handle, range) => {
        const bytes = Buffer.from(await backend.load(handle, range));
        if (handle.type === "pack" && isSpoilt()) bytes[bytes.length - 1]! ^= 1;
        return bytes;
      },
    });
  }

  it("reads once more what came damaged: the way may have spoilt it", async () => {
    const { packId } = repository.index.lookup("data", id)!;
    const size = (await backend.stat(packHandle(packId))).size;
    const blobs = await repository.readPackHeader(packId, size);
    const openSpoilt = (times: number) => openRepository(spoilt(() => times-- > 0));
    expect(await (await openSpoilt(1)).loadBlob("data", id)).toEqual(blob);
    expect(await (await openSpoilt(1)).readPackHeader(packId, size)).toEqual(blobs);
    const results: PackBlobResult[] = [];
    await (await openSpoilt(1)).loadPackBlobs(packId, blobs, (_, result) => void results.push(result));
    expect(results.map((result) => "plaintext" in result)).toEqual([true, true]);
    await expect((await openSpoilt(2)).loadBlob("data", id)).rejects.toThrow(DamagedError);
  });

  it("does not stay with a part of the cache that came damaged more than once", async () => {
    let isSpoilt = true;
    const cached = new DiskCacheBackend(spoilt(() => isSpoilt));
    const cache = await DiskCache.open(await temporaryFolder(), "ab".repeat(32));
    cached.use({ cache, keepsData: true, holdsTrees: () => false });
    const reader = await openRepository(cached);
    const { packId } = reader.index.lookup("data", id)!;
    for (let i = 0; i < 3; i++) {
      await expect(reader.loadBlob("data", id)).rejects.toThrow(DamagedError);
      // Parts are written behind the reader's back.
      await vi.waitFor(() => expect(cache.keepsOf(formatId(packId))).toBe(true));
    }
    isSpoilt = false;
    expect(await reader.loadBlob("data", id)).toEqual(blob);
    await cached.close();
  });

  it("takes another copy when a pack is missing or too short", async () => {
    await addCopy();
    const [first, second] = repository.index.lookupAll("data", id);
    const bytes = await backend.load(packHandle(first!.packId));
    await backend.save(packHandle(first!.packId), [bytes.subarray(0, 10)]);
    expect(Buffer.compare(await repository.loadBlob("data", id), blob)).toBe(0);
    await backend.save(packHandle(first!.packId), [bytes]);
    await backend.remove(packHandle(second!.packId));
    expect(Buffer.compare(await repository.loadBlob("data", id), blob)).toBe(0);
  });

  it("says that the pack is missing when it is", async () => {
    await backend.remove(packHandle(repository.index.lookup("data", id)!.packId));
    await expect(repository.loadBlob("data", id)).rejects.toThrow(/the pack is missing/);
    await expect(repository.loadBlob("data", id)).rejects.toThrow(DamagedError);
  });

  /** As another client does it: the blob moves to a new pack. */
  async function prune(): Promise<void> {
    const old = repository.index.lookup("data", id)!.packId;
    const [oldIndex] = await collect(backend.list("index"));
    const pruner = await createCopyWriter(backend, repository);
    await pruner.saveBlob("data", blob);
    await pruner.flush();
    await backend.remove({ type: "index", name: oldIndex!.name });
    await backend.remove(packHandle(old));
  }

  it("survives a prune that comes right after a look at the index that found nothing new", async () => {
    const reader = await openRepository(backend);
    const unknown = randomBytes(32) as Uint8Array as Id;
    await expect(reader.loadBlob("data", unknown)).rejects.toThrow("no index knows it");
    await prune();
    expect(Buffer.compare(await reader.loadBlob("data", id), blob)).toBe(0);
  });

  it("survives a prune that comes during a look at the index that somebody else began", async () => {
    let listed: (() => void) | undefined;
    let goOn = Promise.resolve();
    const reader = await openRepository(
      wrapBackend(backend, {
        list: async function* (type) {
          const files = await collect(backend.list(type));
          if (type === "index") listed?.();
          await goOn;
          yield* files;
        },
      }),
    );
    const unknown = randomBytes(32) as Uint8Array as Id;
    const isListed = new Promise<void>((resolve) => {
      listed = resolve;
    });
    let release!: () => void;
    goOn = new Promise((resolve) => {
      release = resolve;
    });
    const other = expect(reader.loadBlob("data", unknown)).rejects.toThrow("no index knows it");
    await isListed;
    await prune();
    const loading = reader.loadBlob("data", id);
    // So that it has found its pack gone.
    await expect(backend.load(packHandle(reader.index.lookup("data", id)!.packId))).rejects.toThrow();
    release();
    expect(Buffer.compare(await loading, blob)).toBe(0);
    await other;
  });

  it("loads the index again when a pack is gone, so that it survives another client's prune", async () => {
    const reader = await openRepository(backend);
    const old = reader.index.lookup("data", id)!.packId;
    await prune();
    const loads = await Promise.all([1, 2, 3].map(() => reader.loadBlob("data", id)));
    expect(loads.every((loaded) => Buffer.compare(loaded, blob) === 0)).toBe(true);
    expect(reader.index.packNumber(old)).toBeUndefined();
  });

  it("does not look at the index again for every blob of a pack that is gone", async () => {
    let lists = 0;
    const reader = await openRepository(
      wrapBackend(backend, {
        list: (type) => {
          if (type === "index") lists++;
          return backend.list(type);
        },
      }),
    );
    await backend.remove(packHandle(reader.index.lookup("data", id)!.packId));
    lists = 0;
    for (let i = 0; i < 3; i++) await expect(reader.loadBlob("data", id)).rejects.toThrow(DamagedError);
    expect(lists).toBe(1);
  });

  it("does not look at the index for each of many packs that are gone: that is a loss and no prune", async () => {
    const ids: Id[] = [];
    for (let i = 0; i < 100; i++) {
      ids.push((await repository.saveBlob("data", randomBytes(100))).id);
      await repository.flush();
    }
    let lists = 0;
    const counting = wrapBackend(backend, {
      list: (type) => {
        if (type === "index") lists++;
        return backend.list(type);
      },
    });
    const reader = await openRepository(counting);
    for (const one of ids) await backend.remove(packHandle(reader.index.lookup("data", one)!.packId));
    lists = 0;
    for (const one of ids) await expect(reader.loadBlob("data", one)).rejects.toThrow(DamagedError);
    expect(lists).toBeLessThan(50);
  });

  it("gives the backend's error its own code, because the blob may be whole", async () => {
    const failing = wrapBackend(backend, {
      load: (handle, range) =>
        handle.type === "pack"
          ? Promise.reject(new YoreError("timeout", "Cannot load: no answer"))
          : backend.load(handle, range),
    });
    const reader = await openRepository(failing);
    await expect(reader.loadBlob("data", id)).rejects.toMatchObject({ code: "timeout" });
  });

  it("never gives out a wrong blob, wherever the index points", async () => {
    const { packId, offset, length } = repository.index.lookup("data", id)!;
    const wrongId = randomBytes(32) as Uint8Array as Id;
    const lies: PackedBlob[] = [{ type: "data", id: wrongId, offset, length, uncompressedLength: 5000 }];
    await repository.saveFile("index", encodeIndexFile([{ packId, blobs: lies }]));
    await repository.loadIndex();
    await expect(repository.loadBlob("data", wrongId)).rejects.toThrow(/SHA-256/);
  });
});

describe("Repository.readPackHeader", () => {
  it("names the pack when its header is damaged, too short, or there is none", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({}, backend);
    await saveSmallBackup(repository, [100]);
    const [{ name, size }] = (await collect(backend.list("pack"))) as [FileInfo];
    const packId = parseId(name)!;
    const named = { code: "damaged", message: expect.stringContaining(`pack ${name.slice(0, 8)}`) };
    await flipBit(backend, packHandle(packId), size - 10);
    await expect(repository.readPackHeader(packId, size)).rejects.toMatchObject(named);
    await expect(repository.readPackHeader(packId, 20)).rejects.toMatchObject(named);
    await flipBit(backend, packHandle(packId), size - 1);
    await expect(repository.readPackHeader(packId, size)).rejects.toMatchObject(named);
    await backend.remove(packHandle(packId));
    await expect(repository.readPackHeader(packId, size)).rejects.toThrow(NotFoundError);
  });
});
