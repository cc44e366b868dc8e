import { createHash, randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type Backend,
  type FileInfo,
  type FileType,
  type Handle,
  ROOM_FOR_BLOCKS,
} from "../../src/backend/backend.js";
import { DamagedError, NotFoundError } from "../../src/errors.js";

/** Makes an empty place, and takes it away again. */
export interface BackendFixture {
  open(): Promise<Backend>;
  remove(): Promise<void>;
  /** Whether it can tell that what is to be removed is not there; true when left out. */
  readonly missesRemoved?: boolean;
  /** Whether no listing shows a file that is still being saved; true when left out. */
  readonly listsWhole?: boolean;
  /** Whether a file can be saved by several at once without any of them failing; true when left out. */
  readonly savesAtOnce?: boolean;
}

/** What every backend must do, whatever it keeps its files in. */
export function backendSuite(name: string, makeFixture: () => Promise<BackendFixture>): void {
  describe(name, () => {
    let fixture: BackendFixture;
    let backend: Backend;

    beforeEach(async () => {
      fixture = await makeFixture();
      backend = await fixture.open();
      await backend.create();
    });

    afterEach(async () => {
      await backend.close();
      await fixture.remove();
    });

    it("create leaves what is there as it is", async () => {
      const handle = await saveRandom(backend, "pack", 100);
      await backend.create();
      expect((await backend.stat(handle)).size).toBe(100);
    });

    it("list of an empty place is empty for every type", async () => {
      for (const type of ["config", "key", "lock", "snapshot", "index", "pack"] as const)
        expect(await list(backend, type)).toEqual([]);
    });

    it.each(["key", "lock", "snapshot", "index", "pack"] as const)(
      "save and load give back a %s",
      async (type) => {
        const bytes = randomBytes(1000);
        const handle: Handle = { type, name: nameOf(bytes) };
        await backend.save(handle, [bytes]);
        expect(Buffer.from(await backend.load(handle))).toEqual(bytes);
        expect(await backend.stat(handle)).toEqual({ name: handle.name, size: 1000 });
        expect(await list(backend, type)).toEqual([{ name: handle.name, size: 1000 }]);
      },
    );

    it("save and load give back the config, which can be replaced", async () => {
      const handle: Handle = { type: "config", name: "" };
      await backend.save(handle, [Buffer.from("first, and longer")]);
      await backend.save(handle, [Buffer.from("second")]);
      expect(Buffer.from(await backend.load(handle)).toString()).toBe("second");
      expect(await list(backend, "config")).toEqual([{ name: "", size: 6 }]);
    });

    it("save joins pieces in their order, empty ones included", async () => {
      const pieces = [randomBytes(3), Buffer.alloc(0), randomBytes(70_000), randomBytes(1), Buffer.alloc(0)];
      const handle: Handle = { type: "pack", name: nameOf(Buffer.concat(pieces)) };
      await backend.save(handle, pieces);
      expect(Buffer.from(await backend.load(handle))).toEqual(Buffer.concat(pieces));
    });

    it("save takes thousands of pieces and files without a byte", async () => {
      const pieces = Array.from({ length: 5000 }, (_, i) => randomBytes(i % 50));
      const many: Handle = { type: "pack", name: nameOf(Buffer.concat(pieces)) };
      await backend.save(many, pieces);
      expect(Buffer.from(await backend.load(many))).toEqual(Buffer.concat(pieces));
      const empty: Handle = { type: "lock", name: nameOf(Buffer.alloc(0)) };
      await backend.save(empty, []);
      expect((await backend.load(empty)).length).toBe(0);
    });

    it("load reads exactly the range", async () => {
      const bytes = randomBytes(5000);
      const handle: Handle = { type: "pack", name: nameOf(bytes) };
      await backend.save(handle, [bytes]);
      const ranges: [number, number][] = [
        [0, 5000],
        [0, 1],
        [4999, 1],
        [1234, 567],
        [5000, 0],
      ];
      for (const [offset, length] of ranges)
        expect(Buffer.from(await backend.load(handle, { offset, length }))).toEqual(
          bytes.subarray(offset, offset + length),
        );
      expect(Buffer.from(await backend.load(handle, { offset: 4000 }))).toEqual(bytes.subarray(4000));
    });

    it("load gives the same bytes once as it does again and again", async () => {
      const bytes = randomBytes(3_000_001);
      const handle: Handle = { type: "pack", name: nameOf(bytes) };
      await backend.save(handle, [bytes]);
      const into = Buffer.alloc(bytes.length);
      expect(bytes.equals(await backend.load(handle, { into, once: true }))).toBe(true);
      const part = await backend.load(handle, { offset: 777, length: 2_000_000, into, once: true });
      expect(bytes.subarray(777, 2_000_777).equals(part)).toBe(true);
      const tooLong = backend.load(handle, { offset: 1_500_001, length: 1_500_001, into, once: true });
      await expect(tooLong).rejects.toThrow(DamagedError);
      const missing: Handle = { type: "pack", name: nameOf(randomBytes(8)) };
      await expect(backend.load(missing, { into, once: true })).rejects.toThrow(NotFoundError);
    });

    it("load gives exactly the range in memory with room for whole blocks, wherever the range lies", async () => {
      const bytes = randomBytes(3_000_001);
      const handle: Handle = { type: "pack", name: nameOf(bytes) };
      await backend.save(handle, [bytes]);
      const memory = Buffer.alloc(bytes.length + ROOM_FOR_BLOCKS + 1);
      for (const [offset, length] of [
        [0, 3_000_001],
        [1, 3_000_000],
        [4096, 300_000],
        [2_000_000, 1_000_001],
        [4095, 1_048_577],
        [8191, 262_144],
      ] as const) {
        for (const kind of [{ isKept: true }, { once: true }, {}]) {
          // The memory itself lies at any address.
          const into = memory.fill(0).subarray(1, 1 + length + ROOM_FOR_BLOCKS);
          const got = await backend.load(handle, { offset, length, into, ...kind });
          expect(bytes.subarray(offset, offset + length).equals(got)).toBe(true);
          expect(memory[0]).toBe(0);
          expect(memory.subarray(1 + into.length).every((byte) => byte === 0)).toBe(true);
        }
      }
      const tooLong = { offset: 2_000_002, length: 1_000_000, into: memory, isKept: true };
      await expect(backend.load(handle, tooLong)).rejects.toThrow(DamagedError);
    });

    it.each([100, 100_000])(
      "load reads up to the end of a file of %i bytes where that is asked for",
      async (size) => {
        const bytes = randomBytes(size);
        const handle: Handle = { type: "pack", name: nameOf(bytes) };
        await backend.save(handle, [bytes]);
        const read = async (offset: number, length: number) =>
          Buffer.from(await backend.load(handle, { offset, length, upTo: true }));
        expect(await read(0, size + 1)).toEqual(bytes);
        expect(await read(10, 2 * size)).toEqual(bytes.subarray(10));
        expect(await read(10, 20)).toEqual(bytes.subarray(10, 30));
        expect(await read(size, 5)).toEqual(Buffer.alloc(0));
        expect(await read(size + 1, 5)).toEqual(Buffer.alloc(0));
        const missing: Handle = { type: "pack", name: nameOf(randomBytes(9)) };
        const failure = backend.load(missing, { offset: 0, length: 5, upTo: true });
        await expect(failure).rejects.toBeInstanceOf(NotFoundError);
      },
    );

    it("load throws DamagedError when the file ends before the range", async () => {
      const handle = await saveRandom(backend, "pack", 100);
      await expect(backend.load(handle, { offset: 90, length: 11 })).rejects.toThrow(DamagedError);
      await expect(backend.load(handle, { offset: 200, length: 1 })).rejects.toThrow(/too short/);
      await expect(backend.load(handle, { offset: 0, length: 4_000_000_000 })).rejects.toThrow(DamagedError);
    });

    it("load, stat and remove throw NotFoundError for what is not there", async () => {
      for (const type of ["config", "snapshot", "pack"] as const) {
        const handle: Handle = { type, name: type === "config" ? "" : nameOf(Buffer.from("nothing")) };
        await expect(backend.load(handle)).rejects.toThrow(NotFoundError);
        await expect(backend.load(handle, { offset: 0, length: 1 })).rejects.toThrow(NotFoundError);
        await expect(backend.stat(handle)).rejects.toThrow(NotFoundError);
        if (fixture.missesRemoved ?? true)
          await expect(backend.remove(handle)).rejects.toThrow(NotFoundError);
        else await backend.remove(handle);
      }
    });

    it("remove takes a file away, and only that", async () => {
      const doomed = await saveRandom(backend, "snapshot", 10);
      const kept = await saveRandom(backend, "snapshot", 20);
      await backend.remove(doomed);
      expect(await list(backend, "snapshot")).toEqual([{ name: kept.name, size: 20 }]);
      if (fixture.missesRemoved ?? true) await expect(backend.remove(doomed)).rejects.toThrow(NotFoundError);
    });

    it("list shows many packs with their sizes", async () => {
      const wanted: FileInfo[] = [];
      for (let size = 0; size < 300; size++)
        wanted.push({ name: (await saveRandom(backend, "pack", size)).name, size });
      expect(byName(await list(backend, "pack"))).toEqual(byName(wanted));
    });

    it("list goes on while files are saved and removed, and shows none of them half", async () => {
      const before = new Set<string>();
      for (let i = 0; i < 50; i++) before.add((await saveRandom(backend, "pack", 64)).name);
      const isWhole = (size: number) => size === 64 || (size < 64 && fixture.listsWhole === false);
      let listing = true;
      const saving = (async () => {
        while (listing) {
          const handle = await saveRandom(backend, "pack", 64);
          if (Math.random() < 0.5) await backend.remove(handle);
        }
      })();
      for (let round = 0; round < 5; round++) {
        const seen = await list(backend, "pack");
        expect(seen.filter(({ size }) => !isWhole(size))).toEqual([]);
        const names = new Set(seen.map(({ name }) => name));
        expect([...before].filter((name) => !names.has(name))).toEqual([]);
      }
      listing = false;
      await saving;
    });

    it("save of one file by two at once leaves one whole file", async () => {
      const bytes = randomBytes(300_000);
      const handle: Handle = { type: "pack", name: nameOf(bytes) };
      const save = () => backend.save(handle, [bytes.subarray(0, 99), bytes.subarray(99)]);
      const saves = await Promise.allSettled([save(), save(), save()]);
      const refused = saves.filter(({ status }) => status === "rejected");
      if (fixture.savesAtOnce ?? true) expect(refused).toEqual([]);
      // The program tries again, too.
      else if (refused.length > 0) await save();
      expect(Buffer.from(await backend.load(handle))).toEqual(bytes);
      expect(await list(backend, "pack")).toEqual([{ name: handle.name, size: bytes.length }]);
    });

    it("save, load and remove do nothing once the signal has fired", async () => {
      const handle: Handle = { type: "pack", name: nameOf(Buffer.from("never")) };
      const aborted = AbortSignal.abort();
      await expect(backend.save(handle, [Buffer.from("never")], aborted)).rejects.toMatchObject({
        code: "interrupted",
      });
      expect(await list(backend, "pack")).toEqual([]);
      const there = await saveRandom(backend, "pack", 10);
      await expect(backend.load(there, { signal: aborted })).rejects.toMatchObject({ code: "interrupted" });
    });

    it("keeps what was saved when it is opened again", async () => {
      const handle = await saveRandom(backend, "index", 77);
      await backend.close();
      backend = await fixture.open();
      expect((await backend.stat(handle)).size).toBe(77);
    });
  });
}

export async function saveRandom(backend: Backend, type: FileType, size: number): Promise<Handle> {
  const bytes = randomBytes(size);
  // Servers compare the name with the hash of the content.
  const handle: Handle = { type, name: nameOf(bytes) };
  await backend.save(handle, [bytes]);
  return handle;
}

export async function list(backend: Backend, type: FileType): Promise<FileInfo[]> {
  const files: FileInfo[] = [];
  for await (const file of backend.list(type)) files.push(file);
  return files;
}

export function nameOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function byName(files: FileInfo[]): FileInfo[] {
  return files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
