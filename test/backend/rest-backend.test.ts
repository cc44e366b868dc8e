import { randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type OutgoingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Backend, LoadRange } from "../../src/backend/backend.js";
import { ConnectionLimitBackend } from "../../src/backend/connection-limit-backend.js";
import { RestBackend } from "../../src/backend/rest-backend.js";
import { RetryBackend, type RetryEvent } from "../../src/backend/retry-backend.js";
import { DamagedError, messageOf, NotFoundError, YoreError } from "../../src/errors.js";
import { type BackendFixture, backendSuite, list } from "../suites/backend-suite.js";
import { Gate, type GateAnswer } from "../support/gate.js";
import {
  type RestServer,
  startRcloneServer,
  startRestServer,
  startYoreServer,
} from "../support/rest-servers.js";
import { missingPeer } from "../support/run.js";

/** A server for each test: what one leaves must not be seen by the next. */
function served(
  start: (folder: string) => Promise<RestServer>,
  {
    path,
    ...traits
  }: Pick<BackendFixture, "missesRemoved" | "listsWhole" | "savesAtOnce"> & { readonly path?: string } = {},
): () => Promise<BackendFixture> {
  return async () => {
    const folder = await mkdtemp(join(tmpdir(), "yore-rest-"));
    const server = await start(folder);
    const url = `${server.url}${path ?? `${randomBytes(4).toString("hex")}/`}`;
    return {
      open: async () => new RestBackend(url),
      remove: async () => {
        await server.stop();
        await rm(folder, { recursive: true, force: true });
      },
      missesRemoved: false,
      ...traits,
    };
  };
}

backendSuite("RestBackend with yore serve", served(startYoreServer));

backendSuite("RestBackend with yore serve, wrapped as it is used", async () => {
  const fixture = await served(startYoreServer)();
  return {
    ...fixture,
    open: async () => new RetryBackend(new ConnectionLimitBackend(await fixture.open())),
  };
});

describe.skipIf(missingPeer("rest-server"))("rest-server", () => {
  backendSuite("RestBackend with rest-server", served(startRestServer));
});

describe.skipIf(missingPeer("rclone"))("rclone", () => {
  backendSuite(
    "RestBackend with rclone serve restic",
    // rclone writes small files under their own names, and larger ones of one name into one another's way (500).
    served(startRcloneServer, { path: "", missesRemoved: true, listsWhole: false, savesAtOnce: false }),
  );
});

describe("RestBackend with a server that refuses", () => {
  let server: Server;
  let url: string;
  let answer: { readonly status: number; readonly headers: OutgoingHttpHeaders; readonly text: string };
  let asked: number;

  beforeEach(async () => {
    asked = 0;
    server = createServer((request, response) => {
      asked++;
      response.writeHead(answer.status, answer.headers);
      request.resume().on("end", () => response.end(answer.text));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });

  afterEach(() => {
    server.close().closeAllConnections();
  });

  const handle = { type: "pack", name: "a".repeat(64) } as const;
  const bytes = Buffer.from("x");

  async function expectOneTry(work: (backend: Backend) => Promise<unknown>): Promise<YoreError> {
    const backend = new RetryBackend(new RestBackend(url), { on: () => expect.fail("tries again") });
    const failure = await work(backend).catch((error: unknown) => error);
    await backend.close();
    expect(asked).toBe(1);
    expect(failure).toBeInstanceOf(YoreError);
    return failure as YoreError;
  }

  it.each([
    [401, "answered 401 (Unauthorized)", "Put user and password into the URL"],
    [404, "answered 404 (Not Found)", "Is there a REST server"],
    [405, "answered 405 (Method Not Allowed)", "Is there a REST server"],
    [413, "answered 413 (Payload Too Large)", "client_max_body_size"],
    [410, "answered 410 (Gone)", undefined],
    [305, "answered 305 (Use Proxy)", undefined],
    [501, "answered 501 (Not Implemented)", undefined],
    [507, "answered 507 (Insufficient Storage)", "Make space"],
  ])("gives up at %i, and says why", async (status, words, hint) => {
    answer = { status, headers: { "content-type": "text/html" }, text: "<html>" };
    const failure = await expectOneTry((backend) => backend.save(handle, [bytes]));
    expect(failure.message).toContain(`at "rest:${url}": the server ${words}`);
    expect(failure.hint ?? "").toContain(hint ?? "");
  });

  it.each([201, 202, 204])("does not take a %i for saved, as restic does not", async (status) => {
    answer = { status, headers: {}, text: "" };
    const { message } = await expectOneTry((backend) => backend.save(handle, [bytes]));
    expect(message).toContain(`the server answered ${status}`);
  });

  it("says what could not be saved where nothing is allowed", async () => {
    answer = { status: 403, headers: {}, text: "account is suspended" };
    const backend = new RestBackend(url);
    const saved = backend.save(handle, [bytes]).finally(() => backend.close());
    await expect(saved).rejects.toThrow(
      `Cannot save pack aaaaaaaa at "rest:${url}": the server answered 403 (account is suspended)`,
    );
  });

  it("gives up at a server that speaks TLS and was asked without", async () => {
    answer = { status: 400, headers: {}, text: "Client sent an HTTP request to an HTTPS server.\n" };
    const failure = await expectOneTry((backend) => backend.load(handle));
    expect(failure.hint).toContain("Write https:// in the URL");
  });

  it("gives up at a file that has no size", async () => {
    answer = { status: 200, headers: { "transfer-encoding": "chunked" }, text: "" };
    const { message } = await expectOneTry((backend) => backend.stat(handle));
    expect(message).toContain("told no size");
  });

  it("takes a 200 with words for done", async () => {
    answer = { status: 200, headers: { "content-type": "application/json" }, text: '{"saved":true}' };
    const backend = new RetryBackend(new RestBackend(url), { on: () => expect.fail("tries again") });
    await backend.create();
    await backend.save(handle, [bytes]);
    await backend.remove(handle);
    await backend.close();
  });

  const PAGE = "\n<!DOCTYPE html><title>Please log in</title>".padEnd(1000);

  it.each<[string, (backend: Backend) => Promise<unknown>]>([
    ["a saved file", (backend) => backend.save(handle, [bytes])],
    ["a removed file", (backend) => backend.remove(handle)],
    ["a new repository", (backend) => backend.create()],
    ["a file", (backend) => backend.load(handle)],
    ["a part of a file", (backend) => backend.load(handle, { offset: 5, length: 10 })],
    ["a list", (backend) => list(backend, "pack")],
  ])("does not take a login page for %s", async (_, work) => {
    answer = { status: 200, headers: { "content-type": "text/html; charset=utf-8" }, text: PAGE };
    const failure = await expectOneTry(work);
    expect(failure).not.toBeInstanceOf(DamagedError);
    expect(failure.message).toContain(`at "rest:${url}": the server answered 200 with a web page`);
  });

  it.each([
    ["text/html", "<p>0123"],
    ["application/octet-stream", PAGE],
  ])("takes for a file what is called %s and begins otherwise", async (type, text) => {
    answer = { status: 200, headers: { "content-type": type }, text };
    const backend = new RestBackend(url);
    const loaded = await backend.load(handle).finally(() => backend.close());
    expect(Buffer.from(loaded).toString()).toBe(text);
  });

  it("does not take what a server has compressed for the file", async () => {
    answer = { status: 200, headers: { "content-encoding": "gzip" }, text: "\x1f\x8b" };
    const { message } = await expectOneTry((backend) => backend.load(handle));
    expect(message).toContain("the server encoded its answer (gzip), which was not asked for");
  });

  it("finds nothing at 404, whatever page comes with it", async () => {
    answer = { status: 404, headers: { "content-type": "text/html" }, text: "<p>Oh dear!".repeat(10_000) };
    expect(await expectOneTry((backend) => backend.load(handle))).toBeInstanceOf(NotFoundError);
  });

  it("gives up at a password that is wrong, and asks for no other way to give one", async () => {
    answer = { status: 401, headers: {}, text: "" };
    url = url.replace("//", "//ada:secret@");
    const failure = await expectOneTry((backend) => backend.stat(handle));
    expect(failure.hint).toBe("Check the user and the password: the server does not take these");
    expect(failure.message).not.toContain("secret");
  });

  it("finds nothing at 404", async () => {
    answer = { status: 404, headers: {}, text: "" };
    expect(await expectOneTry((backend) => backend.load(handle))).toBeInstanceOf(NotFoundError);
  });

  it.each([400, 408, 429, 500, 502, 503, 504])("tries again after %i", async (status) => {
    answer = { status, headers: {}, text: "not now" };
    const messages: string[] = [];
    const on = ({ type, ...event }: RetryEvent) => {
      messages.push("error" in event ? messageOf(event.error) : type);
      answer = { status: 200, headers: {}, text: "" };
    };
    const backend = new RetryBackend(new RestBackend(url), { firstDelayMs: 1, on });
    await backend.save(handle, [bytes]);
    await backend.close();
    expect(messages).toEqual([
      expect.stringContaining(`the server answered ${status} (not now)`),
      "recovered",
    ]);
  });

  it.each([
    [429, "100"],
    [503, new Date(Date.now() + 800_000).toUTCString()],
  ])("waits after %i for as long as the server asks", async (status, retryAfter) => {
    answer = { status, headers: { "retry-after": retryAfter }, text: "" };
    const events = new EventEmitter<{ retry: [RetryEvent] }>();
    const waiting = once(events, "retry");
    const on = (event: RetryEvent) => events.emit("retry", event);
    const backend = new RetryBackend(new RestBackend(url), { on });
    const saved = expect(backend.save(handle, [bytes])).rejects.toMatchObject({ code: "interrupted" });
    const [event] = await waiting;
    await backend.close();
    await saved;
    expect(event).toMatchObject({ error: { message: expect.stringMatching(/and asks to wait for \d+ s$/) } });
    expect(event.delayMs).toBeGreaterThanOrEqual(100_000);
  });

  it("does not wait for a server that asks for more time than there is", async () => {
    answer = { status: 503, headers: { "retry-after": "3600" }, text: "" };
    const { message } = await expectOneTry((backend) => backend.save(handle, [bytes]));
    expect(message).toContain("asks to wait for 3600 s");
  });
});

describe("RestBackend.load", () => {
  const handle = { type: "pack", name: "a".repeat(64) } as const;
  const FILE = "0123456789";
  let gate: Gate;

  beforeEach(async () => {
    gate = await Gate.open("http://127.0.0.1:1/");
  });

  afterEach(() => gate.close());

  /** What becomes of an answer, when the file has ten bytes. */
  async function loaded(range: LoadRange, answer: Exclude<GateAnswer, string>): Promise<string> {
    gate.rule = (method) =>
      method === "HEAD" ? { status: 200, headers: { "content-length": `${FILE.length}` } } : answer;
    const backend = new RetryBackend(new RestBackend(gate.url), { on: () => expect.fail("tries again") });
    const bytes = await backend.load(handle, range).finally(() => backend.close());
    return Buffer.from(bytes).toString();
  }

  const part = (body: string, contentRange?: string): Exclude<GateAnswer, string> => ({
    status: 206,
    headers: contentRange === undefined ? {} : { "content-range": contentRange },
    body,
  });

  it.each([
    [{ offset: 3, length: 4 }, "3456"],
    [{ offset: 0, length: 10 }, FILE],
    [{ offset: 6, length: 4 }, "6789"],
    [{ offset: 8 }, "89"],
    [{ offset: 10 }, ""],
    [{ offset: 8, length: 5, upTo: true }, "89"],
    [{ offset: 12, length: 5, upTo: true }, ""],
  ])("takes %j of the whole file, of a server without ranges", async (range, bytes) => {
    expect(await loaded(range, { status: 200, body: FILE })).toBe(bytes);
    const headers = { "content-length": `${FILE.length}` };
    expect(await loaded(range, { status: 200, headers, body: FILE })).toBe(bytes);
  });

  it("reads a whole file no further than the range goes", async () => {
    let closed: Promise<unknown> | undefined;
    const endless = createServer((request, response) => {
      closed = new Promise((resolve) => request.socket.on("close", resolve));
      response.writeHead(200).write(FILE);
    }).listen(0, "127.0.0.1");
    await once(endless, "listening");
    const backend = new RestBackend(`http://127.0.0.1:${(endless.address() as AddressInfo).port}/`);
    expect(Buffer.from(await backend.load(handle, { offset: 1, length: 2 })).toString()).toBe("12");
    await closed;
    await backend.close();
    endless.close();
  });

  it.each([
    { type: "config", name: "" },
    { type: "key", name: "a".repeat(64) },
    { type: "lock", name: "a".repeat(64) },
  ] as const)("reads no %j without an end", async (small) => {
    const endless = createServer((_, response) => {
      const write = () => {
        while (!response.destroyed && response.write(Buffer.alloc(1024 * 1024)));
      };
      response.on("drain", write);
      write();
    }).listen(0, "127.0.0.1");
    await once(endless, "listening");
    const backend = new RestBackend(`http://127.0.0.1:${(endless.address() as AddressInfo).port}/`);
    await expect(backend.load(small)).rejects.toThrow("expected at most 16777216");
    await backend.close();
    endless.close().closeAllConnections();
  });

  it.each([
    [part("34567", "bytes 3-7/10"), "the answer has 5 bytes, expected at most 4"],
    [part("2345", "bytes 2-5/10"), "sent bytes 2 to 5, where those from 3 on"],
    [{ ...part("2345"), headers: { "content-type": "multipart/byteranges; boundary=x" } }, "a list of them"],
    [part("34", "bytes 3-4/10"), "sent 2 bytes from offset 3 on, of 4 that are there"],
    [part("34"), "sent 2 bytes from offset 3 on, of 4 that are there"],
    [{ status: 200, body: "01234" }, "sent 2 bytes from offset 3 on, of 4 that are there"],
    [{ status: 416 }, "sent 0 bytes from offset 3 on, of 4 that are there"],
  ] as const)("takes %j for a defect of the server, and not of the file", async (answer, reason) => {
    for (const upTo of [false, true]) {
      const range = { offset: 3, length: 4, upTo };
      await expect(loaded(range, answer)).rejects.toMatchObject({
        code: "backend",
        message: expect.stringContaining(reason),
      });
    }
  });

  it.each([[part("89", "bytes 8-9/10")], [part("89")], [{ status: 200, body: FILE }]])(
    "finds a file too short that ends before the range, and reads up to there at will",
    async (answer) => {
      const failure = await loaded({ offset: 8, length: 4 }, answer).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(DamagedError);
      expect((failure as Error).message).toContain("wanted 4 bytes at offset 8, but it ends at 10");
      expect(await loaded({ offset: 8, length: 4, upTo: true }, answer)).toBe("89");
    },
  );
});

describe("RestBackend.list", () => {
  const NAME = "ab".repeat(32);
  let gate: Gate;

  beforeEach(async () => {
    gate = await Gate.open("http://127.0.0.1:1/");
  });

  afterEach(() => gate.close());

  async function listed(answer: GateAnswer) {
    gate.rule = () => answer;
    const backend = new RestBackend(gate.url);
    return list(backend, "pack").finally(() => backend.close());
  }

  /** Tries again for as long as there are answers. */
  async function listedAgain(...answers: GateAnswer[]) {
    gate.rule = () => answers.shift();
    const on = ({ type }: RetryEvent) =>
      type === "retrying" && answers.length === 0 && expect.fail("tries again");
    const backend = new RetryBackend(new RestBackend(gate.url), { firstDelayMs: 1, on });
    return list(backend, "pack").finally(() => backend.close());
  }

  const v2 = (body: string): GateAnswer => ({
    status: 200,
    headers: { "content-type": "application/vnd.x.restic.rest.v2" },
    body,
  });

  it("takes a folder that is missing for an empty one, but not where rclone says so of all that fails", async () => {
    expect(await listed({ status: 404 })).toEqual([]);
    await expect(
      listed({ status: 404, headers: { server: "rclone/v1.66.0" }, body: "Not Found" }),
    ).rejects.toMatchObject({
      code: "backend",
      message: expect.stringContaining("answered 404 (Not Found)"),
    });
  });

  it("asks again at 404, with which rest-server answers when a file goes meanwhile", async () => {
    const answers: GateAnswer[] = [{ status: 404 }, { status: 404 }, v2(`[{"name":"${NAME}","size":2}]`)];
    gate.rule = () => answers.shift()!;
    const backend = new RestBackend(gate.url);
    expect(await list(backend, "lock").finally(() => backend.close())).toMatchObject([{ size: 2 }]);
  });

  it("leaves out names that are no IDs", async () => {
    expect(await listed(v2(`[{"name":"tmp","size":1},{"name":"${NAME}","size":2}]`))).toHaveLength(1);
    expect(await listed(v2("null"))).toEqual([]);
  });

  it.each([
    "[null]",
    "[5]",
    `[{"size":5}]`,
    `[{"name":"${NAME}"}]`,
    `[{"name":"${NAME}","size":"5"}]`,
    `[{"name":"${NAME}","size":-1}]`,
    `[{"name":"${NAME}","size":1},"${NAME}"]`,
    `["${NAME}",null]`,
    `{"files":[]}`,
    "\ufeff[]",
    "Please log in",
  ])("does not take %s for a shorter list", async (body) => {
    await expect(listedAgain(v2(body))).rejects.toMatchObject({
      code: "backend",
      message: expect.stringContaining("no list of files"),
    });
  });

  it.each(["", "[", `[{"name":"${NAME}","si`])("asks again for a list that was cut off: %j", async (body) => {
    expect(await listedAgain(v2(body), v2(`[{"name":"${NAME}","size":2}]`))).toHaveLength(1);
  });
});
