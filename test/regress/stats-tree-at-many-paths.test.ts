import { describe, expect, it } from "vitest";
import { runStats } from "../../src/commands/stats.js";
import { GO_MODE_DIR } from "../../src/format/file-mode.js";
import { saveSnapshot } from "../../src/repository/snapshots.js";
import { createRepository, node, saveTree, snapshotOf } from "../repository/support.js";
import { sessionOf } from "../support/session-of.js";

/** Each level doubles the paths: far more than can be walked one by one. */
const DEPTH = 40;

describe("stats", () => {
  it("counts hard links below a tree that stands at a million million paths", async () => {
    const repository = await createRepository();
    const linked = { size: 100, links: 2, inode: 5n };
    let id = await saveTree(repository, [node("link 1", linked), node("link 2", linked)]);
    for (let i = 0; i < DEPTH; i++) {
      const folder = { type: "dir", mode: GO_MODE_DIR + 0o755, subtree: id, content: null } as const;
      id = await saveTree(repository, [node("a", folder), node("b", folder)]);
    }
    await repository.flush();
    await saveSnapshot(repository, snapshotOf(id));
    const session = sessionOf(repository);
    const filter = { hosts: [], tags: [], paths: [] };
    const stats = await runStats(session, { names: [], filter, mode: "restore-size" });
    // Two files at each of 2^40 paths, and 2^1 + ... + 2^40 directories.
    expect(stats).toMatchObject({ totalFiles: 2 ** 41 + 2 ** 41 - 2, totalSize: 100 });
    await repository.close();
  });
});
