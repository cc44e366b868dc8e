import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId } from "../../src/bytes/id.js";
import { type ForgetOptions, runForget } from "../../src/commands/forget.js";
import { NO_GROUPS } from "../../src/commands/group-snapshots.js";
import { YoreError } from "../../src/errors.js";
import { KEEP_NOTHING } from "../../src/maintenance/forget-policy.js";
import { ANY_SNAPSHOT, listSnapshots } from "../../src/mod.js";
import { saveSnapshot } from "../../src/repository/snapshots.js";
import { createRepository, saveTree, snapshotOf, wrapBackend } from "../repository/support.js";
import { sessionOf } from "../support/session-of.js";

const OPTIONS: ForgetOptions = {
  names: [],
  filter: ANY_SNAPSHOT,
  groupBy: NO_GROUPS,
  policy: { ...KEEP_NOTHING, counts: { ...KEEP_NOTHING.counts, last: 1 } },
  allowRemoveAll: false,
  dryRun: false,
};

describe("runForget", () => {
  it("removes the others when one snapshot cannot be removed, and tells which", async () => {
    const inner = new MemoryBackend();
    let stuck = "";
    const backend = wrapBackend(inner, {
      location: inner.location,
      remove: (handle) =>
        handle.name === stuck ? Promise.reject(new YoreError("backend", "stuck")) : inner.remove(handle),
    });
    const repository = await createRepository({}, backend);
    const tree = await saveTree(repository, []);
    await repository.flush();
    for (const seconds of [1, 2, 3, 4])
      await saveSnapshot(repository, snapshotOf(tree, { time: { seconds, nanoseconds: 0, zoneMinutes: 0 } }));
    const [, second] = await listSnapshots(repository);
    stuck = formatId(second!.id);
    const result = await runForget(sessionOf(repository), OPTIONS);
    expect(result.failed.map(({ id, error }) => [formatId(id), error.message])).toEqual([[stuck, "stuck"]]);
    expect((await listSnapshots(repository)).map(({ time }) => time.seconds)).toEqual([2, 4]);
  });

  it("removes nothing of any group when one would lose its last snapshot", async () => {
    const repository = await createRepository();
    const tree = await saveTree(repository, []);
    await repository.flush();
    for (const [hostname, tags] of [
      ["a", ["keep"]],
      ["a", []],
      ["b", []],
    ] as const)
      await saveSnapshot(repository, snapshotOf(tree, { hostname, tags }));
    const options = {
      ...OPTIONS,
      groupBy: { ...NO_GROUPS, host: true },
      policy: { ...KEEP_NOTHING, tags: [["keep"]] },
    };
    await expect(runForget(sessionOf(repository), options)).rejects.toThrow('snapshot group "host b"');
    expect(await listSnapshots(repository)).toHaveLength(3);
  });
});
