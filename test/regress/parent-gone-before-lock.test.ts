import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createRepository } from "../../src/mod.js";
import { Gate } from "../support/gate.js";
import { type RestServer, startYoreServer } from "../support/rest-servers.js";
import { runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/** The parent was taken from a list that was made before the lock was held. */
describe("yore backup whose parent another client removes before the lock is held", () => {
  let folder: string;
  let server: RestServer;
  let gate: Gate;

  beforeEach(async () => {
    folder = await temporaryFolder();
    server = await startYoreServer(join(folder, "served"));
    gate = await Gate.open(server.url);
    await createRepository(`rest:${gate.url}`, { password: "geheim" });
    mkdirSync(join(folder, "files"));
    writeFileSync(join(folder, "files/file"), "content");
    expect((await backUp()).code).toBe(0);
  });

  afterEach(async () => {
    await gate.close();
    await server.stop();
  });

  const backUp = (...flags: string[]) =>
    runYore(["-r", `rest:${gate.url}`, "backup", ...flags, "file"], {
      cwd: join(folder, "files"),
      env: { YORE_PASSWORD: "geheim", YORE_CACHE_DIR: join(folder, "cache") },
    });

  /** Empties these folders when the snapshots have been listed, and before the lock is there. */
  function remove(...types: readonly string[]): void {
    gate.answered.length = 0;
    gate.rule = async (method, path) => {
      if (method !== "POST" || !path.startsWith("/locks/")) return undefined;
      await vi.waitFor(() => expect(gate.answered).toContain("GET /snapshots/"));
      for (const type of types)
        for (const name of readdirSync(join(folder, "served", type), {
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
    expect(readdirSync(join(folder, "served/snapshots"))).toHaveLength(1);
    gate.rule = () => undefined;
    const check = await runYore(["-r", `rest:${gate.url}`, "check", "--read-data"], {
      env: { YORE_PASSWORD: "geheim" },
    });
    expect(check).toMatchObject({ code: 0, stderr: "" });
  });
});
