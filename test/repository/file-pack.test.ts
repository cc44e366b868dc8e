import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { parseId } from "../../src/bytes/id.js";
import { addonProblem } from "../../src/native/addon.js";
import type { Repository } from "../../src/repository/repository.js";
import { temporaryFolder } from "../support/temporary.js";
import { collect, createRepository, openRepository, wrapBackend } from "./support.js";

const MIB = 1024 * 1024;

describe.skipIf(addonProblem() !== undefined)("packs that grow in files", () => {
  let folder: string;
  let local: LocalBackend;
  beforeEach(async () => {
    folder = join(await temporaryFolder(), "repository");
    local = await LocalBackend.open(folder);
  });

  async function saveAll(repository: Repository, blobs: readonly Buffer[]): Promise<void> {
    await Promise.all(blobs.map((blob) => repository.saveBlob("data", blob)));
    await repository.flush();
  }

  /** Nothing but whole packs is there, and each blob comes back. */
  async function expectWhole(blobs: readonly Buffer[]): Promise<void> {
    const names = (await readdir(join(folder, "data"), { recursive: true })).filter(
      (name) => name.length > 2,
    );
    const packs = await collect(local.list("pack"));
    expect(packs.length).toBe(names.length);
    const opened = await openRepository(local);
    for (const { name, size } of packs) await opened.readPackHeader(parseId(name)!, size);
    for (const blob of blobs) {
      const loaded = await opened.loadBlob("data", opened.engine.hash(blob));
      expect(Buffer.from(loaded).equals(blob)).toBe(true);
    }
  }

  it("are of about the target size, and one where all fits in one", async () => {
    const repository = await createRepository({ packSizeBytes: 4 * MIB }, local);
    const few = Array.from({ length: 20 }, (_, i) => randomBytes(i * 1000));
    await saveAll(repository, few);
    expect((await collect(local.list("pack"))).length).toBe(1);
    const many = Array.from({ length: 60 }, () => randomBytes(700_000));
    await saveAll(repository, many);
    const packs = await collect(local.list("pack"));
    for (const { size } of packs) expect(size).toBeLessThan(5 * MIB);
    expect(packs.length).toBeLessThan(15);
    await expectWhole([...few, ...many]);
  });

  it("are saved in the usual way where they cannot be linked", async () => {
    const backend = wrapBackend(local, {
      place: async (handle) => ({
        ...(await local.place(handle)),
        path: join(folder, "not there", handle.name),
      }),
    });
    const repository = await createRepository({}, backend);
    const blobs = Array.from({ length: 20 }, (_, i) => randomBytes(i * 10_000));
    await saveAll(repository, blobs);
    await expectWhole(blobs);
  });

  it("fail the run when the folder of the repository is gone, and say so", async () => {
    const repository = await createRepository({}, local);
    await rm(folder, { recursive: true });
    const saving = repository.saveBlob("data", randomBytes(100_000));
    await expect(saving).rejects.toMatchObject({ code: "backend" });
    await expect(repository.flush()).rejects.toThrow(/the folder of the repository is missing/);
    // A failure is told once; then it starts afresh.
    await mkdir(folder);
    await local.create();
    await saveAll(repository, [randomBytes(1000)]);
    expect((await collect(local.list("pack"))).length).toBe(1);
  });
});
