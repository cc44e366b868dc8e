import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { createRepository, openRepository } from "../../src/mod.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { spawnYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

let repository: string;
const env = { YORE_PASSWORD: "geheim" };

beforeAll(async () => {
  repository = join(await temporaryFolder(), "repository");
  await createRepository(repository, { password: "geheim" });
  await makeKeyCheap(repository, "geheim");
});

const locks = () => readdir(join(repository, "locks"));

describe.each(["SIGINT", "SIGTERM"] as const)("%s", (signal) => {
  it("ends the waiting for a lock with 130", async () => {
    const session = await openRepository(repository, { password: "geheim", lock: "exclusive" });
    try {
      const child = spawnYore(["-r", repository, "--retry-lock", "1h", "snapshots"], { env });
      const [said] = (await once(child.stderr!, "data")) as [Buffer];
      expect(said.toString()).toContain("waiting up to 1:00:00 for the lock");
      child.kill(signal);
      expect(await once(child, "exit")).toEqual([130, null]);
    } finally {
      await session.close();
    }
  });

  it("releases the lock of a command at work", async () => {
    const child = spawnYore(["-r", repository, "backup", "--stdin"], { env });
    child.stdin!.on("error", () => {});
    await vi.waitFor(async () => expect(await locks()).toHaveLength(1), 30_000);
    child.kill(signal);
    expect(await once(child, "exit")).toEqual([130, null]);
    expect(await locks()).toEqual([]);
  });
});

describe("SIGHUP", () => {
  it("does not stop a command: a closed terminal must not leave half the work", async () => {
    const child = spawnYore(["-r", repository, "backup", "--stdin", "--json"], { env });
    await vi.waitFor(async () => expect(await locks()).toHaveLength(1), 30_000);
    child.kill("SIGHUP");
    child.stdin!.end("content");
    expect(await once(child, "exit")).toEqual([0, null]);
  });
});

describe("a reader that has gone", () => {
  it("ends the command quietly, its lock released", async () => {
    const child = spawnYore(["-r", repository, "list", "keys"], { env });
    let said = "";
    child.stderr!.on("data", (piece) => (said += piece));
    child.stdout!.destroy();
    expect(await once(child, "exit")).toEqual([141, null]);
    expect(said).toBe("");
    expect(await locks()).toEqual([]);
  });
});
