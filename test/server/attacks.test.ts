import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startYoreServer } from "../support/rest-servers.js";
import { temporaryFolder } from "../support/temporary.js";
import { itWhere } from "../support/where.js";
import { ask, askRaw } from "./ask.js";

const ID = createHash("sha256").update("content").digest("hex");

describe("yore serve under attack", () => {
  let top: string;
  let folder: string;
  let lines: string[];
  let server: Awaited<ReturnType<typeof startYoreServer>>;

  beforeEach(async () => {
    top = await temporaryFolder();
    folder = join(top, "data");
    mkdirSync(folder);
    writeFileSync(join(top, "secret"), "secret");
    lines = [];
    server = await startYoreServer(folder, { accessLog: (line) => lines.push(line) });
    await ask(server.url, "POST", "/repo/?create=true");
  });

  afterEach(() => server.stop());

  it.each([
    "/../secret",
    "/repo/../../secret",
    "/repo/keys/../../../secret",
    "/%2e%2e/secret",
    "/..%2fsecret/keys/",
    "/repo%2fkeys/",
    "/repo/keys%2f..%2f..%2fsecret",
    "/repo\\..\\secret/keys/",
    "/repo%5c../keys/",
    "/%00/keys/",
    "/repo%00/config",
    "/repo/config%00",
    "//etc/keys/",
    "/./repo/keys/",
    "/%c0%ae%c0%ae/keys/",
    "/%zz/keys/",
    "/repo/keys",
    `/repo/keys/${ID.slice(1)}`,
    `/repo/keys/${ID}0`,
    `/repo/keys/${ID.toUpperCase()}`,
    `/repo/keys/${ID}/`,
    `/repo/keys/${ID}/more`,
    "/repo/keys/..",
    "/repo/config/",
    "/repo/config/more",
    `/${"a".repeat(256)}/keys/`,
    `/${encodeURIComponent("ü".repeat(128))}/keys/`,
    "/a/b/c/keys/",
    "/keys/keys/",
    "/data/../config",
    "",
    "*",
    "http://elsewhere/../secret",
    "http://elsewhere",
    "//elsewhere/repo/keys/",
  ])("finds nothing at %s", async (path) => {
    for (const method of ["GET", "HEAD", "POST", "DELETE"]) {
      const answer = await askRaw(
        server.url,
        `${method} ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\nConnection: close\r\n\r\ncontent`,
      );
      expect(answer, method).toMatch(/^HTTP\/1\.1 40[045] /);
      expect(answer).not.toContain("secret\n");
    }
    expect(readdirSync(top).sort()).toEqual(["data", "secret"]);
    expect(readdirSync(folder)).toEqual(["repo"]);
  });

  it("follows no symbolic link to a file, and shows none", async () => {
    const shard = join(folder, "repo/data", ID.slice(0, 2));
    symlinkSync(join(top, "secret"), join(shard, ID));
    expect((await ask(server.url, "GET", `/repo/data/${ID}`)).status).toBe(404);
    expect((await ask(server.url, "GET", "/repo/data/")).text).toBe("[]");
  });

  it("waits for no pipe that lies where a file should", async () => {
    // More than Node.js has threads: all of them would wait for somebody who writes, and nobody be served any more.
    const names = Array.from({ length: 8 }, (_, i) => `${i}`.repeat(64));
    for (const name of names) execFileSync("mkfifo", [join(folder, "repo/keys", name)]);
    const answers = await Promise.all(names.map((name) => ask(server.url, "GET", `/repo/keys/${name}`)));
    expect(answers.map(({ status }) => status)).toEqual(names.map(() => 404));
    expect((await ask(server.url, "GET", "/repo/keys/")).text).toBe("[]");
  });

  it.each([
    ["two lengths", "Content-Length: 7\r\nContent-Length: 8\r\n"],
    ["a length and chunks", "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n"],
    ["an encoding that is none", "Transfer-Encoding: chunked, identity\r\n"],
    ["a negative length", "Content-Length: -7\r\n"],
    ["a length with a sign", "Content-Length: +7\r\n"],
    ["a length in hex", "Content-Length: 0x7\r\n"],
    ["a header without a name", ": 7\r\n"],
    ["a name with a space", "Content-Length : 7\r\n"],
    ["a folded header", "X-A: b\r\n Content-Length: 7\r\n"],
    ["a bare line feed", "X-A: b\nX-B: c\n"],
  ])("refuses %s, and reads nothing behind it as a request", async (_, headers) => {
    const answer = await askRaw(
      server.url,
      `POST /repo/keys/${ID} HTTP/1.1\r\nHost: h\r\n${headers}\r\ncontentDELETE /repo/config HTTP/1.1\r\nHost: h\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(answer.match(/HTTP\/1\.1 /g)!.length).toBe(1);
  });

  it("refuses a flood of headers", async () => {
    const flood = Array.from({ length: 5_000 }, (_, i) => `X-${i}: ${"y".repeat(100)}\r\n`).join("");
    const answer = await askRaw(server.url, `GET /healthz HTTP/1.1\r\nHost: h\r\n${flood}\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
    expect(server.log.join("\n")).toMatch(/refused what 127\.0\.0\.1 sent: .*HPE_HEADER_OVERFLOW/);
    expect((await ask(server.url, "GET", "/healthz")).status).toBe(200);
  });

  it("writes no line into its log that a client made up", async () => {
    await askRaw(
      server.url,
      'GET /%0a127.0.0.1%20fake HTTP/1.1\r\nHost: h\r\nUser-Agent: a"b\\c\r\nReferer: é\r\nConnection: close\r\n\r\n',
    );
    expect(lines.length).toBe(2);
    expect(lines[1]).toMatch(/^127\.0\.0\.1 - - \[.*\] "GET \/%0a127\.0\.0\.1%20fake HTTP\/1\.1" 404 /);
    expect(lines[1]).toContain('"a\\"b\\\\c"');
    expect(lines.every((line) => /^[\x20-\x7e]+$/.test(line))).toBe(true);
  });

  it("lets go of an upload whose client has gone, and keeps nothing of it", async () => {
    const socket = await opened(server.url);
    socket.write(`POST /repo/data/${ID} HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nsome of it`);
    await new Promise((resolve) => socket.write("and some more", resolve));
    socket.destroy();
    await logged(lines, /POST \/repo\/data/);
    expect((await ask(server.url, "GET", "/repo/data/")).text).toBe("[]");
    expect(readdirSync(join(folder, "repo/data", ID.slice(0, 2)))).toEqual([]);
  });

  it("cuts off uploads that come drop by drop, while others are served", async () => {
    await server.stop();
    server = await startYoreServer(folder, { minUploadRate: 1_000, uploadPatienceMs: 200 });
    const slow = await opened(server.url);
    const said: Buffer[] = [];
    slow.on("data", (piece: Buffer) => said.push(piece));
    const ended = new Promise((resolve) => slow.on("close", resolve));
    slow.on("error", () => {});
    slow.write(`POST /repo/data/${ID} HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n`);
    const drip = setInterval(() => slow.write("x"), 20);
    expect((await ask(server.url, "GET", "/healthz")).status).toBe(200);
    await ended;
    clearInterval(drip);
    expect(Buffer.concat(said).toString()).toMatch(/^HTTP\/1\.1 408 /);
    expect((await ask(server.url, "GET", "/repo/data/")).text).toBe("[]");
  });

  it.each([200_000, 1_000_000])(
    "cuts off an upload of %i bytes that falls silent after a good beginning",
    async (bytes) => {
      await server.stop();
      server = await startYoreServer(folder, { minUploadRate: 1_000, uploadPatienceMs: 200 });
      const silent = await opened(server.url);
      const ended = new Promise((resolve) => silent.on("close", resolve));
      silent.on("error", () => {});
      silent.resume();
      silent.write(`POST /repo/data/${ID} HTTP/1.1\r\nHost: h\r\nContent-Length: ${bytes}\r\n\r\n`);
      silent.write(randomBytes(bytes - 1));
      await ended;
      expect((await ask(server.url, "GET", "/repo/data/")).text).toBe("[]");
    },
  );

  it.each([
    ["refused", `POST /repo/data/${ID}`, 403],
    ["not asked for", "GET /healthz", 200],
    ["not asked for", "GET /repo/keys/", 200],
    ["not asked for", `DELETE /repo/locks/${ID}`, 200],
  ])("cuts off a body that was %s and goes on drop by drop behind %s", async (_, request, status) => {
    await server.stop();
    server = await startYoreServer(folder, {
      minUploadRate: 1_000,
      uploadPatienceMs: 200,
      mode: request.startsWith("POST") ? "read-only" : "full",
    });
    expect(await drip(server.url, request)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  it("cuts off the head of a request that does not come to its end", async () => {
    await server.stop();
    server = await startYoreServer(folder, { headPatienceMs: 200 });
    expect(await askRaw(server.url, "GET /healthz HTTP/1.1\r\nHost: h\r\n")).toMatch(/^HTTP\/1\.1 408 /);
  });

  itWhere(process.getuid?.() === 0)(
    "cuts off a body that found the disk full and goes on drop by drop",
    async () => {
      await server.stop();
      const disk = join(folder, "repo/data");
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]);
      try {
        server = await startYoreServer(folder, { minUploadRate: 1_000, uploadPatienceMs: 200 });
        expect(await drip(server.url)).toMatch(/^HTTP\/1\.1 507 /);
      } finally {
        execFileSync("umount", [disk]);
      }
    },
  );

  it("serves who is quick while more slow ones than it has memory for keep it waiting", async () => {
    const slow = await Promise.all(Array.from({ length: 150 }, () => opened(server.url)));
    const began = slow.map((socket, i) => {
      socket.on("error", () => {});
      const id = i.toString(16).padStart(64, "0");
      const head = `POST /repo/data/${id} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n`;
      // The answer says that the server has begun to wait for the body.
      return new Promise((resolve) => {
        socket.once("data", resolve);
        socket.write(head);
      });
    });
    await Promise.all(began);
    for (const socket of slow) socket.write("a first byte, and then nothing");
    const content = randomBytes(1_000_000);
    const path = `/repo/data/${createHash("sha256").update(content).digest("hex")}`;
    expect((await ask(server.url, "POST", path, { body: content })).status).toBe(200);
    for (const socket of slow) socket.destroy();
  });
});

/** Sends a good part of an endless body, and then drops. Resolves with what was said when the server closes the connection. */
function drip(url: string, request = `POST /repo/data/${ID}`): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    // Goes on sending when the server has said its last word.
    const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
    let said = "";
    socket.on("data", (piece: Buffer) => {
      said += piece.toString();
    });
    socket.on("error", () => {});
    socket.write(`${request} HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n`);
    socket.write(randomBytes(3_000_000));
    const drops = setInterval(() => socket.write("x"), 20);
    socket.on("close", () => {
      clearInterval(drops);
      resolve(said);
    });
  });
}

function opened(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => resolve(socket));
    socket.once("error", reject);
  });
}

/** Waits for a line of the log: it is written when a request is over. */
async function logged(lines: readonly string[], wanted: RegExp): Promise<void> {
  const giveUpAt = Date.now() + 10_000;
  while (!lines.some((line) => wanted.test(line))) {
    if (Date.now() > giveUpAt) throw new Error(`Nothing like ${wanted} was logged`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
