import { beforeEach, describe, expect, it } from "vitest";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId, type Id } from "../../src/bytes/id.js";
import type { MasterKey, UnsealInput } from "../../src/engine/engine.js";
import type { PackedBlob } from "../../src/format/pack-header.js";
import { Repository } from "../../src/repository/repository.js";
import {
  createCopyWriter,
  createRepository,
  flipBit,
  openRepository,
  PASSWORD,
  packHandle,
  saveSmallBackup,
  wrapBackend,
} from "./support.js";

describe("Repository.loadPackBlobs", () => {
  let backend: MemoryBackend;
  let repository: Repository;
  let contents: ReadonlyMap<string, Buffer>;
  let packId: Id;
  let blobs: readonly PackedBlob[];

  beforeEach(async () => {
    backend = new MemoryBackend();
    repository = await createRepository({ compression: "off" }, backend);
    const sizes = Array.from({ length: 24 }, (_, i) => (i % 3 === 0 ? 1_300_000 : 1000 + i));
    ({ contents } = await saveSmallBackup(repository, sizes));
    const packs = [...repository.index.packs()].filter((pack) => pack.blobs[0]!.type === "data");
    ({ packId, blobs } = packs[0]!);
  });

  async function load(wanted: readonly PackedBlob[], reader = repository): Promise<[string, string][]> {
    const results: [string, string][] = [];
    await reader.loadPackBlobs(packId, wanted, async (blob, result) => {
      const hex = formatId(blob.id);
      if ("error" in result) results.push([hex, result.error.message]);
      else
        results.push([hex, Buffer.compare(result.plaintext, contents.get(hex)!) === 0 ? "whole" : "wrong"]);
    });
    return results;
  }

  it("hands out every blob in the order of the offsets", async () => {
    expect(await load(blobs.toReversed())).toEqual(blobs.map(({ id }) => [formatId(id), "whole"]));
  });

  it("joins neighbours into few requests", async () => {
    const ranges: number[] = [];
    const counting = wrapBackend(backend, {
      load: (handle, range) => {
        if (handle.type === "pack") ranges.push(range?.length ?? -1);
        return backend.load(handle, range);
      },
    });
    const reader = await openRepository(counting);
    await load(blobs, reader);
    expect(ranges.length).toBeLessThanOrEqual(3);
    expect(Math.max(...ranges)).toBeLessThanOrEqual(8 * 1024 * 1024);
  });

  it("reports a damaged blob and hands out all others", async () => {
    const victim = blobs[5]!;
    await flipBit(backend, packHandle(packId), victim.offset + 20);
    const results = await load(blobs);
    expect(results.filter(([, text]) => text === "whole").length).toBe(blobs.length - 1);
    expect(results[5]).toEqual([formatId(victim.id), expect.stringContaining("authentication failed")]);
  });

  it("hands out what a pack that was cut short still holds", async () => {
    const bytes = await backend.load(packHandle(packId));
    const cut = blobs[10]!;
    await backend.save(packHandle(packId), [bytes.subarray(0, cut.offset + 5)]);
    const results = await load(blobs);
    expect(results.map(([, text]) => text === "whole")).toEqual(blobs.map((_, i) => i < 10));
  });

  it("takes another copy of a damaged blob", async () => {
    const victim = blobs[5]!;
    const copier = await createCopyWriter(backend, repository);
    await copier.saveBlob("data", contents.get(formatId(victim.id))!);
    await copier.flush();
    await repository.loadIndex();
    await flipBit(backend, packHandle(packId), victim.offset + 20);
    expect(new Set((await load(blobs)).map(([, text]) => text))).toEqual(new Set(["whole"]));
  });

  it("reports every blob of a pack that is missing", async () => {
    await backend.remove(packHandle(packId));
    const results = await load(blobs);
    expect(results.length).toBe(blobs.length);
    expect(results.every(([, text]) => text.includes("the pack is missing"))).toBe(true);
  });

  it("unseals no more than 16 MiB ahead of a slow callback, however small the blobs are in the pack", async () => {
    const writer = await createRepository();
    const size = 4 * 1024 * 1024;
    for (let i = 0; i < 30; i++) await writer.saveBlob("data", Buffer.alloc(size, `${i} `));
    await writer.flush();
    const unsealed: number[] = [];
    const { engine } = writer;
    const counting = new Proxy(engine, {
      get: (target, name) => {
        if (name !== "unseal") return Reflect.get(target, name) as unknown;
        return (key: MasterKey, inputs: readonly UnsealInput[]) => {
          for (const input of inputs) unsealed.push(input.uncompressedLength);
          return target.unseal(key, inputs);
        };
      },
    });
    const reader = await Repository.open(writer.backend, counting, { password: PASSWORD });
    await reader.loadIndex();
    const [pack] = reader.index.packs();
    expect(pack!.blobs.length).toBe(30);
    unsealed.length = 0;
    let handedOut = 0;
    await reader.loadPackBlobs(pack!.packId, pack!.blobs, async () => {
      handedOut++;
      await new Promise((resolve) => setTimeout(resolve, 2));
      expect(unsealed.length - handedOut).toBeLessThanOrEqual(4);
    });
    expect(handedOut).toBe(30);
  });

  it("stops when the callback throws", async () => {
    const failing = repository.loadPackBlobs(packId, blobs, () => Promise.reject(new Error("full")));
    await expect(failing).rejects.toThrow("full");
  });

  it("stops when the signal fires", async () => {
    const controller = new AbortController();
    let calls = 0;
    const stopped = repository.loadPackBlobs(
      packId,
      blobs,
      () => {
        calls++;
        controller.abort();
      },
      controller.signal,
    );
    await expect(stopped).rejects.toMatchObject({ code: "interrupted" });
    expect(calls).toBe(1);
  });
});
