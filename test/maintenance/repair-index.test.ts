import { randomBytes } from "node:crypto";
import { existsSync, renameSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import type { Engine } from "../../src/engine/engine.js";
import { DamagedError } from "../../src/errors.js";
import { repairIndex } from "../../src/maintenance/repair-index.js";
import { Repository } from "../../src/repository/repository.js";
import { createRepository, openRepository, PASSWORD } from "../repository/support.js";

it("keeps the index when the repository's disk is away while the packs are listed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "yore-repair-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const place = join(folder, "repository");
  const repository = await createRepository({}, await LocalBackend.open(place));
  const content = randomBytes(1000);
  await repository.saveBlob("data", content);
  await repository.flush();
  const indexFiles = await readdir(join(place, "index"));
  expect(indexFiles.length).toBe(1);

  const away = `${place}-away`;
  const repair = repairIndex(
    await openRepository(await LocalBackend.open(place)),
    {},
    {
      on: (event) => {
        if (event.type === "phase" && event.phase === "packs") renameSync(place, away);
        else if (event.type === "phase" && existsSync(away)) renameSync(away, place);
      },
    },
  );
  await expect(repair).rejects.toThrow(/not there any more/);
  renameSync(away, place);
  expect(await readdir(join(place, "index"))).toEqual(indexFiles);
});

it("keeps the old index when a new index file cannot be sealed soundly while packs are read", async () => {
  const backend = new MemoryBackend();
  const writer = await createRepository({}, backend);
  // Two packs that do not fit into one index file.
  for (let pack = 0; pack < 2; pack++) {
    const blobs = Array.from({ length: 30_000 }, () => randomBytes(16));
    for (let i = 0; i < blobs.length; i += 3000)
      await writer.saveSmallBlobs(
        blobs.slice(i, i + 3000).map((plaintext) => ({ id: writer.engine.hash(plaintext), plaintext })),
      );
    await writer.flush();
  }
  const { size } = writer.index;
  const isIndex = (plaintext: Uint8Array) => plaintext.length > 100_000;
  let failures = 1;
  const seal: Engine["seal"] = (key, inputs, options) => {
    if (inputs.some(({ plaintext }) => isIndex(plaintext)) && failures-- > 0)
      return Promise.reject(new DamagedError("Cannot seal: it did not open again as it was before"));
    return writer.engine.seal(key, inputs, options);
  };
  const faulty = new Proxy(writer.engine, {
    get: (engine, name) => {
      if (name === "seal") return seal;
      const value: unknown = Reflect.get(engine, name);
      return typeof value === "function" ? value.bind(engine) : value;
    },
  });
  const repository = await Repository.open(backend, faulty, { password: PASSWORD });
  await expect(repairIndex(repository, { readAllPacks: true })).rejects.toMatchObject({ code: "damaged" });
  expect(failures).toBe(0);
  expect((await openRepository(backend)).index.size).toBe(size);
});
