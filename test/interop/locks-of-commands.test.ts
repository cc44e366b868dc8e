import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRepository } from "../../src/mod.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { resticSays } from "../support/interop.js";
import { missingPeer, peer, runRestic, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/** Commands that change what others need want the repository alone; those that add or read do not. */

let folder: string;
let env: Record<string, string>;
let holder: ReturnType<typeof spawn>;

describe.skipIf(missingPeer("restic"))("while restic backs up", () => {
  beforeAll(async () => {
    folder = await temporaryFolder();
    env = { RESTIC_PASSWORD: "geheim", RESTIC_REPOSITORY: join(folder, "repository") };
    await writeFile(join(folder, "password"), "neu");
    await resticSays(env, ["init", "--quiet"]);
    await makeKeyCheap(join(folder, "repository"), "geheim");
    await resticSays(env, ["backup", "-q", join(folder, "password")]);
    // It holds its lock until its input ends.
    holder = spawn(peer("restic")!, ["backup", "--quiet", "--no-cache", "--stdin"], {
      env: { ...process.env, ...env },
      stdio: ["pipe", "ignore", "ignore"],
    });
    while ((await readdir(join(folder, "repository/locks"))).length === 0) await new Promise(setImmediate);
  }, 60_000);

  afterAll(async () => {
    holder.stdin!.end("x");
    await once(holder, "close");
  });

  it.each([
    [["forget", "--keep-last", "1"]],
    [["forget", "--keep-last", "1", "--dry-run"]],
    [["tag", "--add", "x"]],
    [["rewrite", "--forget", "--exclude", "x"]],
    [["key", "passwd", "--new-insecure-no-password"]],
    [["key", "remove", "00000000"]],
  ])("%j has to wait", async (args) => {
    const result = await runYore(args, { env });
    expect(result.code).toBe(11);
    expect(result.stderr).toContain(`PID ${holder.pid}`);
  });

  it.each([
    [["forget", "--keep-last", "1", "--dry-run", "--no-lock"]],
    [["rewrite", "--forget", "--exclude", "x", "--dry-run"]],
    [["rewrite", "--new-host", "other"]],
    [["key", "list"]],
    [["key", "add", "--new-insecure-no-password"]],
    [["find", "password"]],
    [["stats"]],
    [["diff", "latest", "latest"]],
    [["dump", "latest", "/"]],
  ])("%j does not", async (args) => {
    expect((await runYore(args, { env })).code).toBe(0);
  });
});

describe.skipIf(missingPeer("restic"))("while yore has the lock of forget", () => {
  it("restic neither forgets nor backs up", async () => {
    const repository = join(await temporaryFolder(), "repository");
    await cp(join(folder, "repository"), repository, { recursive: true });
    const session = await openRepository(repository, { password: "geheim", lock: "none" });
    await session.repository.unlock({ removeAll: true });
    const lock = await session.repository.lock({ exclusive: true });
    try {
      for (const args of [
        ["forget", "--keep-last", "1"],
        ["backup", join(folder, "password")],
      ]) {
        const result = await runRestic([...args, "--no-cache"], {
          env: { ...env, RESTIC_REPOSITORY: repository },
        });
        expect(result.code).toBe(11);
      }
    } finally {
      await lock.release();
      await session.close();
    }
  });
});
