import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createNetServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { HttpClient, type HttpOptions } from "../../src/backend/http-client.js";
import { RefusedError } from "../../src/backend/refused-error.js";
import { parseRestUrl } from "../../src/backend/rest-url.js";
import { type SocksOptions, startSocksServer } from "../support/socks-server.js";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startSocks(options: SocksOptions = {}) {
  const server = await startSocksServer(options);
  closers.push(() => server.stop());
  return server;
}

function clientThrough(port: number, login = "", more: HttpOptions = {}): HttpClient {
  const http = `socks5://${login}127.0.0.1:${port}`;
  const client = new HttpClient({ proxies: { http, https: http }, ...more });
  closers.push(() => client.close());
  return client;
}

function get(client: HttpClient, url: string, signal?: AbortSignal) {
  return client.send({ method: "GET", url: parseRestUrl(url).target, maxBytes: 100, signal });
}

/** What a request through the proxy fails with. */
async function failureThrough(options: SocksOptions, login = ""): Promise<unknown> {
  const { port } = await startSocks(options);
  return await get(clientThrough(port, login), "http://repo.test/").catch((error: unknown) => error);
}

async function startHttp(): Promise<number> {
  const server = createServer((request, response) => response.end(request.headers.host)).listen(
    0,
    "127.0.0.1",
  );
  closers.push(() => server.close().closeAllConnections());
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

describe("SocksTunnels", () => {
  it.each([1, 3, 4] as const)("lead to a name that only the proxy knows, type %i", async (boundType) => {
    const port = await startHttp();
    const socks = await startSocks({ boundType });
    const client = clientThrough(socks.port);
    for (let i = 0; i < 3; i++)
      expect((await get(client, `http://repo.test:${port}/`)).body.toString()).toBe(`repo.test:${port}`);
    // One connection for all three.
    expect(socks.asked).toEqual([{ type: 3, host: "repo.test", port }]);
  });

  it.each([
    ["http://10.1.2.255:8000/", { type: 1, host: "10.1.2.255", port: 8000 }],
    ["http://[2001:db8::a:1]/", { type: 4, host: "2001:0db8:0000:0000:0000:0000:000a:0001", port: 80 }],
    ["https://[fd00::]/", { type: 4, host: "fd00:0000:0000:0000:0000:0000:0000:0000", port: 443 }],
    ["http://[1:2:3:4:5:6:7:8]/", { type: 4, host: "0001:0002:0003:0004:0005:0006:0007:0008", port: 80 }],
    ["http://[fe80::1%25eth0]/", { type: 3, host: "fe80::1%eth0", port: 80 }],
  ])("are asked for to %s", async (url, asked) => {
    const socks = await startSocks({ trouble: { reply: 1 } });
    await expect(get(clientThrough(socks.port), url)).rejects.toThrow("it failed");
    expect(socks.asked).toEqual([asked]);
  });

  it("open for user and password, which are bytes", async () => {
    const port = await startHttp();
    const socks = await startSocks({ login: "a:b:\xff" });
    await get(clientThrough(socks.port, "a%3Ab:%FF@"), `http://repo.test:${port}/`);
    expect(socks.asked).toMatchObject([{ login: "a:b:\xff" }]);
  });

  it.each([
    ["", "it asks for a user and a password", "Put user and password of the proxy into its URL"],
    [
      "me:wrong@",
      "it does not take the user and the password",
      "Check user and password in the URL of the proxy",
    ],
  ])("stay closed for the login %s, and nobody asks again", async (login, reason, hint) => {
    const failure = await failureThrough({ login: "me:secret" }, login);
    expect(failure).toBeInstanceOf(RefusedError);
    expect(failure).toMatchObject({
      hint,
      message: expect.stringMatching(new RegExp(`no answer.*: ${reason}$`)),
    });
    expect((failure as Error).message).not.toContain("wrong");
  });

  it.each([
    [2, true, "it does not allow the way to the server"],
    [5, false, "the server refuses its connection"],
    [99, false, "it answered 99"],
  ])("that come to reply %i say what it is", async (reply, isRefused, message) => {
    const failure = await failureThrough({ trouble: { reply } });
    expect(failure instanceof RefusedError).toBe(isRefused);
    expect((failure as Error).message).toMatch(new RegExp(`no answer through proxy .*: ${message}$`));
  });

  it.each([1, 3])("to a proxy that goes away after message %i fail", async (goneAfter) => {
    const failure = await failureThrough({ trouble: { goneAfter } });
    expect(failure).toMatchObject({
      code: "backend",
      message: expect.stringContaining("it has closed the connection"),
    });
  });

  it("to a server that does not speak SOCKS are refused", async () => {
    const web = createNetServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")).listen(
      0,
      "127.0.0.1",
    );
    closers.push(() => web.close());
    await once(web, "listening");
    const client = clientThrough((web.address() as AddressInfo).port);
    await expect(get(client, "http://repo.test/")).rejects.toThrow("it does not speak SOCKS 5");
  });

  it.each(["http", "https"])(
    "to a silent proxy are given up in time, and at an interruption, for %s",
    async (scheme) => {
      for (const silentAfter of [1, 3]) {
        const socks = await startSocks({ trouble: { silentAfter } });
        const patient = clientThrough(socks.port);
        const interruption = new AbortController();
        const sent = get(patient, `${scheme}://repo.test/`, interruption.signal);
        void socks.silenced.then(() => interruption.abort());
        await expect(sent).rejects.toMatchObject({ code: "interrupted" });
        patient.close();
        const hasty = clientThrough(socks.port, "", { stuckRequestMs: 50 });
        await expect(get(hasty, `${scheme}://repo.test/`)).rejects.toMatchObject({ code: "timeout" });
        hasty.close();
        for (const socket of socks.open) await once(socket, "close");
      }
    },
  );
});
