import { rmSync } from "node:fs";
import { cp, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./run.js";

const FIXTURES = join(import.meta.dirname, "../fixtures/restic");

const made: string[] = [];

// At the end of the process and not in a hook, so that the function can be called anywhere.
process.on("exit", () => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** A fresh folder that is removed when the tests of the file are over. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "yore-test-"));
  made.push(folder);
  return folder;
}

/** A copy of a repository, in a fresh folder, that may be spoiled. */
export async function copyOfRepository(repository: string): Promise<string> {
  const copy = join(await temporaryFolder(), "repository");
  await cp(repository, copy, { recursive: true });
  return copy;
}

/** Unpacks `test/fixtures/restic/<name>.tar.gz` into a folder and returns the folder. */
export async function unpackFixture(name: string, folder: string): Promise<string> {
  const result = await run("tar", ["-xzf", join(FIXTURES, `${name}.tar.gz`), "-C", folder]);
  if (result.code !== 0) throw new Error(`Cannot unpack fixture "${name}": ${result.stderr}`);
  return folder;
}
