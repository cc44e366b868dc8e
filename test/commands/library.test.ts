import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  backup,
  createRepository,
  findSnapshot,
  formatId,
  listSnapshots,
  openRepository,
  parseId,
  walkTree,
  YoreError,
} from "../../src/mod.js";
import { temporaryFolder } from "../support/temporary.js";

describe("the library", () => {
  it("makes a repository, backs up, lists and reads", async () => {
    const folder = await temporaryFolder();
    const location = join(folder, "repository");
    await mkdir(join(folder, "files"));
    await writeFile(join(folder, "files/a"), "content of a");

    const id = await createRepository(location, { password: "geheim" });
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    const session = await openRepository(location, { password: "geheim" });
    try {
      const { repository, signal } = session;
      const summary = await backup(
        repository,
        { targets: [join(folder, "files")], host: "h", tags: ["t"], programVersion: "test" },
        { signal },
      );
      const [snapshot] = await listSnapshots(repository, { hosts: ["h"], tags: [["t"]], paths: [] });
      expect(formatId(snapshot!.id)).toBe(summary.snapshotId);
      await repository.loadIndex({ signal });
      const found = await findSnapshot(repository, "latest");
      const paths: string[] = [];
      let content = "";
      for await (const { path, node } of walkTree(repository, found.snapshot.tree, { signal })) {
        paths.push(path.toString());
        for (const blob of node.content ?? [])
          content += Buffer.from(await repository.loadBlob("data", blob)).toString();
      }
      expect(`/${paths.at(-1)}`).toBe(join(folder, "files/a"));
      expect(content).toBe(await readFile(join(folder, "files/a"), "utf8"));
    } finally {
      await session.close();
    }
  });

  it("opens with a password that is asked for, again after a wrong one", async () => {
    const location = join(await temporaryFolder(), "repository");
    await createRepository(location, { password: "geheim" });
    const asked: number[] = [];
    const ask = (attempt: number) => {
      asked.push(attempt);
      return Promise.resolve(attempt === 2 ? "geheim" : "wrong");
    };
    await (await openRepository(location, { password: { attempts: 3, ask } })).close();
    expect(asked).toEqual([0, 1, 2]);
    await expect(openRepository(location, { password: { attempts: 2, ask } })).rejects.toMatchObject({
      code: "wrong-password",
    });
  });

  it("asks for no password where there is no repository", async () => {
    const ask = () => Promise.reject(new Error("asked"));
    const nowhere = join(await temporaryFolder(), "nowhere");
    const opening = openRepository(nowhere, { password: { attempts: 1, ask } });
    await expect(opening).rejects.toBeInstanceOf(YoreError);
    await expect(opening).rejects.toMatchObject({ code: "no-repository" });
    expect(parseId("x")).toBeUndefined();
  });
});
