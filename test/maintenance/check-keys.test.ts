import { describe, expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.js";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId } from "../../src/bytes/id.js";
import { NotFoundError, YoreError } from "../../src/errors.js";
import { check } from "../../src/maintenance/check.js";
import { createRepository, openRepository, wrapBackend } from "../repository/support.js";

/** A repository with a second key, whose file is loaded in another way. */
async function withSecondKey(load: (bytes: Uint8Array) => Uint8Array) {
  const backend = new MemoryBackend();
  const repository = await createRepository({}, backend);
  const second = await repository.addKey("zweites");
  const far: Backend = wrapBackend(backend, {
    load: async (handle, range) => {
      const bytes = await backend.load(handle, range);
      return handle.type === "key" && handle.name === formatId(second) ? load(bytes) : bytes;
    },
  });
  return { second, summary: await check(await openRepository(far)) };
}

describe("check of key files", () => {
  it("finds nothing wrong with keys of other passwords", async () => {
    const { summary } = await withSecondKey((bytes) => bytes);
    expect(summary).toMatchObject({ errors: 0, keyErrors: 0, damagedKeys: [] });
  });

  it("names one whose bytes are not what was saved", async () => {
    const { second, summary } = await withSecondKey((bytes) => bytes.subarray(1));
    expect(summary).toMatchObject({ errors: 1, keyErrors: 1 });
    expect(summary.damagedKeys.map(formatId)).toEqual([formatId(second)]);
  });

  it("gives up none that is only out of reach", async () => {
    const { summary } = await withSecondKey(() => {
      throw new YoreError("timeout", "Cannot load key: no answer");
    });
    expect(summary).toMatchObject({ errors: 1, keyErrors: 1, damagedKeys: [] });
  });

  it("takes one that was removed meanwhile for gone", async () => {
    const { summary } = await withSecondKey(() => {
      throw new NotFoundError("Cannot load key: file does not exist");
    });
    expect(summary).toMatchObject({ errors: 0, keyErrors: 0 });
  });
});
