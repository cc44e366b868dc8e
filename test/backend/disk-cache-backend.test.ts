import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import type { Handle, LoadRange } from "../../src/backend/backend.js";
import { DiskCache } from "../../src/backend/disk-cache.js";
import { DiskCacheBackend } from "../../src/backend/disk-cache-backend.js";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { backendSuite, list, nameOf } from "../suites/backend-suite.js";
import { temporaryFolder } from "../support/temporary.js";

const REPOSITORY = "ab".repeat(32);

/** Counts what is asked of it. */
class FarBackend extends MemoryBackend {
  readonly loads: string[] = [];

  /** Of the next file that is loaded the first byte is flipped. */
  damagesNext = false;

  override async load(handle: Handle, range?: LoadRange): Promise<Uint8Array> {
    this.loads.push(`${handle.type} ${range?.offset ?? 0} ${range?.length ?? "all"}`);
    const bytes = await super.load(handle, range);
    if (!this.damagesNext) return bytes;
    this.damagesNext = false;
    const damaged = Buffer.from(bytes);
    damaged[0]! ^= 1;
    return damaged;
  }
}

backendSuite("DiskCacheBackend", async () => {
  const folder = await temporaryFolder();
  const far = new MemoryBackend();
  return {
    open: async () => {
      const backend = new DiskCacheBackend(far);
      const cache = await DiskCache.open(folder, REPOSITORY);
      backend.use({ cache, keepsData: true, holdsTrees: (name) => name < "8" });
      return backend;
    },
    remove: async () => {},
  };
});

describe("DiskCacheBackend", () => {
  let base: string;
  let far: FarBackend;
  const trees = randomBytes(100_000);
  const data = randomBytes(100_000);
  const treePack: Handle = { type: "pack", name: nameOf(trees) };
  const dataPack: Handle = { type: "pack", name: nameOf(data) };

  beforeEach(async () => {
    base = await temporaryFolder();
    far = new FarBackend();
    await far.save(treePack, [trees]);
    await far.save(dataPack, [data]);
  });

  async function open(options: { keepsData?: boolean; maxBytes?: number } = {}): Promise<DiskCacheBackend> {
    const backend = new DiskCacheBackend(far);
    const cache = await DiskCache.open(base, REPOSITORY, { maxBytes: options.maxBytes });
    const keepsData = options.keepsData ?? false;
    backend.use({ cache, keepsData, holdsTrees: (name) => name === treePack.name });
    return backend;
  }

  const read = async (backend: DiskCacheBackend, handle: Handle, offset: number, length: number) =>
    Buffer.from(await backend.load(handle, { offset, length }));

  const partsFolder = () => join(base, REPOSITORY, "yore-parts", dataPack.name);
  const partNames = () => readdirSync(partsFolder());
  const bytesOf = (names: readonly string[]) =>
    names.reduce((sum, name) => sum + statSync(join(partsFolder(), name)).size, 0);

  it("fetches a pack of trees once, whole, and serves it from then on", async () => {
    const backend = await open();
    const places = [0, 5_000, 99_990];
    const got = await Promise.all(places.map((offset) => read(backend, treePack, offset, 10)));
    for (const [i, offset] of places.entries()) expect(got[i]).toEqual(trees.subarray(offset, offset + 10));
    await backend.close();
    expect(await read(await open(), treePack, 700, 60_000)).toEqual(trees.subarray(700, 60_700));
    expect(far.loads).toEqual(["pack 0 all"]);
  });

  it("does not fetch it again while it is being written to the disk", async () => {
    const backend = await open();
    // Each as soon as the one before has its bytes.
    for (let offset = 0; offset < 20; offset++)
      expect(await read(backend, treePack, offset, 10)).toEqual(trees.subarray(offset, offset + 10));
    expect(far.loads).toEqual(["pack 0 all"]);
    await backend.close();
  });

  it("does not keep what came damaged: whoever reads again gets what the repository has", async () => {
    const backend = await open();
    far.damagesNext = true;
    expect(await read(backend, treePack, 0, 10)).not.toEqual(trees.subarray(0, 10));
    expect(await read(backend, treePack, 0, 10)).toEqual(trees.subarray(0, 10));
    await backend.close();
    expect(await read(await open(), treePack, 0, 10)).toEqual(trees.subarray(0, 10));
    expect(far.loads).toEqual(["pack 0 all", "pack 0 all"]);
  });

  it("keeps file content only when asked to, in the parts that were read", async () => {
    const without = await open();
    await read(without, dataPack, 0, 10);
    await read(without, dataPack, 0, 10);
    expect(far.loads.length).toBe(2);
    const keeping = await open({ keepsData: true });
    await read(keeping, dataPack, 1_000, 5_000);
    await keeping.close();
    const again = await open({ keepsData: true });
    expect(await read(again, dataPack, 2_000, 4_000)).toEqual(data.subarray(2_000, 6_000));
    expect(far.loads.length).toBe(3);
    expect(await read(again, dataPack, 2_000, 4_001)).toEqual(data.subarray(2_000, 6_001));
    expect(far.loads.length).toBe(4);
  });

  it("keeps the layout and the modes of restic's cache", async () => {
    const backend = await open();
    await read(backend, treePack, 0, 10);
    await backend.close();
    expect(readFileSync(join(base, "CACHEDIR.TAG"), "utf8")).toMatch(
      /^Signature: 8a477f597d28d172789f06886806bc55\n/,
    );
    const folder = join(base, REPOSITORY);
    expect(readFileSync(join(folder, "version"), "utf8")).toBe("1");
    expect(readdirSync(folder).sort()).toEqual(["data", "index", "snapshots", "version"]);
    const path = join(folder, "data", treePack.name.slice(0, 2), treePack.name);
    expect(readFileSync(path).equals(trees)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  it.each(["data", "yore-parts"])("never believes what has changed on the disk: %s", async (kind) => {
    const [handle, whole] = kind === "data" ? [treePack, trees] : [dataPack, data];
    const first = await open({ keepsData: true });
    await read(first, handle, 0, 1_000);
    await first.close();
    const folder = join(base, REPOSITORY, kind);
    for (const [damage, loads] of [
      [(bytes: Buffer) => Buffer.concat([bytes.subarray(0, 500), Buffer.from("x"), bytes.subarray(501)]), 2],
      [(bytes: Buffer) => bytes.subarray(0, 100), 3],
    ] as const) {
      const [name] = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) =>
        statSync(join(folder, path)).isFile(),
      );
      const path = join(folder, name!);
      writeFileSync(path, damage(readFileSync(path)));
      const backend = await open({ keepsData: true });
      expect(await read(backend, handle, 0, 1_000)).toEqual(whole.subarray(0, 1_000));
      expect(far.loads.length).toBe(loads);
      await backend.close();
    }
  });

  it("stays below its limit, and lets go of what was used least lately", async () => {
    const cache = await DiskCache.open(base, REPOSITORY, { maxBytes: 40_000 });
    for (let offset = 0; offset < 50_000; offset += 5_000) {
      await cache.savePart(dataPack.name, offset, data.subarray(offset, offset + 5_000));
      await cache.loadRange(dataPack.name, 0, 5_000);
    }
    await cache.close();
    const names = partNames();
    expect(bytesOf(names)).toBeLessThan(40_001);
    expect(bytesOf(names)).toBe(cache.bytes);
    expect(names).toContain("45000-5000");
    expect(names).not.toContain("5000-5000");
  });

  it("stays below its limit while parts go that others read and bring", async () => {
    const backend = await open({ keepsData: true, maxBytes: 40_000 });
    const readAll = async () => {
      for (let offset = 0; offset < 50_000; offset += 5_000) {
        await read(backend, dataPack, offset, 5_000);
        await read(backend, dataPack, 0, 5_000);
      }
    };
    for (let round = 0; round < 20; round++) await Promise.all([readAll(), readAll()]);
    await backend.close();
    expect(bytesOf(partNames())).toBeLessThan(40_001);
  });

  it("counts a part once, whether two bring it or two find it gone", async () => {
    const cache = await DiskCache.open(base, REPOSITORY);
    const part = data.subarray(0, 5_000);
    await Promise.all([cache.savePart(dataPack.name, 0, part), cache.savePart(dataPack.name, 0, part)]);
    const path = join(partsFolder(), "0-5000");
    expect(cache.bytes).toBe(statSync(path).size);
    rmSync(path);
    const load = () => cache.loadRange(dataPack.name, 0, 5_000);
    expect(await Promise.all([load(), load()])).toEqual([undefined, undefined]);
    expect(cache.bytes).toBe(0);
    expect(cache.keepsOf(dataPack.name)).toBe(false);
    await cache.close();
  });

  it("forgets also what is just being written", async () => {
    const cache = await DiskCache.open(base, REPOSITORY);
    const saved = [cache.savePart(dataPack.name, 5, data), cache.save("pack", treePack.name, [trees])];
    await Promise.all([dataPack, treePack].map(({ name }) => cache.forget("pack", name)));
    await Promise.all(saved);
    expect(await cache.loadRange(dataPack.name, 5, 10)).toBeUndefined();
    expect(await cache.loadRange(treePack.name, 5, 10)).toBeUndefined();
    expect(cache.bytes).toBe(0);
    expect((await DiskCache.open(base, REPOSITORY)).bytes).toBe(0);
  });

  it("takes away what was never finished, but not what somebody else is writing", async () => {
    const backend = await open({ keepsData: true });
    await read(backend, dataPack, 0, 10);
    await read(backend, treePack, 0, 10);
    await backend.close();
    const folders = [partsFolder(), join(base, REPOSITORY, "data", treePack.name.slice(0, 2))];
    for (const folder of folders) {
      for (const name of ["tmp-0123456789abcdef", "tmp-1234567890"]) writeFileSync(join(folder, name), "x");
      const before = new Date(Date.now() - 2 * 60 * 60 * 1000);
      utimesSync(join(folder, "tmp-0123456789abcdef"), before, before);
    }
    await open();
    for (const folder of folders)
      expect(readdirSync(folder).filter((name) => name.startsWith("tmp-"))).toEqual(["tmp-1234567890"]);
  });

  it("forgets what the repository has no more", async () => {
    const backend = await open({ keepsData: true });
    await read(backend, treePack, 0, 10);
    await read(backend, dataPack, 0, 10);
    await far.remove(treePack);
    expect((await list(backend, "pack")).map(({ name }) => name)).toEqual([dataPack.name]);
    await expect(backend.load(treePack, { offset: 0, length: 10 })).rejects.toMatchObject({
      code: "not-found",
    });
    expect(await read(backend, dataPack, 0, 10)).toEqual(data.subarray(0, 10));
    await backend.remove(dataPack);
    await expect(backend.load(dataPack, { offset: 0, length: 10 })).rejects.toMatchObject({
      code: "not-found",
    });
  });

  it("goes on without a cache when the folder cannot be made", async () => {
    writeFileSync(join(base, "file"), "");
    await expect(DiskCache.open(join(base, "file", "cache"), REPOSITORY)).rejects.toMatchObject({
      message: expect.stringMatching(/^Cannot open cache ".*": ENOTDIR/),
    });
    const backend = new DiskCacheBackend(far);
    expect(await read(backend, treePack, 0, 10)).toEqual(trees.subarray(0, 10));
  });

  it("uses no cache of another version, and one whose version a crash has left empty", async () => {
    await (await open()).close();
    const version = join(base, REPOSITORY, "version");
    writeFileSync(version, "2");
    await expect(open()).rejects.toThrow('its version is "2", expected "1"');
    writeFileSync(version, "");
    await (await open()).close();
    expect(readFileSync(version, "utf8")).toBe("1");
  });
});
