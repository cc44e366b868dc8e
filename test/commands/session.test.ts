import { mkdir, readdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { knownPassword, openSession, type SessionEvent, withSession } from "../../src/commands/session.js";
import { backup, createRepository, openRepository } from "../../src/mod.js";
import { Gate } from "../support/gate.js";
import { startYoreServer } from "../support/rest-servers.js";
import { temporaryFolder } from "../support/temporary.js";

const PASSWORD = "geheim";

/** A repository with one snapshot and one index file. @returns where it lies */
async function makeRepository(): Promise<string> {
  const folder = await temporaryFolder();
  const location = join(folder, "repository");
  await mkdir(join(folder, "files"));
  await writeFile(join(folder, "files/a"), "content of a");
  await createRepository(location, { password: PASSWORD });
  const session = await openRepository(location, { password: PASSWORD });
  await backup(session.repository, { targets: [join(folder, "files")], host: "h", programVersion: "test" });
  await session.close();
  return location;
}

describe("an index that is loaded ahead", () => {
  const sharedAndAhead = { lock: "shared", ahead: { index: "again" } } as const;

  it("is taken as it is by the first who asks, where that will do, and looked at again by the next", async () => {
    const location = await makeRepository();
    const options = { location, password: knownPassword(PASSWORD) };
    const sizes = async (index: "as-is" | "again") =>
      withSession(options, { lock: "shared", ahead: { index } }, async ({ repository }) => {
        await expect.poll(() => (index === "as-is" ? repository.index.size : 1)).toBeGreaterThan(0);
        await rename(join(location, "index"), join(location, "gone"));
        const found: number[] = [];
        for (let i = 0; i < 2; i++) {
          await repository.loadIndex();
          found.push(repository.index.size);
        }
        await rename(join(location, "gone"), join(location, "index"));
        return found;
      });
    expect(await sizes("as-is")).toEqual([expect.any(Number), 0]);
    expect((await sizes("as-is"))[0]).toBeGreaterThan(0);
    expect(await sizes("again")).toEqual([0, 0]);
  });

  it("is brought up to date by whoever needs it", async () => {
    const location = await makeRepository();
    const session = await openSession({ location, password: knownPassword(PASSWORD) }, sharedAndAhead);
    try {
      const [name] = await readdir(join(location, "index"));
      await rename(join(location, "index", name!), join(location, "gone"));
      await session.repository.loadIndex();
      expect(session.repository.index.size).toBe(0);
      await rename(join(location, "gone"), join(location, "index", name!));
      await session.repository.loadIndex();
      expect(session.repository.index.size).toBeGreaterThan(0);
    } finally {
      await session.close();
    }
  });

  it("hides neither that somebody else holds the repository nor what is wrong with the index", async () => {
    const location = await makeRepository();
    const options = { location, password: knownPassword(PASSWORD) };
    const [name] = await readdir(join(location, "index"));
    await rename(join(location, "index", name!), join(location, "index", "0".repeat(64)));
    await withSession(options, sharedAndAhead, async ({ repository }) => {
      await repository.loadIndex();
      expect(repository.indexProblems).toHaveLength(1);
    });
    await withSession(options, { lock: "exclusive" }, async () => {
      await expect(openSession(options, sharedAndAhead)).rejects.toMatchObject({ code: "locked" });
    });
    expect(await readdir(join(location, "locks"))).toEqual([]);
  });
});

describe("a lock that cannot be removed", () => {
  async function withGate(use: (gate: Gate, location: string) => Promise<void>): Promise<void> {
    const server = await startYoreServer(await temporaryFolder());
    const gate = await Gate.open(server.url);
    await createRepository(`rest:${gate.url}`, { password: PASSWORD });
    gate.rule = (method) => (method === "DELETE" ? { status: 403 } : undefined);
    try {
      await use(gate, `rest:${gate.url}`);
    } finally {
      await gate.close();
      await server.stop();
    }
  }

  it("is told beside the result of the work, or beside its failure", async () => {
    await withGate(async (_, location) => {
      const options = { location, password: knownPassword(PASSWORD) };
      const events: SessionEvent[] = [];
      const told = { lock: "shared", on: (event: SessionEvent) => events.push(event) } as const;
      expect(await withSession(options, told, async () => "result")).toBe("result");
      const failing = withSession(options, told, () => Promise.reject(new Error("failure")));
      await expect(failing).rejects.toThrow("failure");
      const left = { type: "lock-left", error: expect.objectContaining({ code: "backend" }) };
      expect(events.filter(({ type }) => type !== "opened")).toEqual([left, left]);
    });
  });

  it("is told to whoever closes the session himself, and everything else is let go", async () => {
    await withGate(async (gate, location) => {
      const session = await openRepository(location, { password: PASSWORD });
      await expect(session.close()).rejects.toMatchObject({ code: "backend" });
      await expect.poll(() => gate.connections).toBe(0);
    });
  });
});
