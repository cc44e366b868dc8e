import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, it } from "vitest";
import { runYore } from "../support/run.js";

/** Node.js lets a connection go without a word, and a command that waited for nothing else ended with exit code 0. */
it("yore does not end with success at a server that answers 101", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const args = ["-r", `rest:http://127.0.0.1:${port}/`, "--no-cache", "--insecure-no-password"];
  const { code, stderr } = await runYore([...args, "backup", import.meta.filename]);
  server.close();
  expect(stderr).toContain("the server answered 101");
  expect(code).toBe(1);
});
