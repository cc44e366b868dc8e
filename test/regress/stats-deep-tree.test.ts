import { describe, expect, it } from "vitest";
import { runStats, STATS_MODES } from "../../src/commands/stats.js";
import { GO_MODE_DIR } from "../../src/format/file-mode.js";
import { saveSnapshot } from "../../src/repository/snapshots.js";
import { createRepository, node, saveTree, snapshotOf } from "../repository/support.js";
import { sessionOf } from "../support/session-of.js";

/** Deeper than any call may go. */
const DEPTH = 20_000;

describe("stats", () => {
  it.each(STATS_MODES)("--mode %s counts a tree that is deeper than calls may be", async (mode) => {
    const repository = await createRepository();
    const leaf = node("leaf", { size: 7, links: 1 });
    const linked = { size: 100, links: 2, inode: 5n };
    let id = await saveTree(repository, [leaf, node("link 1", linked), node("link 2", linked)]);
    for (let i = 0; i < DEPTH; i++) {
      const folder = { type: "dir", mode: GO_MODE_DIR + 0o755, subtree: id, content: null } as const;
      id = await saveTree(repository, [node("d", folder)]);
    }
    await repository.flush();
    await saveSnapshot(repository, snapshotOf(id));
    const session = sessionOf(repository);
    const filter = { hosts: [], tags: [], paths: [] };
    const stats = await runStats(session, { names: [], filter, mode });
    if (mode === "restore-size") expect(stats).toMatchObject({ totalFiles: DEPTH + 3, totalSize: 107 });
    if (mode === "raw-data") expect(stats.totalBlobs).toBe(DEPTH + 1);
    await repository.close();
  });
});
