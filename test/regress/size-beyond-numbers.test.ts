import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { TreeCache } from "../../src/cache/tree-cache.js";
import { encodeTree } from "../../src/format/tree.js";
import { listSnapshots, saveSnapshot } from "../../src/repository/snapshots.js";
import { createRepository, openRepository, PASSWORD, snapshotOf } from "../repository/support.js";
import { file } from "../restorer/support.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { missingPeer, runRestic, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const HUGE = "18446744073709551615";

describe("a node with a size beyond 2^53", () => {
  let folder: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    folder = await temporaryFolder();
    env = { RESTIC_PASSWORD: PASSWORD, RESTIC_REPOSITORY: join(folder, "repository") };
    const repository = await createRepository({}, await LocalBackend.open(env["RESTIC_REPOSITORY"]!));
    const nodes = [
      await file(repository, "huge", Buffer.from("three")),
      await file(repository, "other", Buffer.from("more")),
    ];
    const json = encodeTree(nodes).toString().replace('"size":5', `"size":${HUGE},"links":${HUGE}`);
    const { id } = await repository.saveBlob("tree", Buffer.from(json));
    await repository.flush();
    await saveSnapshot(repository, snapshotOf(id));
    await repository.close();
    await makeKeyCheap(env["RESTIC_REPOSITORY"]!, PASSWORD);
  });

  const yore = (...args: string[]) => runYore(args, { env, cwd: folder });

  it.each([[["ls", "-q"]], [["find", "-q", "*"]]])("%j lists its directory", async ([command, ...args]) => {
    const { code, stdout } = await yore(command!, ...(command === "ls" ? ["latest"] : []), ...args);
    expect([code, stdout]).toEqual([0, "/huge\n/other\n"]);
  });

  it("costs restore nothing: the content says how much there is", async () => {
    expect((await yore("restore", "latest", "-q", "-t", "out")).code).toBe(0);
    expect(await readFile(join(folder, "out/huge"), "utf8")).toBe("three");
    expect(await readFile(join(folder, "out/other"), "utf8")).toBe("more");
    expect((await yore("dump", "latest", "huge")).stdout).toBe("three");
  });

  it("is in the trees that the mount shows", async () => {
    const repository = await openRepository(await LocalBackend.open(env["RESTIC_REPOSITORY"]!));
    const [snapshot] = await listSnapshots(repository);
    const tree = await new TreeCache(repository).load(snapshot!.tree);
    expect([tree.length, tree.size(0)]).toEqual([2, Number.MAX_SAFE_INTEGER]);
    await repository.close();
  });

  it("is not rewritten to another size", async () => {
    const { code, stderr } = await yore("rewrite", "--exclude", "other", "latest");
    expect(code).not.toBe(0);
    expect(stderr).toContain("it has fields that would be lost");
    expect((await yore("ls", "latest", "-q")).stdout).toBe("/huge\n/other\n");
  });

  it("is mended by repair, which knows how long the blobs are", async () => {
    expect((await yore("repair", "snapshots", "--forget")).code).toBe(0);
    expect(JSON.parse((await yore("ls", "latest", "--json")).stdout.split("\n")[1]!)).toMatchObject({
      size: 5,
    });
  });

  it.skipIf(missingPeer("restic"))(
    "is left in a repository that restic finds nothing wrong with",
    async () => {
      expect((await runRestic(["check", "--no-cache"], { env })).code).toBe(0);
    },
  );
});
