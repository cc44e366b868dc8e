import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, createServer as createNetServer } from "node:net";
import { networkInterfaces } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import { TokenBucket } from "../../src/async/token-bucket.js";
import {
  HttpClient,
  type HttpOptions,
  type HttpRequest,
  type HttpTarget,
} from "../../src/backend/http-client.js";
import { RefusedError } from "../../src/backend/refused-error.js";
import { countAlive } from "../support/collect-garbage.js";

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function serve(listener: RequestListener, host = "127.0.0.1"): Promise<number> {
  const server: Server = createServer(listener).listen(0, host);
  closers.push(() => server.close().closeAllConnections());
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

function newClient(options: HttpOptions = {}): HttpClient {
  const client = new HttpClient(options);
  closers.push(() => client.close());
  return client;
}

function at(port: number, path = "/", hostname = "127.0.0.1"): HttpTarget {
  return { protocol: "http:", hostname, port: String(port), path };
}

const loopback = Object.entries(networkInterfaces()).find(([, addresses]) =>
  addresses?.some(({ address }) => address === "::1"),
)?.[0];

describe("HttpClient", () => {
  it.skipIf(loopback === undefined)(
    "reaches an address with a zone, and keeps the zone to itself",
    async () => {
      const hosts: unknown[] = [];
      const port = await serve(
        ({ headers }, response) => response.end(hosts.push(headers.host) && ""),
        "::1",
      );
      await newClient().send({ method: "GET", url: at(port, "/", `::1%${loopback}`), maxBytes: 0 });
      expect(hosts).toEqual([`[::1]:${port}`]);
    },
  );

  /** What a server answers redirects with, and where it is. */
  function redirecting(status: number, location: (url: string) => string): Promise<number> {
    return serve((request, response) => {
      response.writeHead(status, { location: location(request.url!) });
      request.resume().on("end", () => response.end("moved"));
    });
  }

  /** Tells in its answer what it was asked. */
  function echoing(): Promise<number> {
    return serve(async (request, response) => {
      const body = (await request.toArray()).join("");
      const { authorization, range } = request.headers;
      response.end(JSON.stringify({ method: request.method, url: request.url, authorization, range, body }));
    });
  }

  const HEADERS = { authorization: "Basic x", range: "bytes=0-1" };

  async function sendTo(port: number, more: Partial<HttpRequest>): Promise<unknown> {
    const request = {
      method: "GET",
      url: at(port, "/a?create=true"),
      headers: HEADERS,
      maxBytes: 1000,
    } as const;
    const { body } = await newClient().send({ ...request, ...more });
    return JSON.parse(body.toString());
  }

  it.each([
    [301, "GET"],
    [302, "GET"],
    [303, "GET"],
    [307, "POST"],
    [308, "POST"],
    [308, "DELETE"],
  ] as const)("follows a %i of a %s with all that was asked", async (status, method) => {
    const port = await echoing();
    const gate = await redirecting(status, (url) => `http://127.0.0.1:${port}/moved${url}`);
    const body = method === "POST" ? [Buffer.from("one "), Buffer.from("two")] : undefined;
    expect(await sendTo(gate, { method, body })).toEqual({
      method,
      url: "/moved/a?create=true",
      ...HEADERS,
      body: body ? "one two" : "",
    });
  });

  it("follows redirects within a server, and to ones without a host, but not for ever", async () => {
    let left = 10;
    const port = await serve((_, response) => {
      response.writeHead(left > 0 ? 307 : 200, { location: `n${left--}` }).end("{}");
    });
    expect(await sendTo(port, {})).toEqual({});
    left = Number.POSITIVE_INFINITY;
    await expect(sendTo(port, {})).rejects.toThrow("redirects again and again, 10 times");
  });

  it("sends no more of a body once it has an answer", async () => {
    let cut: Promise<unknown> | undefined;
    let received = 0;
    const port = await serve((request, response) => {
      response.writeHead(413).end();
      request.on("data", (piece: Buffer) => (received += piece.length));
      cut = new Promise((resolve) => request.socket.on("close", resolve));
    });
    const body = [Buffer.alloc(64 * 1024 * 1024)];
    const client = newClient({ uploadRate: new TokenBucket(256 * 1024) });
    const { status } = await client.send({ method: "POST", url: at(port), body, maxBytes: 0 });
    expect(status).toBe(413);
    await cut;
    expect(received).toBeLessThan(body[0]!.length);
  });

  it("sends the whole body to a server that says too early that it has it", async () => {
    let received: Promise<number> | undefined;
    const port = await serve((request, response) => {
      response.writeHead(200).end();
      received = request.toArray().then((pieces: Buffer[]) => Buffer.concat(pieces).length);
    });
    const body = [Buffer.alloc(8 * 1024 * 1024)];
    const client = newClient({ uploadRate: new TokenBucket(64 * 1024 * 1024) });
    expect(await client.send({ method: "POST", url: at(port), body })).toMatchObject({ status: 200 });
    expect(await received).toBe(body[0]!.length);
  });

  it("does not believe that a server has what it did not take", async () => {
    const port = await serve((request, response) => {
      request.on("error", () => {});
      response.writeHead(200).end(() => setImmediate(() => request.socket.destroy()));
    });
    const body = [Buffer.alloc(64 * 1024 * 1024)];
    const sent = newClient().send({ method: "POST", url: at(port), body });
    await expect(sent).rejects.toThrow("the server did not take all that it said it had: ");
  });

  it("says that nothing moves at a server that says that it has what it does not take", async () => {
    const server = createNetServer((socket) =>
      socket
        .on("error", () => {})
        .once("data", () => {
          socket.pause().write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
          closers.push(() => socket.destroy());
        }),
    ).listen(0, "127.0.0.1");
    closers.push(() => server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const body = [Buffer.alloc(64 * 1024 * 1024)];
    const sent = newClient({ stuckRequestMs: 500 }).send({ method: "POST", url: at(port), body });
    await expect(sent).rejects.toMatchObject({
      code: "timeout",
      message: expect.stringMatching(/^the server did not take all that it said it had: no byte moved/),
    });
  });

  /** A server that answers each connection with these bytes. */
  async function answering(bytes: string): Promise<number> {
    const server = createNetServer((socket) =>
      socket.on("error", () => {}).once("data", () => socket.end(bytes)),
    );
    closers.push(() => server.close());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }

  it.each([
    ["HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "the server answered 101"],
    ["SSH-2.0-OpenSSH_9.6\r\n", "no answer: what came is no HTTP (Expected HTTP/"],
    [
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "the answer broke off: what came is no HTTP",
    ],
  ])("gives up at %j", async (bytes, reason) => {
    const asked = newClient().send({ method: "GET", url: at(await answering(bytes)), maxBytes: 100 });
    const failure = await asked.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RefusedError);
    expect((failure as Error).message).toContain(reason);
  });

  it("gives up at a server that does not speak TLS", async () => {
    const url = { ...at(await answering("HTTP/1.1 400 Bad Request\r\n\r\n")), protocol: "https:" } as const;
    const failure = await newClient()
      .send({ method: "GET", url, maxBytes: 100 })
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RefusedError);
    expect((failure as Error).message).toBe("no answer: what is there does not speak TLS");
  });

  it("tells an answer that broke off from none", async () => {
    const port = await serve((request, response) => {
      if (request.url === "/none") return void request.socket.destroy();
      response.writeHead(200, { "content-length": 100 });
      response.write("x", () => setImmediate(() => request.socket.destroy()));
    });
    const ask = (path: string) => newClient().send({ method: "GET", url: at(port, path), maxBytes: 100 });
    await expect(ask("/none")).rejects.toThrow("no answer: socket hang up");
    await expect(ask("/half")).rejects.toThrow("the answer broke off: the connection was closed");
  });

  it("keeps no body whose answer has come before its end", async () => {
    const port = await serve((_, response) => response.writeHead(413).end());
    const client = newClient();
    const post = async () => {
      const body = [Buffer.alloc(64 * 1024 * 1024)];
      await client.send({ method: "POST", url: at(port), body, maxBytes: 0 });
      return new WeakRef(body[0]!);
    };
    const sent = await post();
    await expect.poll(() => countAlive([sent])).toBe(0);
  });

  it("asks for what it gets as it is", async () => {
    let encoding: unknown;
    const port = await serve(({ headers }, response) => {
      encoding = headers["accept-encoding"];
      response.end();
    });
    await newClient().send({ method: "GET", url: at(port), maxBytes: 0 });
    expect(encoding).toBe("identity");
  });

  it.each([404, 503])("reads no more than the beginning of the page that comes with a %i", async (status) => {
    let closed: Promise<unknown> | undefined;
    const port = await serve((request, response) => {
      closed = new Promise((resolve) => request.socket.on("close", resolve));
      response.writeHead(status).write(Buffer.alloc(1_000_000, "x"));
    });
    const answer = await newClient().send({ method: "GET", url: at(port), maxBytes: 100 });
    expect(answer).toMatchObject({ status, body: Buffer.alloc(65_536, "x") });
    await closed;
  });

  it("passes over what is said of what was done, and keeps the connection", async () => {
    const sockets = new Set<unknown>();
    const port = await serve((request, response) => {
      sockets.add(request.socket);
      response.end('{"ok":true}');
    });
    const client = newClient();
    const ask = () => client.send({ method: "DELETE", url: at(port) });
    expect([await ask(), await ask()]).toMatchObject([{ status: 200 }, { status: 200 }]);
    expect(sockets.size).toBe(1);
  });

  it("closes the connection of an answer that is too long to be read", async () => {
    let closed: Promise<unknown> | undefined;
    const port = await serve((request, response) => {
      closed = new Promise((resolve) => request.socket.on("close", resolve));
      response.writeHead(200, { "content-length": 10_000_000 }).end(Buffer.alloc(10_000_000));
    });
    const asked = newClient().send({ method: "GET", url: at(port), maxBytes: 100 });
    const failure = await asked.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RefusedError);
    expect((failure as Error).message).toBe("the answer has 10000000 bytes, expected at most 100");
    await closed;
  });

  it("sends nothing again once it is closed", async () => {
    const client = newClient();
    const asked: string[] = [];
    const port = await serve((request, response) => {
      asked.push(request.url!);
      if (request.url === "/answered") response.end();
      else client.close();
    });
    await client.send({ method: "GET", url: at(port, "/answered"), maxBytes: 0 });
    const underWay = client.send({ method: "GET", url: at(port, "/never"), maxBytes: 0 });
    await expect(underWay).rejects.toThrow("no answer");
    expect(asked).toEqual(["/answered", "/never"]);
  });

  it("keeps the password from another host", async () => {
    const port = await echoing();
    const gate = await redirecting(307, () => `http://localhost:${port}/`);
    const { authorization, ...others } = HEADERS;
    expect(await sendTo(gate, {})).toEqual({ method: "GET", url: "/", ...others, body: "" });
  });

  it.each([
    [
      302,
      "POST",
      "http://u:secret@127.0.0.1:1/x?key=secret",
      '302, a redirect to "http://127.0.0.1:1/x", where no POST',
    ],
    [301, "DELETE", "/x", "where no DELETE is sent"],
    [308, "GET", "ftp://127.0.0.1/x", "which is not HTTP"],
    [308, "GET", "http://u:secret@127.0.0.1:99999/", 'a redirect to "***@127.0.0.1:99999/", which is no URL'],
  ] as const)("refuses a %i of a %s to %s", async (status, method, location, reason) => {
    const gate = await redirecting(status, () => location);
    const failure = await sendTo(gate, { method }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RefusedError);
    expect((failure as Error).message).toContain(reason);
    expect((failure as Error).message).not.toContain("secret");
  });

  it.each(["http", "https"] as const)("gives up at once when it waits for an %s proxy", async (scheme) => {
    const interruption = new AbortController();
    const silent = createNetServer((socket) => socket.once("data", () => interruption.abort()));
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const proxy = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const client = newClient({ proxies: { http: proxy, https: proxy } });
    const url = { protocol: `${scheme}:`, hostname: "repo.test", port: "", path: "/" } as const;
    const { signal } = interruption;
    const sent = client.send({ method: "GET", url, maxBytes: 0, signal });
    await expect(sent).rejects.toMatchObject({ code: "interrupted" });
    client.close();
    // Ends once all of its connections have.
    silent.close();
    await once(silent, "close");
  });
});
