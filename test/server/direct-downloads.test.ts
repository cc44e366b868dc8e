import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startYoreServer } from "../support/rest-servers.js";
import { temporaryFolder } from "../support/temporary.js";
import { ask, askRaw } from "./ask.js";

/** Larger than the buffers of a connection. */
const content = randomBytes(30_000_003);
const NAME = createHash("sha256").update(content).digest("hex");

describe("large downloads from yore serve, past its HTTP side", () => {
  let folder: string;
  let lines: string[];
  let server: Awaited<ReturnType<typeof startYoreServer>>;
  let sockets: Socket[];

  beforeEach(async () => {
    folder = await temporaryFolder();
    lines = [];
    sockets = [];
    server = await startYoreServer(folder, {
      accessLog: (line) => lines.push(line),
      metrics: "open",
      shutdownMs: 300,
    });
    mkdirSync(join(folder, "data", NAME.slice(0, 2)), { recursive: true });
    writeFileSync(join(folder, "data", NAME.slice(0, 2), NAME), content);
  });

  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await server.stop();
  });

  const GET = `GET /data/${NAME} HTTP/1.1\r\nHost: h\r\n`;

  /** Asks for the file and reads the beginning of it, no more. */
  async function beginDownload(asked = `${GET}\r\n`): Promise<Socket> {
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    sockets.push(socket);
    socket.on("error", () => {});
    socket.write(asked);
    await new Promise((resolve) => socket.once("data", resolve));
    socket.pause();
    return socket;
  }

  const openFiles = () => readdirSync("/proc/self/fd").length;

  it("come whole and in parts, one behind the other on one connection, and all else between them", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const get = (path: string, range?: string) =>
      new Promise<{ status: number; body: Buffer; reused: boolean }>((resolve, reject) => {
        const { hostname, port } = new URL(server.url);
        const headers = range === undefined ? {} : { range };
        const asked = request({ hostname, port, path, agent, headers }, (response) => {
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
        asked.end();
      });
    expect((await get("/healthz")).body.toString()).toBe("ok\n");
    for (const [range, from, to] of [
      [undefined, 0, content.length],
      ["bytes=5-10000004", 5, 10_000_005],
      ["bytes=-1000000", content.length - 1_000_000, content.length],
      ["bytes=29000000-99999999", 29_000_000, content.length],
    ] as const) {
      const answer = await get(`/data/${NAME}`, range);
      expect({ status: answer.status, reused: answer.reused }).toEqual({
        status: range ? 206 : 200,
        reused: true,
      });
      expect(answer.body.equals(content.subarray(from, to))).toBe(true);
      expect((await get("/healthz")).reused).toBe(true);
    }
    agent.destroy();
    const sent = lines
      .filter((line) => line.includes("GET /data/"))
      .map((line) => Number(line.split(" ").at(-3)));
    expect(sent).toEqual([content.length, 10_000_000, 1_000_000, content.length - 29_000_000]);
    const metrics = (await ask(server.url, "GET", "/metrics")).text;
    expect(metrics).toContain(`} ${sent.reduce((sum, bytes) => sum + bytes, 0)}\n`);
  });

  it("let go of the file and the connection when the client goes", async () => {
    const before = openFiles();
    const clients = await Promise.all(Array.from({ length: 10 }, () => beginDownload()));
    expect(openFiles()).toBeGreaterThan(before + 10);
    for (const socket of clients) socket.destroy();
    await expect.poll(() => lines.filter((line) => line.includes("GET /data/")).length).toBe(10);
    await expect.poll(openFiles).toBe(before);
    for (const line of lines) expect(Number(line.split(" ").at(-3))).toBeLessThan(content.length);
  });

  it("let go of the file when the client goes in the middle of several ranges", async () => {
    const before = openFiles();
    const socket = await beginDownload(`${GET}Range: bytes=0-20000000,5-9,7-10\r\n\r\n`);
    socket.destroy();
    await expect.poll(() => lines.length).toBe(1);
    await expect.poll(openFiles).toBe(before);
  });

  it("let go of the files when the client goes that had asked for several, one behind the other", async () => {
    const before = openFiles();
    const all = ["", "bytes=0-9", "bytes=0-9,20-29"].map(
      (range) => `${GET}${range && `Range: ${range}\r\n`}\r\n`,
    );
    const socket = await beginDownload(`${all.join("")}GET /data/ HTTP/1.1\r\nHost: h\r\n\r\n`);
    socket.destroy();
    // Those behind the first may have had their turn for a moment.
    await expect.poll(() => lines.length).toBeGreaterThan(0);
    await expect.poll(openFiles).toBe(before);
  });

  it("come one behind the other where the client asks for several before it reads", async () => {
    const asked = `${GET}Range: bytes=0-299999\r\n\r\n${GET}\r\n${GET}Range: bytes=-5\r\nConnection: close\r\n\r\n`;
    const said = await askRaw(server.url, asked);
    expect(lines.map((line) => line.split(" ").slice(-4, -2).join(" "))).toEqual([
      "206 300000",
      `200 ${content.length}`,
      "206 5",
    ]);
    expect(said.length).toBeGreaterThan(0);
  });

  it("keep nobody waiting who reads, while many do not", async () => {
    await Promise.all(Array.from({ length: 20 }, () => beginDownload()));
    const { body } = await ask(server.url, "GET", `/data/${NAME}`);
    expect(body.equals(content)).toBe(true);
  });

  it("are cut off when the server ends and the client does not read", async () => {
    const socket = await beginDownload();
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await server.stop();
    let rest = 0;
    socket.on("data", (piece: Buffer) => {
      rest += piece.length;
    });
    socket.resume();
    await closed;
    expect(rest).toBeLessThan(content.length);
    const [status, sent] = lines.at(-1)!.split(" ").slice(-4, -2).map(Number);
    expect(status).toBe(200);
    expect(sent).toBeGreaterThanOrEqual(rest);
    expect(sent).toBeLessThan(content.length);
  });

  it("end before their length when the file has become shorter, so that nobody takes it for whole", async () => {
    const socket = await beginDownload();
    truncateSync(join(folder, "data", NAME.slice(0, 2), NAME), 20_000_000);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    let rest = 0;
    socket.on("data", (piece: Buffer) => {
      rest += piece.length;
    });
    socket.resume();
    await closed;
    expect(rest).toBeLessThanOrEqual(20_000_000);
    await expect.poll(() => server.log.join()).toMatch(/the file ends at 20000000/);
  });
});
