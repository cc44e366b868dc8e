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
});
