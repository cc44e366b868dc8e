import { describe, expect, it } from "vitest";
import type { FileInfo } from "../../src/backend/backend.js";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { parseId } from "../../src/bytes/id.js";
import {
  collect,
  createRepository,
  flipBit,
  openRepository,
  saveSmallBackup,
  wrapBackend,
} from "./support.js";

describe("Repository.loadFile", () => {
  it.each(["snapshot", "index"] as const)("names a %s with a flipped bit", async (type) => {
    const backend = new MemoryBackend();
    const repository = await createRepository({}, backend);
    await saveSmallBackup(repository, [100]);
    const [{ name }] = (await collect(backend.list(type))) as [FileInfo];
    for (const offset of [0, 20, 60]) {
      await flipBit(backend, { type, name }, offset);
      const failure = repository.loadFile(type, parseId(name)!);
      await expect(failure).rejects.toMatchObject({
        code: "damaged",
        message: expect.stringContaining(`${type} ${name.slice(0, 8)}`),
        hint: expect.stringContaining(name),
      });
      await flipBit(backend, { type, name }, offset);
    }
    await repository.loadFile(type, parseId(name)!);
  });

  it("tries once more when the bytes came spoiled", async () => {
    const backend = new MemoryBackend();
    const { snapshot } = await saveSmallBackup(await createRepository({}, backend), [100]);
    let spoil = true;
    const flaky = wrapBackend(backend, {
      load: async (handle, range) => {
        const bytes = Buffer.from(await backend.load(handle, range));
        if (handle.type === "snapshot" && spoil) {
          bytes[30]! ^= 1;
          spoil = false;
        }
        return bytes;
      },
    });
    const reader = await openRepository(flaky);
    expect((await reader.loadFile("snapshot", snapshot)).length).toBeGreaterThan(0);
  });
});
