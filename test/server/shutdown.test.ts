import { createHash, randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startYoreServer } from "../support/rest-servers.js";
import { temporaryFolder } from "../support/temporary.js";
import { ask, connectRaw, type RawConnection } from "./ask.js";

const nameOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Nothing here may need the end of the patience: each test would take longer than it may. */
describe("yore serve when it is told to end", () => {
  let server: Awaited<ReturnType<typeof startYoreServer>>;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    server = await startYoreServer(await temporaryFolder(), {
      shutdownMs: 3_600_000,
      uploadPatienceMs: 3_600_000,
    });
    await ask(server.url, "POST", "/?create=true");
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await server.stop();
  });

  function open(): RawConnection {
    const connection = connectRaw(server.url);
    sockets.push(connection.socket);
    return connection;
  }

  const head = (content: Buffer) =>
    `POST /data/${nameOf(content)} HTTP/1.1\r\nHost: h\r\nContent-Length: ${content.length}\r\n`;

  it.each([1_000, 1_000_000])(
    "answers an upload of %i bytes that is under way, says that it was the last, and ends",
    async (bytes) => {
      const { socket, said, closed } = open();
      const content = randomBytes(bytes);
      socket.write(`${head(content)}Expect: 100-continue\r\n\r\n`);
      await expect.poll(said).toContain(" 100 ");
      const stopped = server.stop();
      socket.write(content);
      await closed;
      expect(said()).toMatch(/\r\n\r\nHTTP\/1\.1 200 OK\r\n(.*\r\n)*Connection: close\r\n/);
      await stopped;
    },
  );

  it("sends what it had begun to send, and answers what was asked behind it", async () => {
    const content = randomBytes(30_000_000);
    await ask(server.url, "POST", `/data/${nameOf(content)}`, { body: content });
    const { socket, said, closed } = open();
    socket.write(
      `GET /data/${nameOf(content)} HTTP/1.1\r\nHost: h\r\n\r\nGET /healthz HTTP/1.1\r\nHost: h\r\n\r\n`,
    );
    await new Promise((resolve) => socket.once("data", resolve));
    socket.pause();
    const stopped = server.stop();
    socket.resume();
    await closed;
    const [, download, health] = said().split("HTTP/1.1 200 OK\r\n");
    expect(download!.endsWith(content.toString("latin1"))).toBe(true);
    expect(health).toMatch(/ok\n$/);
    await stopped;
  });

  it("waits for no rest of a body that it has answered", async () => {
    const { socket, said, closed } = open();
    socket.write("GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nsome of it");
    await expect.poll(said).toMatch(/ok\n$/);
    const stopped = server.stop();
    await Promise.all([stopped, closed]);
  });

  it("lets go of a connection that has asked for nothing", async () => {
    const { closed } = open();
    expect((await ask(server.url, "GET", "/healthz")).status).toBe(200);
    await Promise.all([server.stop(), closed]);
  });
});
