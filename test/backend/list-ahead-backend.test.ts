import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { FileInfo, FileType } from "../../src/backend/backend.js";
import { AHEAD_MAX_AGE_MS, ListAheadBackend } from "../../src/backend/list-ahead-backend.js";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { backendSuite, list } from "../suites/backend-suite.js";

backendSuite("ListAheadBackend", async () => {
  const inner = new MemoryBackend();
  return { open: async () => new ListAheadBackend(inner), remove: async () => {} };
});

/** Counts listings, and fails those that it is told to. */
class CountingBackend extends MemoryBackend {
  readonly listed: FileType[] = [];
  fails = false;

  override async *list(type: FileType): AsyncIterable<FileInfo> {
    this.listed.push(type);
    if (this.fails) throw new Error("no answer");
    yield* super.list(type);
  }
}

describe("ListAheadBackend", () => {
  let inner: CountingBackend;
  let backend: ListAheadBackend;
  const first = { name: "a".repeat(64), size: 1 };
  const second = { name: "b".repeat(64), size: 2 };
  const save = ({ name, size }: FileInfo) => inner.save({ type: "snapshot", name }, [Buffer.alloc(size)]);

  beforeEach(async () => {
    inner = new CountingBackend();
    backend = new ListAheadBackend(inner);
    await save(first);
  });

  afterEach(() => void vi.useRealTimers());

  it("hands a listing to the next who lists that type, and to nobody after", async () => {
    expect(await backend.listAhead("snapshot")).toEqual([first]);
    await save(second);
    expect(await list(backend, "index")).toEqual([]);
    expect(await list(backend, "snapshot")).toEqual([first]);
    expect(await list(backend, "snapshot")).toEqual([first, second]);
    expect(inner.listed).toEqual(["snapshot", "index", "snapshot"]);
  });

  it("hands on what is still being listed", async () => {
    const listing = backend.listAhead("snapshot");
    expect(await list(backend, "snapshot")).toEqual([first]);
    await listing;
    expect(inner.listed).toEqual(["snapshot"]);
  });

  it("begins after what it shall come after", async () => {
    const before = backend.listAhead("snapshot").then(() => save(second));
    expect(await backend.listAhead("snapshot", before)).toEqual([first, second]);
  });

  it("lists anew what was forgotten", async () => {
    await backend.listAhead("snapshot");
    await save(second);
    backend.forget(["index", "snapshot"]);
    expect(await list(backend, "snapshot")).toEqual([first, second]);
  });

  it.each([AHEAD_MAX_AGE_MS + 1, -1])(
    "lists anew what is too old, and what a clock that was set says nothing about (%i ms)",
    async (age) => {
      vi.useFakeTimers({ toFake: ["Date"] });
      await backend.listAhead("snapshot");
      await save(second);
      vi.setSystemTime(Date.now() + age);
      expect(await list(backend, "snapshot")).toEqual([first, second]);
    },
  );

  it("fails whoever takes a listing that failed, nobody else", async () => {
    inner.fails = true;
    await expect(backend.listAhead("snapshot")).rejects.toThrow("no answer");
    await expect(list(backend, "snapshot")).rejects.toThrow("no answer");
    inner.fails = false;
    expect(await list(backend, "snapshot")).toEqual([first]);
  });
});
