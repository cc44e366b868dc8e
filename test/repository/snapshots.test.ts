import { beforeAll, describe, expect, it } from "vitest";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId, type Id } from "../../src/bytes/id.js";
import { NotFoundError, UsageError } from "../../src/errors.js";
import type { Snapshot } from "../../src/format/snapshot.js";
import type { Repository } from "../../src/repository/repository.js";
import {
  findSnapshot,
  listSnapshots,
  loadSnapshot,
  resolveSubfolder,
  saveSnapshot,
} from "../../src/repository/snapshots.js";
import { createRepository, node, openRepository, saveTree, snapshotOf, wrapBackend } from "./support.js";

let backend: MemoryBackend;
let repository: Repository;
let root: Id;
let deep: Id;
let ids: Record<string, Id>;

const at = (seconds: number) => ({ time: { seconds, nanoseconds: 5, zoneMinutes: 60 } });

beforeAll(async () => {
  backend = new MemoryBackend();
  repository = await createRepository({}, backend);
  deep = await saveTree(repository, [node("file")]);
  const raw = Buffer.from([0xff, 0x41]);
  const dir = await saveTree(repository, [
    node("b", { type: "dir", subtree: deep }),
    node("raw", { name: raw, type: "dir", subtree: deep }),
  ]);
  root = await saveTree(repository, [node("a", { type: "dir", subtree: dir }), node("plain")]);
  await repository.flush();
  const save = (fields: Partial<Snapshot>) => saveSnapshot(repository, snapshotOf(root, fields));
  ids = {
    old: await save({ ...at(100), hostname: "one", tags: ["x", "y"], paths: ["/a", "/b"] }),
    middle: await save({ ...at(200), hostname: "two", tags: ["x"], paths: ["/a"] }),
    newest: await save({ ...at(300), hostname: "three", tags: [], paths: ["/b"] }),
  };
});

async function namesOf(filter: { hosts?: string[]; tags?: string[][]; paths?: string[] }): Promise<string[]> {
  const found = await listSnapshots(repository, { hosts: [], tags: [], paths: [], ...filter });
  return found.map(({ hostname }) => hostname);
}

describe("listSnapshots", () => {
  it.each([
    [{}, ["one", "two", "three"]],
    [{ hosts: ["two", "three"] }, ["two", "three"]],
    [{ tags: [["x", "y"]] }, ["one"]],
    [{ tags: [["y"], ["x"]] }, ["one", "two"]],
    [{ tags: [[""]] }, ["three"]],
    [{ tags: [["y"], [""]] }, ["one", "three"]],
    [{ tags: [["", "y"]] }, ["three"]],
    [{ tags: [["y", ""]] }, []],
    [{ paths: ["/a"] }, ["one", "two"]],
    [{ paths: ["/a", "/b"] }, ["one"]],
    [{ hosts: ["two"], tags: [["y"]] }, []],
    [{ paths: ["/a/"] }, []],
  ])("with filter %j", async (filter, wanted) => {
    expect(await namesOf(filter)).toEqual(wanted);
  });

  it("reports a file that cannot be read and lists the others; fails without a listener", async () => {
    const bad = wrapBackend(backend, {
      load: async (handle, range) => {
        const bytes = Buffer.from(await backend.load(handle, range));
        if (handle.type === "snapshot" && handle.name === formatId(ids["middle"]!)) bytes[20]! ^= 1;
        return bytes;
      },
    });
    const reader = await openRepository(bad);
    const problems: string[] = [];
    const onError = (id: Id) => problems.push(formatId(id));
    const listed = await listSnapshots(reader, undefined, { onError });
    expect(listed.map(({ hostname }) => hostname)).toEqual(["one", "three"]);
    expect(problems).toEqual([formatId(ids["middle"]!)]);
    await expect(listSnapshots(reader)).rejects.toMatchObject({ code: "damaged" });
  });
});

describe("findSnapshot", () => {
  it("latest is the newest that passes the filter", async () => {
    expect((await findSnapshot(repository, "latest")).snapshot.hostname).toBe("three");
    const filter = { hosts: [], tags: [["x"]], paths: [] };
    expect((await findSnapshot(repository, "latest", filter)).snapshot.hostname).toBe("two");
    const none = { hosts: ["nobody"], tags: [], paths: [] };
    await expect(findSnapshot(repository, "latest", none)).rejects.toThrow(NotFoundError);
  });

  it("latest of several of one moment is the one that is listed last", async () => {
    const twins = await createRepository();
    for (const hostname of ["a", "b", "c"])
      await saveSnapshot(twins, snapshotOf(root, { ...at(7), hostname }));
    expect((await findSnapshot(twins, "latest")).snapshot.hostname).toBe("c");
  });

  it("takes an ID or its beginning, whatever the filter says", async () => {
    const hex = formatId(ids["old"]!);
    const none = { hosts: ["nobody"], tags: [], paths: [] };
    for (const argument of [hex, hex.slice(0, 12)])
      expect((await findSnapshot(repository, argument, none)).snapshot.hostname).toBe("one");
  });

  it("lists the candidates when a beginning is shared", async () => {
    const many = await createRepository();
    // Of 17 IDs two begin with the same digit.
    for (let i = 0; i < 17; i++) await saveSnapshot(many, snapshotOf(root, at(i)));
    const all = (await listSnapshots(many)).map(({ id }) => formatId(id));
    const digit = [..."0123456789abcdef"].find((c) => all.filter((hex) => hex.startsWith(c)).length > 1)!;
    const failure = findSnapshot(many, digit);
    await expect(failure).rejects.toThrow(UsageError);
    await expect(failure).rejects.toThrow(all.find((hex) => hex.startsWith(digit)));
  });

  it.each(["xyz", "", "0000000000", "f".repeat(64)])("finds no %j", async (argument) => {
    await expect(findSnapshot(repository, argument)).rejects.toMatchObject({
      code: argument === "" ? expect.stringMatching(/usage|not-found/) : "not-found",
    });
  });

  it("cuts off the folder at the first colon", async () => {
    expect((await findSnapshot(repository, "latest:a/b:c")).subfolder).toBe("a/b:c");
    expect((await findSnapshot(repository, `${formatId(ids["old"]!)}:/a`)).subfolder).toBe("/a");
    expect((await findSnapshot(repository, "latest:")).subfolder).toBe("");
  });
});

describe("loadSnapshot", () => {
  it("gives back what was saved", async () => {
    const snapshot = await loadSnapshot(repository, ids["old"]!);
    expect(snapshot).toMatchObject({ hostname: "one", tags: ["x", "y"], ...at(100) });
    expect(formatId(snapshot.id)).toBe(formatId(ids["old"]!));
  });
});

describe("resolveSubfolder", () => {
  it.each(["", "/", ".", "a/..", "../.."])("%j is the root", async (path) => {
    expect(formatId(await resolveSubfolder(repository, root, path))).toBe(formatId(root));
  });

  it.each(["a/b", "/a/b/", "./a//b", "a/x/../b"])("%j is the folder", async (path) => {
    expect(formatId(await resolveSubfolder(repository, root, path))).toBe(formatId(deep));
  });

  it("takes raw bytes", async () => {
    const path = Buffer.from([0x61, 0x2f, 0xff, 0x41]);
    expect(formatId(await resolveSubfolder(repository, root, path))).toBe(formatId(deep));
  });

  it("tells a missing path from one that is no directory", async () => {
    await expect(resolveSubfolder(repository, root, "a/c/d")).rejects.toThrow(/path "a\/c" does not exist/);
    await expect(resolveSubfolder(repository, root, "a/c/d")).rejects.toThrow(NotFoundError);
    await expect(resolveSubfolder(repository, root, "plain/x")).rejects.toThrow(/"plain" is not a directory/);
  });
});
