import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { GatedRepository } from "../support/gated-repository.js";
import { runYore, spawnYore } from "../support/run.js";

/** A request that is not answered, however long one waits: method, folder, and the command that needs it. */
const UNANSWERED: readonly (readonly [string, string, ...string[]])[] = [
  ["GET", "snapshots", "snapshots"],
  ["GET", "snapshots", "list", "snapshots"],
  ["GET", "index", "repair", "index"],
  ["GET", "data", "prune", "--dry-run"],
  ["GET", "data", "check"],
  ["GET", "locks", "unlock"],
  ["HEAD", "snapshots", "backup", "file"],
  ["POST", "locks", "snapshots"],
  ["POST", "keys", "key", "add", "--new-password-file", "file"],
  ["POST", "snapshots", "tag", "--add", "new"],
  ["POST", "data", "backup", "--force", "new"],
  ["POST", "index", "backup", "--force", "new"],
  ["DELETE", "snapshots", "forget", "--keep-last", "1"],
];

describe.each([
  ["is away", "hang-up"],
  ["hangs", "silence"],
] as const)("SIGINT while the server %s", (_, answer) => {
  let repository: GatedRepository;
  const yore = (...args: string[]) => ["-r", repository.location, "--no-cache", ...args];

  beforeAll(async () => {
    repository = await GatedRepository.create();
    const { folder, env } = repository;
    for (const content of ["one", "two"]) {
      writeFileSync(join(folder, "file"), content);
      expect((await runYore(yore("backup", "file"), { env, cwd: folder })).code).toBe(0);
    }
  });

  afterAll(() => repository.close());

  it.each(UNANSWERED)("ends the waiting for %s %s of %s", async (method, type, ...args) => {
    const { folder, env, gate } = repository;
    writeFileSync(join(folder, "new"), `new for ${args}`);
    let arrived = 0;
    gate.rule = (asked, path) => {
      if (asked !== method || !path.startsWith(`/${type}/`)) return undefined;
      arrived++;
      return answer;
    };
    const child = spawnYore(yore(...args), { env, cwd: folder });
    onTestFinished(() => void child.kill("SIGKILL"));
    const said: Buffer[] = [];
    child.stdout!.resume();
    child.stderr!.on("data", (piece: Buffer) => said.push(piece));
    const ended = once(child, "close");
    await vi.waitFor(() => {
      expect(arrived).toBeGreaterThan(0);
      if (answer === "hang-up") expect(Buffer.concat(said).toString()).toContain("trying again");
    }, 30_000);
    child.kill("SIGINT");
    expect(await ended).toEqual([130, null]);
    expect(readdirSync(join(repository.served, "locks"))).toEqual([]);
  });
});
