import { readdirSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, request as httpRequest, type RequestOptions } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { READING, WRITING } from "../../src/commands/ask-ahead.js";
import { knownPassword, openSession, type SessionOptions, withSession } from "../../src/commands/session.js";
import { backup, createRepository, listSnapshots, openRepository } from "../../src/mod.js";
import { type RestServer, startRestServer, startYoreServer } from "../support/rest-servers.js";
import { missingPeer } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const PASSWORD = "geheim";

/** A repository with two snapshots in two index files, behind a server of ours that tells what it was asked for. */
describe("what a command asks a repository that is far away", () => {
  let folder: string;
  let server: RestServer;
  let asked: string[];
  const repository = () => ({
    location: `rest:${server.url}`,
    password: knownPassword(PASSWORD),
    cache: { folder: join(folder, "cache"), keepsData: false },
  });

  beforeEach(async () => {
    folder = await temporaryFolder();
    asked = [];
    const accessLog = (line: string) => {
      const [, method, path] = /"(\w+) \/(\S*) /.exec(line)!;
      asked.push(`${method} ${path!.replace(/\/[0-9a-f]{64}$/, "/ID")}`);
    };
    server = await startYoreServer(join(folder, "served"), { accessLog });
    await createRepository(`rest:${server.url}`, { password: PASSWORD });
    await mkdir(join(folder, "files"));
    for (const name of ["a", "b"]) {
      await writeFile(join(folder, "files", name), `content of ${name}`);
      const session = await openRepository(`rest:${server.url}`, { password: PASSWORD });
      const targets = [join(folder, "files")];
      await backup(session.repository, { targets, host: "h", programVersion: "test" });
      await session.close();
    }
    asked.length = 0;
  });

  afterEach(() => server.stop());

  async function askAs(options: SessionOptions): Promise<{ snapshots: number; blobs: number }> {
    return withSession(repository(), options, async ({ repository, signal }) => {
      const snapshots = (await listSnapshots(repository)).length;
      await repository.loadIndex({ signal });
      return { snapshots, blobs: repository.index.size };
    });
  }

  const EACH_FILE = [
    "GET config",
    "GET keys/",
    "GET keys/ID",
    "GET snapshots/ID",
    "GET snapshots/ID",
    "GET index/ID",
    "GET index/ID",
    "POST locks/ID",
    "DELETE locks/ID",
  ];
  const expectAsked = (...lines: string[]) => expect([...asked].sort()).toEqual(lines.sort());

  it("is each listing and each file once for a reader, and the lists before his lock is held", async () => {
    expect(await askAs({ lock: "shared", ahead: READING })).toEqual({
      snapshots: 2,
      blobs: expect.any(Number),
    });
    expectAsked(...EACH_FILE, "GET locks/", "GET locks/", "GET snapshots/", "GET index/");
    const held = asked.lastIndexOf("GET locks/");
    expect(asked.indexOf("GET snapshots/")).toBeLessThan(held);
    // All that a snapshot of the list refers to is in an index that is listed after it.
    expect(asked.indexOf("GET index/")).toBeGreaterThan(asked.indexOf("GET snapshots/"));
  });

  it("is each file once for a writer, and the lists once more while his lock is held", async () => {
    await askAs({ lock: "exclusive", ahead: WRITING });
    expectAsked(
      ...EACH_FILE,
      ...["GET locks/", "GET snapshots/", "GET index/"].flatMap((line) => [line, line]),
    );
    const held = asked.lastIndexOf("GET locks/");
    for (const type of ["snapshots", "index"])
      expect(asked.lastIndexOf(`GET ${type}/`)).toBeGreaterThan(held);
  });

  it("is what he saved himself as well, when he asks again", async () => {
    await withSession(repository(), { lock: "shared", ahead: READING }, async ({ repository }) => {
      expect(await listSnapshots(repository)).toHaveLength(2);
      await repository.loadIndex();
      const before = repository.index.size;
      await writeFile(join(folder, "files/c"), "content of c");
      const other = await openRepository(`rest:${server.url}`, { password: PASSWORD });
      await backup(other.repository, { targets: [join(folder, "files")], host: "h", programVersion: "test" });
      await other.close();
      expect(await listSnapshots(repository)).toHaveLength(3);
      await repository.loadIndex();
      expect(repository.index.size).toBeGreaterThan(before);
    });
  });

  it("without a lock is the same, but for the locks", async () => {
    await askAs({ lock: "none", ahead: READING });
    expectAsked(...EACH_FILE.filter((line) => !line.includes("locks")), "GET snapshots/", "GET index/");
  });

  it("changes nothing about who is kept out", async () => {
    await withSession(repository(), { lock: "exclusive" }, async () => {
      for (const ahead of [READING, WRITING])
        await expect(openSession(repository(), { lock: "shared", ahead })).rejects.toMatchObject({
          code: "locked",
        });
    });
    expect(readdirSync(join(folder, "served/locks"))).toEqual([]);
  });

  it("leaves no lock behind when it is interrupted before an index has come", async () => {
    await server.stop();
    let stalled = () => {};
    const isStalled = new Promise<void>((resolve) => {
      stalled = resolve;
    });
    // Passes everything on but the content of index files, which never comes.
    const inner = await startYoreServer(join(folder, "served"));
    const front = createServer((request, response) => {
      if (request.method === "GET" && /index\/[0-9a-f]{64}$/.test(request.url!)) return stalled();
      const { method, headers, url } = request;
      const target = httpRequest(
        new URL(url!, inner.url),
        { method, headers } as RequestOptions,
        (answer) => {
          response.writeHead(answer.statusCode!, answer.headers);
          answer.pipe(response);
        },
      );
      request.pipe(target);
    });
    await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", () => resolve()));
    server = { url: inner.url, stop: () => inner.stop() };
    try {
      const location = `rest:http://127.0.0.1:${(front.address() as AddressInfo).port}/`;
      const stop = new AbortController();
      const opening = openSession(
        { ...repository(), location },
        { lock: "exclusive", ahead: WRITING, signal: stop.signal },
      );
      const interrupted = expect(opening).rejects.toMatchObject({ code: "interrupted" });
      await isStalled;
      await expect.poll(() => readdirSync(join(folder, "served/locks")).length).toBe(1);
      stop.abort();
      await interrupted;
      expect(readdirSync(join(folder, "served/locks"))).toEqual([]);
    } finally {
      front.closeAllConnections();
      front.close();
    }
  });

  it("is nothing of a place that holds no repository but whether it does", async () => {
    const nowhere = { ...repository(), location: `rest:${server.url}nowhere/` };
    const failure = openSession(nowhere, { lock: "shared", ahead: READING });
    await expect(failure).rejects.toMatchObject({ code: "no-repository" });
    expect(asked.filter((line) => !/^GET nowhere\/(config|keys\/)$/.test(line))).toEqual([]);
  });

  it("is asked without letting a lock settle that another listing shows at once", async () => {
    const settles = async () => {
      const session = await openSession(repository(), { lock: "shared" });
      await session.close();
      return !session.repository.backend.listsAtOnce;
    };
    expect(await settles()).toBe(false);
    if (missingPeer("rest-server")) return;
    await server.stop();
    // What is behind other servers nobody knows.
    server = await startRestServer(join(folder, "served"));
    expect(await settles()).toBe(true);
  });
});
