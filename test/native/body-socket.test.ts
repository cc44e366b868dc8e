import { randomBytes } from "node:crypto";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server, Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import type { SocketHandle } from "../../src/native/body-socket-functions.js";
import { temporaryFolder } from "../support/temporary.js";

const addon = loadAddon()!;

describe.skipIf(addonProblem() !== undefined)("socket functions of the addon", () => {
  let folder: string;
  let server: Server;
  let client: Socket;
  let taken: SocketHandle;

  /** The server's end of a connection, taken out of Node.js before it reads anything. */
  beforeEach(async () => {
    folder = await temporaryFolder();
    server = createServer({ pauseOnConnect: true });
    const path = join(folder, "socket");
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
    client = new Socket();
    client.connect(path);
    const socket = await accepted;
    taken = addon.socketTake((socket as unknown as { _handle: { fd: number } })._handle.fd);
    socket.destroy();
  });

  afterEach(() => {
    client.destroy();
    server.close();
  });

  const send = (bytes: Uint8Array) => new Promise((resolve) => client.write(bytes, resolve));
  const open = () => addon.uploadOpen(Buffer.from(folder), 0o600);

  it("bring what has arrived into a file, up to the limit, and wait for the rest", async () => {
    const content = randomBytes(1_500_000);
    const upload = await open();
    expect(await addon.uploadReceive(upload, taken, 10)).toBe(0);
    const sending = send(content);
    let received = 0;
    while (received < content.length) {
      await addon.socketReadable(taken);
      const got = await addon.uploadReceive(upload, taken, Math.min(400_001, content.length - received));
      expect(got).toBeLessThanOrEqual(400_001);
      expect(got).toBeGreaterThan(0);
      received += got;
    }
    await sending;
    await addon.uploadCommit(upload, Buffer.from(join(folder, "file")), undefined);
    expect(readFileSync(join(folder, "file")).equals(content)).toBe(true);
  });

  it("give the connection back as it was", async () => {
    await send(Buffer.from("ping"));
    const socket = new Socket({ fd: addon.socketRelease(taken) });
    const got = new Promise((resolve) => socket.once("data", resolve));
    const answer = new Promise((resolve) => client.once("data", resolve));
    socket.write("pong");
    expect(String(await got)).toBe("ping");
    expect(String(await answer)).toBe("pong");
    socket.destroy();
    expect(() => addon.socketRelease(taken)).toThrow(/EBADF/);
    expect(() => addon.socketReadable(taken)).toThrow(/EBADF/);
    await expect(addon.uploadReceive(await open(), taken, 1)).rejects.toMatchObject({ code: "EBADF" });
    addon.socketShutdown(taken);
    addon.socketClose(taken);
  });

  it("come to the end when the client does, and when nothing more is wanted", async () => {
    const upload = await open();
    await send(Buffer.from("last words"));
    client.end();
    await addon.socketReadable(taken);
    expect(await addon.uploadReceive(upload, taken, 1_000_000)).toBe(10);
    await addon.socketReadable(taken);
    expect(await addon.uploadReceive(upload, taken, 1_000_000)).toBe(-1);
  });

  it("wake who waits when nothing more is wanted", async () => {
    const waiting = addon.socketReadable(taken);
    addon.socketShutdown(taken);
    await waiting;
    expect(await addon.uploadReceive(await open(), taken, 1_000_000)).toBe(-1);
  });

  it("do one thing at a time", async () => {
    const waiting = addon.socketReadable(taken);
    expect(() => addon.socketReadable(taken)).toThrow(/EBUSY/);
    expect(() => addon.socketRelease(taken)).toThrow(/EBUSY/);
    expect(() => addon.socketClose(taken)).toThrow(/EBUSY/);
    await expect(addon.uploadReceive(await open(), taken, 1)).rejects.toMatchObject({ code: "EBUSY" });
    await send(Buffer.from("x"));
    await waiting;
    expect(await addon.uploadReceive(await open(), taken, 10)).toBe(1);
  });

  it("send a stretch of a file, as much as the kernel takes at a time", async () => {
    const content = randomBytes(3_000_000);
    writeFileSync(join(folder, "file"), content);
    const file = openSync(join(folder, "file"), "r");
    const got: Buffer[] = [];
    let sent = 100;
    const send = async () => {
      const bytes = await addon.socketSend(taken, file, sent, 5_000_000);
      sent += bytes;
      return bytes;
    };
    // Nobody reads more than the first piece of it yet: it cannot all go.
    while ((await send()) > 0);
    expect(sent).toBeGreaterThan(100);
    expect(sent).toBeLessThan(content.length);
    client.on("data", (piece: Buffer) => got.push(piece));
    while (sent < content.length) {
      await addon.socketWritable(taken);
      await send();
    }
    expect(await addon.socketSend(taken, file, sent, 1)).toBe(-1);
    const closed = new Promise((resolve) => client.on("close", resolve));
    addon.socketClose(taken);
    await closed;
    closeSync(file);
    expect(Buffer.concat(got).equals(content.subarray(100))).toBe(true);
  });

  it("end the connection for all who have it, and say so to who sends", async () => {
    const file = openSync(import.meta.filename, "r");
    const closed = new Promise((resolve) => client.on("close", resolve));
    client.resume();
    addon.socketAbort(taken);
    await closed;
    await addon.socketWritable(taken);
    await expect(addon.socketSend(taken, file, 0, 10)).rejects.toMatchObject({ code: "EPIPE" });
    closeSync(file);
    await expect(addon.socketSend(taken, file, 0, 10)).rejects.toMatchObject({ syscall: "sendfile" });
    const send = addon.socketSend as (...args: unknown[]) => Promise<number>;
    for (const args of [[], [taken, -1, 0, 1], [taken, 0, -1, 1], [taken, 0, 0, 0], [{}, 0, 0, 1]])
      expect(() => send(...args)).toThrow();
  });

  it("close the connection once", async () => {
    const closed = new Promise((resolve) => client.on("close", resolve));
    client.resume();
    addon.socketClose(taken);
    addon.socketClose(taken);
    await closed;
  });

  it("take nothing but sockets, and say what is wrong", async () => {
    const take = addon.socketTake as (fd: unknown) => SocketHandle;
    const file = openSync(folder, "r");
    expect(() => take(file)).toThrow(/ENOTSOCK/);
    closeSync(file);
    expect(() => take(1_000_000)).toThrow(/EBADF/);
    for (const wrong of [undefined, -1, 1.5, "0", 2 ** 40])
      expect(() => take(wrong), String(wrong)).toThrow();
    const upload = await open();
    const receive = addon.uploadReceive as (...args: unknown[]) => Promise<number>;
    for (const args of [
      [],
      [taken, taken, 1],
      [upload, upload, 1],
      [upload, taken, 0],
      [upload, taken, Number.NaN],
    ])
      expect(() => receive(...args)).toThrow();
    const readable = addon.socketReadable as (...args: unknown[]) => Promise<void>;
    for (const args of [[], [upload], [{}]]) expect(() => readable(...args)).toThrow();
    for (const call of [addon.socketShutdown, addon.socketRelease, addon.socketClose])
      expect(() => (call as (it: unknown) => unknown)({})).toThrow(/handle/);
  });
});
