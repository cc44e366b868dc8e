import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import type { Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startYoreServer } from "../support/rest-servers.js";
import { temporaryFolder } from "../support/temporary.js";
import { itWhere } from "../support/where.js";
import { ask, connectRaw, type RawConnection } from "./ask.js";

const nameOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Larger than what is received by way of Node.js, with an end that is no whole piece. */
const BYTES = 1_000_003;

describe("large uploads to yore serve, past its HTTP side", () => {
  let folder: string;
  let lines: string[];
  let server: Awaited<ReturnType<typeof startYoreServer>>;
  const sockets: Socket[] = [];

  async function start(options: Parameters<typeof startYoreServer>[1] = {}): Promise<void> {
    server = await startYoreServer(folder, {
      accessLog: (line) => lines.push(line),
      metrics: "open",
      ...options,
    });
    if (options?.listen === undefined) await ask(server.url, "POST", "/?create=true");
  }

  beforeEach(async () => {
    folder = await temporaryFolder();
    lines = [];
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await server.stop();
  });

  const saved = (name: string) => readFileSync(join(folder, "data", name.slice(0, 2), name));
  const names = async () => JSON.parse((await ask(server.url, "GET", "/data/")).text) as string[];

  function open(): RawConnection {
    const connection = connectRaw(server.url);
    sockets.push(connection.socket);
    return connection;
  }

  const head = (name: string, bytes: number, more = "") =>
    `POST /data/${name} HTTP/1.1\r\nHost: h\r\n${more}Content-Length: ${bytes}\r\n\r\n`;

  it("take body after body on one connection, and all else between them", async () => {
    await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const one = (method: string, path: string, body?: Buffer) =>
      new Promise<{ status: number; body: Buffer; reused: boolean }>((resolve, reject) => {
        const { hostname, port } = new URL(server.url);
        const headers = body && { "content-length": body.length };
        const asked = request({ hostname, port, method, path, agent, headers }, (response) => {
          const pieces: Buffer[] = [];
          response.on("data", (piece: Buffer) => pieces.push(piece));
          response.on("end", () =>
            resolve({
              status: response.statusCode!,
              body: Buffer.concat(pieces),
              reused: asked.reusedSocket,
            }),
          );
        });
        asked.on("error", reject);
        asked.end(body);
      });
    expect((await one("GET", "/healthz")).reused).toBe(false);
    for (const size of [BYTES, 256 * 1024, 9 * 1024 * 1024 + 1]) {
      const content = randomBytes(size);
      const path = `/data/${nameOf(content)}`;
      for (const [method, body, status] of [
        ["POST", content, 200],
        ["GET", undefined, 200],
        // Refused before it was read: what Node.js has not sent by then makes it give the connection up.
        ...(size <= BYTES ? [["POST", content, 403] as const] : []),
        ["HEAD", undefined, 200],
      ] as const) {
        const answer = await one(method, path, body);
        expect({ status: answer.status, reused: answer.reused }).toEqual({ status, reused: true });
        if (method === "GET") expect(answer.body.equals(content)).toBe(true);
      }
      const wrong = await one("POST", `/data/${"0".repeat(64)}`, content);
      expect(wrong.status).toBe(400);
      expect(wrong.body.toString()).toMatch(/hash/);
    }
    expect(await names()).toHaveLength(3);
    const metrics = (await ask(server.url, "GET", "/metrics")).text;
    // The one above, and the one that asks.
    expect(metrics).toMatch(/^yore_server_open_connections 2$/m);
    agent.destroy();
    expect(
      lines.filter((line) => line.startsWith("127.0.0.1 - - ") && line.includes('"POST /data/')),
    ).toHaveLength(8);
  });

  it("find the request that follows right behind a body", async () => {
    await start();
    const { socket, said, closed } = open();
    const contents = [randomBytes(BYTES), randomBytes(BYTES)];
    const requests = contents.map((content) =>
      Buffer.concat([Buffer.from(head(nameOf(content), BYTES)), content]),
    );
    socket.write(
      Buffer.concat([
        ...requests,
        Buffer.from("GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
      ]),
    );
    await closed;
    expect(said().match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 200"]);
    expect(said()).toMatch(/ok\n$/);
    for (const content of contents) expect(saved(nameOf(content)).equals(content)).toBe(true);
  });

  it("are answered in turn when a request before them is still being answered", async () => {
    await start();
    const large = randomBytes(20_000_000);
    expect((await ask(server.url, "POST", `/data/${nameOf(large)}`, { body: large })).status).toBe(200);
    const { socket, said, closed } = open();
    const content = randomBytes(BYTES);
    socket.write(`GET /data/${nameOf(large)} HTTP/1.1\r\nHost: h\r\n\r\n${head(nameOf(content), BYTES)}`);
    socket.write(content);
    socket.write("GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    await closed;
    const [, ...answers] = said().split("HTTP/1.1 ");
    expect(answers.map((answer) => answer.slice(0, 3))).toEqual(["200", "200", "200"]);
    expect(answers[0]!.endsWith(large.toString("latin1"))).toBe(true);
    expect(saved(nameOf(content)).equals(content)).toBe(true);
  });

  it("are asked for when the client waits to be asked", async () => {
    await start();
    const { socket, said } = open();
    const content = randomBytes(BYTES);
    const asked = new Promise((resolve) => socket.once("data", resolve));
    socket.write(head(nameOf(content), BYTES, "Expect: 100-continue\r\n"));
    await asked;
    socket.write(content);
    await expect.poll(said).toContain(" 200 ");
    expect(said()).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
    expect(saved(nameOf(content)).equals(content)).toBe(true);
  });

  it("keep nothing when the client goes in the middle", async () => {
    await start();
    const { socket } = open();
    const content = randomBytes(BYTES);
    await new Promise((resolve) => {
      socket.write(head(nameOf(content), BYTES));
      socket.write(content.subarray(0, 900_000), resolve);
    });
    socket.end();
    await expect.poll(() => lines.filter((line) => line.includes('"POST /data/'))).toHaveLength(1);
    expect(lines.at(-1)).toMatch(/" 400 /);
    expect(await names()).toEqual([]);
    expect(readdirSync(join(folder, "data", nameOf(content).slice(0, 2)))).toEqual([]);
  });

  it("are cut off when they come drop by drop, and not when they are merely slow", async () => {
    await start({ minUploadRate: 1_000, uploadPatienceMs: 300 });
    const content = randomBytes(BYTES);
    const patient = open();
    const slow = open();
    const path = nameOf(Buffer.from("never whole"));
    slow.socket.write(head(path, BYTES));
    slow.socket.write(content.subarray(0, 300_000));
    const drip = setInterval(() => slow.socket.write("x"), 20);
    patient.socket.write(head(nameOf(content), BYTES));
    patient.socket.write(content.subarray(0, 940_003));
    // 50 times more than it asks for.
    let at = 940_003;
    const trickle = setInterval(() => {
      if (at < BYTES) patient.socket.write(content.subarray(at, at + 500));
      at += 500;
    }, 10);
    await slow.closed;
    clearInterval(drip);
    await expect.poll(patient.said, { timeout: 20_000 }).toMatch(/ \d+ /);
    clearInterval(trickle);
    expect(slow.said()).toMatch(/^HTTP\/1\.1 408 /);
    expect(patient.said()).toMatch(/^HTTP\/1\.1 200 /);
    expect(await names()).toEqual([nameOf(content)]);
  });

  it("are waited for when the server ends, but not for ever, and idle connections not at all", async () => {
    await start({ shutdownMs: 300 });
    const idle = open();
    const content = randomBytes(BYTES);
    idle.socket.write(Buffer.concat([Buffer.from(head(nameOf(content), BYTES)), content]));
    await expect.poll(idle.said).toMatch(/^HTTP\/1\.1 200 /);
    const [whole, stuck] = [open(), open()];
    const others = [randomBytes(BYTES), randomBytes(BYTES)];
    for (const [i, { socket }] of [whole, stuck].entries()) {
      const asked = new Promise((resolve) => socket.once("data", resolve));
      socket.write(head(nameOf(others[i]!), BYTES, "Expect: 100-continue\r\n"));
      await asked;
      await new Promise((resolve) => socket.write(others[i]!.subarray(0, 500_000), resolve));
    }
    const stopped = server.stop();
    await idle.closed;
    whole.socket.write(others[0]!.subarray(500_000));
    await whole.closed;
    expect(whole.said()).toMatch(/HTTP\/1\.1 200 OK\r\n(.*\r\n)*Connection: close\r\n/);
    await stopped;
    await stuck.closed;
    expect(stuck.said()).not.toMatch(/ 200 /);
    expect(saved(nameOf(others[0]!)).equals(others[0]!)).toBe(true);
  });

  itWhere(process.getuid?.() === 0)("say that the disk is full, while the client still sends", async () => {
    const disk = join(folder, "disk");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]);
    try {
      folder = disk;
      await start();
      const content = randomBytes(20_000_000);
      const answer = await ask(server.url, "POST", `/data/${nameOf(content)}`, { body: content });
      expect(answer.status).toBe(507);
      expect(await names()).toEqual([]);
      const small = randomBytes(BYTES);
      expect((await ask(server.url, "POST", `/data/${nameOf(small)}`, { body: small })).status).toBe(200);
    } finally {
      await server.stop();
      execFileSync("umount", [disk]);
    }
  });

  it("come over a unix socket as well", async () => {
    const path = join(folder, "socket");
    await start({ listen: { kind: "unix", path } });
    const put = (name: string, body: Buffer) =>
      new Promise<number>((resolve, reject) => {
        const asked = request({
          socketPath: path,
          method: "POST",
          path: name,
          headers: { "content-length": body.length },
        });
        asked.on("response", (response) => resolve(response.resume().statusCode!));
        asked.on("error", reject);
        asked.end(body);
      });
    expect(await put("/?create=true", Buffer.alloc(0))).toBe(200);
    const content = randomBytes(BYTES);
    expect(await put(`/data/${nameOf(content)}`, content)).toBe(200);
    expect(saved(nameOf(content)).equals(content)).toBe(true);
  });
});
