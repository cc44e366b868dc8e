import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { GatedRepository } from "../support/gated-repository.js";
import { runYore } from "../support/run.js";

/** The parent was taken from a list that was made before the lock was held. */
describe("yore backup whose parent another client removes before the lock is held", () => {
  let repository: GatedRepository;

  beforeEach(async () => {
    repository = await GatedRepository.create();
    const { folder } = repository;
    mkdirSync(join(folder, "files"));
    writeFileSync(join(folder, "files/file"), "content");
    expect((await backUp()).code).toBe(0);
  });

  afterEach(() => repository.close());

  const backUp = (...flags: string[]) =>
    runYore(["-r", repository.location, "backup", ...flags, "file"], {
      cwd: join(repository.folder, "files"),
      env: { ...repository.env, YORE_CACHE_DIR: join(repository.folder, "cache") },
    });

  /** Empties these folders when the snapshots have been listed, and before the lock is there. */
  function remove(...types: readonly string[]): void {
    const { gate, served } = repository;
    gate.answered.length = 0;
    gate.rule = async (method, path) => {
      if (method !== "POST" || !path.startsWith("/locks/")) return undefined;
      await vi.waitFor(() => expect(gate.answered).toContain("GET /snapshots/"));
      for (const type of types)
        for (const name of readdirSync(join(served, type), {
          recursive: true,
          withFileTypes: true,
        }))
          if (name.isFile()) rmSync(join(name.parentPath, name.name));
      return undefined;
    };
  }

  it.each([
    ["forgets", ["snapshots"]],
    ["prunes", ["snapshots", "index", "data"]],
  ])("makes a whole snapshot when the other %s it", async (_, types) => {
    remove(...types);
    expect(await backUp("--skip-if-unchanged")).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^snapshot [0-9a-f]{8} saved/m),
      stderr: "",
    });
    expect(readdirSync(join(repository.served, "snapshots"))).toHaveLength(1);
    repository.gate.rule = () => undefined;
    const check = await runYore(["-r", repository.location, "check", "--read-data"], { env: repository.env });
    expect(check).toMatchObject({ code: 0, stderr: "" });
  });
});
