import { readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { temporaryFolder } from "../support/temporary.js";

const HOUR_MS = 60 * 60 * 1000;
const NAME = "ab".repeat(32);

it("removeLeftovers takes away what killed writers left long ago, and nothing else", async () => {
  const folder = await temporaryFolder();
  const backend = await LocalBackend.open(folder);
  await backend.create();
  const old = [`data/ab/${NAME}-tmp-0123456789abcdef`, `index/${NAME}-tmp-12345`, "config-tmp-00ff"];
  const others = [
    `data/ab/${NAME}`,
    `data/ab/${NAME}-tmp-`,
    `snapshots/${NAME}-tmp-note.txt`,
    "data/notes-tmp-1",
    `locks/${NAME}-tmp-77`,
  ];
  const before = new Date(Date.now() - 2 * HOUR_MS);
  for (const name of [...old, ...others]) await writeFile(join(folder, name), "some bytes");
  // The lock is being written just now.
  for (const name of [...old, ...others.slice(0, -1)]) await utimes(join(folder, name), before, before);
  expect(await backend.removeLeftovers(HOUR_MS)).toEqual({ files: 3, bytes: 30 });
  const left = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  );
  expect(left.map((entry) => join(entry.parentPath, entry.name)).sort()).toEqual(
    others.map((name) => join(folder, name)).sort(),
  );
  expect(await backend.removeLeftovers(HOUR_MS)).toEqual({ files: 0, bytes: 0 });
});
