import { chmod, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeKeyCheap } from "../support/cheap-key.js";
import { runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const env = { RESTIC_PASSWORD: "geheim" };
let source: string;
let repository: string;
let damaged: string;

beforeAll(async () => {
  const folder = await temporaryFolder();
  source = join(folder, "source.txt");
  repository = join(folder, "repository");
  await writeFile(source, "precious");
  expect((await runYore(["-r", repository, "init"], { env })).code).toBe(0);
  await makeKeyCheap(repository, "geheim");
  expect((await runYore(["-r", repository, "backup", source], { env })).code).toBe(0);
  const [name] = await readdir(join(repository, "index"));
  damaged = name!;
  const path = join(repository, "index", damaged);
  await chmod(path, 0o600);
  await writeFile(path, "garbage");
});

describe("a damaged index file", () => {
  it("makes `list blobs` fail instead of printing a list that lacks something", async () => {
    const result = await runYore(["-r", repository, "list", "blobs"], { env });
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(`Cannot load index ${damaged.slice(0, 8)}`);
  });

  it("is told by `backup`, which saves what cannot be found again", async () => {
    const result = await runYore(["-r", repository, "backup", "--force", source], { env });
    expect(result.code).toBe(0);
    expect(result.stderr).toContain(`Cannot load index ${damaged.slice(0, 8)}`);
    const dump = await runYore(["-r", repository, "ls", "latest"], { env });
    expect(dump.stdout).toContain("source.txt");
  });

  it("is told by whatever reads what can still be found", async () => {
    const target = join(await temporaryFolder(), "target");
    const list = await runYore(["-r", repository, "snapshots", "--json"], { env });
    const id = JSON.parse(list.stdout).at(-1).id;
    const { tree } = JSON.parse((await runYore(["-r", repository, "cat", "snapshot", id], { env })).stdout);
    const commands = [
      ["ls", id],
      ["find", "source.txt", "--snapshot", id],
      ["stats", id],
      ["diff", id, id],
      ["dump", id, source],
      ["cat", "tree", id],
      ["cat", "blob", tree],
      ["rewrite", "--dry-run", "--exclude", "no-such-file", id],
    ];
    for (const command of commands) {
      const result = await runYore(["-r", repository, ...command], { env });
      expect(result, command[0]).toMatchObject({ code: 0 });
      expect(result.stderr, command[0]).toContain(`Cannot load index ${damaged.slice(0, 8)}`);
      expect(result.stderr, command[0]).toContain("yore check");
    }
    const from = { RESTIC_FROM_PASSWORD: "geheim", ...env };
    expect((await runYore(["-r", target, "init"], { env })).code).toBe(0);
    const copy = await runYore(["-r", target, "copy", "--from-repo", repository, id], { env: from });
    expect(copy).toMatchObject({ code: 0 });
    expect(copy.stderr).toContain(`Cannot load index ${damaged.slice(0, 8)}`);
    const asJson = await runYore(["-r", repository, "--json", "ls", id], { env });
    expect(JSON.parse(asJson.stderr)).toMatchObject({ message_type: "error" });
  });
});
