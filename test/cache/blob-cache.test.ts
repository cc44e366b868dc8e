import { describe, expect, it } from "vitest";
import { formatId } from "../../src/bytes/id.js";
import { BlobCache } from "../../src/cache/blob-cache.js";
import { blobLoaderSuite } from "../suites/blob-loader-suite.js";
import { lateJoinerSuite } from "../suites/late-joiner-suite.js";
import { MemoryLoader } from "./memory-loader.js";

blobLoaderSuite("BlobCache", async () => {
  const loader = new MemoryLoader();
  const contents = new Map<string, Uint8Array>();
  for (const text of ["", "one", "two", "x".repeat(100_000)]) {
    const content = Buffer.from(text);
    contents.set(formatId(loader.add("data", content)), content);
  }
  return {
    loader: new BlobCache(loader, { maxBytes: 50_000 }),
    contents,
    tree: loader.add("tree", '{"nodes":[]}\n'),
  };
});

describe("BlobCache", () => {
  it("loadBlob loads a blob once, however many ask for it", async () => {
    const loader = new MemoryLoader();
    const id = loader.add("data", "content");
    const cache = new BlobCache(loader);
    const all = await Promise.all([1, 2, 3].map(() => cache.loadBlob("data", id)));
    expect(all.map(String)).toEqual(
      ["content", "content", "content"].map((text) => String(Buffer.from(text))),
    );
    await cache.loadBlob("data", id);
    expect(loader.loads).toHaveLength(1);
    expect(cache.statistics).toMatchObject({ hits: 1, misses: 3, loadedBytes: 7 });
  });

  it("loadBlob keeps no failure", async () => {
    const loader = new MemoryLoader();
    const id = loader.add("data", "content");
    const cache = new BlobCache(loader);
    loader.failure = new Error("disk asleep");
    await expect(cache.loadBlob("data", id)).rejects.toThrow("disk asleep");
    loader.failure = undefined;
    expect(Buffer.from(await cache.loadBlob("data", id)).toString()).toBe("content");
  });

  it("holds no more than its bound, and gives up what was not used for longest", async () => {
    const loader = new MemoryLoader();
    const ids = Array.from({ length: 20 }, (_, i) => loader.add("data", Buffer.alloc(1000, i)));
    const cache = new BlobCache(loader, { maxBytes: 10_000 });
    for (const id of ids) {
      await cache.loadBlob("data", id);
      expect(cache.bytes).toBeLessThanOrEqual(10_000);
    }
    expect(cache.peek("data", ids[19]!)).toBeDefined();
    expect(cache.peek("data", ids[0]!)).toBeUndefined();
  });

  it("begins with half of its bound, and grows when what was given up is wanted again", async () => {
    const MIB = 1024 * 1024;
    const loader = new MemoryLoader();
    const ids = Array.from({ length: 50 }, (_, i) => loader.add("data", Buffer.alloc(MIB, i)));
    const cache = new BlobCache(loader);
    const readAll = async () => {
      for (const id of ids) await cache.loadAhead("data", [id]);
    };
    await readAll();
    expect(cache.bytes).toBeLessThanOrEqual(36 * MIB);
    for (let round = 0; round < 3; round++) await readAll();
    expect(ids.filter((id) => cache.knows("data", id))).toHaveLength(50);
    const before = loader.loads.length + loader.bulks.length;
    await readAll();
    expect(loader.loads.length + loader.bulks.length).toBe(before);
  });

  it("keeps nothing of the large buffer that a small view came in", async () => {
    const large = Buffer.alloc(1_000_000, 7);
    const loader = new MemoryLoader();
    const id = loader.add("data", large.subarray(500, 600));
    const cache = new BlobCache(loader, { maxBytes: 10_000 });
    await cache.loadBlob("data", id);
    expect(cache.peek("data", id)!.buffer.byteLength).toBe(10_000);
  });

  it("borrow gives the blobs of a read in their order, loaded together, twice where asked for twice", async () => {
    const loader = new MemoryLoader();
    const [a, b, c] = ["a", "bb", "ccc"].map((text) => loader.add("data", text));
    const cache = new BlobCache(loader);
    await cache.loadBlob("data", a!);
    const borrowed = await cache.borrow("data", [c!, a!, b!, c!]);
    expect(borrowed.map((blob) => Buffer.from(blob).toString())).toEqual(["ccc", "a", "bb", "ccc"]);
    expect(loader.bulks).toEqual([[formatId(c!), formatId(b!)]]);
  });

  it("what is borrowed stays what it is while others are loaded into all of the memory", async () => {
    const loader = new MemoryLoader();
    const ids = Array.from({ length: 50 }, (_, i) => loader.add("data", Buffer.alloc(1000, i)));
    const cache = new BlobCache(loader, { maxBytes: 5000 });
    const reads = ids.map((_, i) =>
      cache.borrow("data", [ids[i]!, ids[(i + 1) % 50]!]).then(([first, second]) => {
        expect(Buffer.compare(first!, Buffer.alloc(1000, i))).toBe(0);
        expect(Buffer.compare(second!, Buffer.alloc(1000, (i + 1) % 50))).toBe(0);
      }),
    );
    await Promise.all(reads);
    expect(cache.bytes).toBeLessThanOrEqual(5000);
  });

  it("lets one waiter go without stopping the load for the others", async () => {
    const loader = new MemoryLoader();
    const id = loader.add("data", "content");
    let open = () => {};
    loader.gate = new Promise((resolve) => {
      open = resolve;
    });
    const cache = new BlobCache(loader);
    const controller = new AbortController();
    const impatient = cache.loadBlob("data", id, controller.signal);
    const patient = cache.loadBlob("data", id);
    controller.abort();
    await expect(impatient).rejects.toMatchObject({ code: "interrupted" });
    open();
    expect((await patient).length).toBe(7);
    expect(loader.loads).toHaveLength(1);
  });

  it("gives a load up that gets no answer, and the next starts afresh", async () => {
    const loader = new MemoryLoader();
    const id = loader.add("data", "content");
    loader.gate = new Promise(() => {});
    const cache = new BlobCache(loader, { timeoutMs: 50 });
    await expect(cache.loadBlob("data", id)).rejects.toMatchObject({ code: "timeout" });
    loader.gate = Promise.resolve();
    expect((await cache.loadBlob("data", id)).length).toBe(7);
  });

  lateJoinerSuite((loader, timeoutMs) => {
    const id = loader.add("data", "content");
    const cache = new BlobCache(loader, { timeoutMs });
    return {
      load: async () => Buffer.from(await cache.loadBlob("data", id)).toString(),
      loadAhead: () => cache.loadAhead("data", [id]),
    };
  }, "content");

  it("loadAhead loads what is not known at once, and a failure there is tried again alone", async () => {
    const loader = new MemoryLoader();
    const ids = ["a", "b", "c"].map((text) => loader.add("data", text));
    const cache = new BlobCache(loader);
    await cache.loadBlob("data", ids[0]!);
    await cache.loadAhead("data", ids);
    expect(loader.bulks).toEqual([[formatId(ids[1]!), formatId(ids[2]!)]]);
    expect(cache.peek("data", ids[2]!)).toBeDefined();

    const other = new BlobCache(loader);
    loader.failure = new Error("no");
    const ahead = other.loadAhead("data", ids);
    const wanted = other.loadBlob("data", ids[1]!);
    loader.failure = undefined;
    await ahead;
    expect((await wanted).length).toBe(1);
  });

  it("refuses to be built without a bound", () => {
    expect(() => new BlobCache(new MemoryLoader(), { maxBytes: 0 })).toThrow(RangeError);
  });
});
