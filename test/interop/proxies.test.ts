import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import { type AddressInfo, connect, type Server as NetServer } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startYoreServer } from "../support/rest-servers.js";
import { missingPeer, type RunResult, runRestic, runYore, spawnYore } from "../support/run.js";
import { type SocksOptions, type SocksServer, startSocksServer } from "../support/socks-server.js";
import { temporaryFolder } from "../support/temporary.js";

type Run = (args: readonly string[], env: Readonly<Record<string, string>>) => Promise<RunResult>;

const FILE = import.meta.filename;

/** A repository on a server whose name only a proxy knows: yore and restic find their way to it alike. */
describe.skipIf(missingPeer("restic"))("a proxy", () => {
  const closers: (() => unknown)[] = [];
  let folder: string;
  /** What the proxy was asked, and with which authorization. */
  let asked: { readonly line: string; readonly authorization: string | undefined }[];
  let server: Awaited<ReturnType<typeof startYoreServer>>;
  let proxyPort: number;
  let status = 0;

  const PROGRAMS: readonly (readonly [string, Run])[] = [
    ["yore", (args, env) => runYore([...args, "--no-cache"], { env: { RESTIC_PASSWORD: "x", ...env } })],
    ["restic", (args, env) => runRestic([...args, "--no-cache"], { env: { RESTIC_PASSWORD: "x", ...env } })],
  ];

  beforeEach(async () => {
    folder = await temporaryFolder();
    asked = [];
    status = 0;
    server = await startYoreServer(join(folder, "served"));
    closers.push(() => server.stop());
    const subject = ["-subj", "/CN=repo.test", "-addext", "subjectAltName=DNS:repo.test,DNS:localhost"];
    const files = ["-keyout", join(folder, "key"), "-out", join(folder, "crt")];
    const make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject, ...files];
    execFileSync("openssl", make, { stdio: "ignore" });
    proxyPort = await listen(makeProxy());
  });

  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function listen(started: NetServer): Promise<number> {
    const sockets = new Set<Duplex>();
    started.on("connection", (socket: Duplex) => sockets.add(socket));
    closers.push(() => {
      started.close();
      for (const socket of sockets) socket.destroy();
    });
    started.listen(0, "127.0.0.1");
    await once(started, "listening");
    return (started.address() as AddressInfo).port;
  }

  async function startSocks(options?: SocksOptions): Promise<SocksServer> {
    const socks = await startSocksServer(options);
    closers.push(() => socks.stop());
    return socks;
  }

  function note({ method, url, headers }: IncomingMessage): void {
    asked.push({ line: `${method} ${url}`, authorization: headers["proxy-authorization"] });
  }

  /** For it, every name is this machine's. */
  function makeProxy(): Server {
    const proxy = createServer((incoming, response) => {
      note(incoming);
      if (status !== 0) return void response.writeHead(status).end();
      const { port, pathname, search } = new URL(incoming.url!);
      const { method, headers } = incoming;
      const outgoing = request({ port, path: `${pathname}${search}`, method, headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      });
      incoming.pipe(outgoing);
    });
    return proxy.on("connect", (incoming: IncomingMessage, client: Duplex) => {
      note(incoming);
      if (status !== 0) return void client.end(`HTTP/1.1 ${status} No\r\n\r\n`);
      const inner = connect(Number(incoming.url!.split(":").at(-1)), "127.0.0.1");
      for (const socket of [client, inner]) socket.on("error", () => {});
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      client.pipe(inner).pipe(client);
    });
  }

  /** TLS in front of another port. */
  function tlsBefore(port: number): Promise<number> {
    const tls = { key: readFileSync(join(folder, "key")), cert: readFileSync(join(folder, "crt")) };
    return listen(
      createTlsServer(tls, (client) => {
        const inner = connect(port, "127.0.0.1");
        for (const socket of [client, inner]) socket.on("error", () => {});
        client.pipe(inner).pipe(client);
      }),
    );
  }

  async function expectUsable(run: Run, env: Readonly<Record<string, string>>): Promise<void> {
    for (const args of [["init"], ["backup", FILE], ["check", "--read-data"]])
      expect(await run(args, env)).toMatchObject({ code: 0 });
  }

  const portOf = (url: string) => Number(new URL(url).port);

  it.each(PROGRAMS)("is asked by %s for URLs of http servers", async (name, run) => {
    const url = `http://repo.test:${portOf(server.url)}/${name}/`;
    await expectUsable(run, {
      RESTIC_REPOSITORY: `rest:${url}`,
      HTTP_PROXY: `http://me:p%40ss@127.0.0.1:${proxyPort}`,
      HTTPS_PROXY: "http://127.0.0.1:1",
    });
    expect(asked.length).toBeGreaterThan(0);
    for (const { line, authorization } of asked) {
      expect(line).toContain(` ${url}`);
      expect(authorization).toBe(`Basic ${btoa("me:p@ss")}`);
    }
  });

  it.each(PROGRAMS)("is asked by %s for ways to https servers, which are used again", async (name, run) => {
    const port = await tlsBefore(portOf(server.url));
    await expectUsable(run, {
      RESTIC_REPOSITORY: `rest:https://repo.test:${port}/${name}/`,
      RESTIC_CACERT: join(folder, "crt"),
      http_proxy: "http://127.0.0.1:1",
      https_proxy: `me:p%40ss@127.0.0.1:${proxyPort}`,
    });
    expect(new Set(asked.map(({ line }) => line))).toEqual(new Set([`CONNECT repo.test:${port}`]));
    expect(new Set(asked.map(({ authorization }) => authorization))).toEqual(
      new Set([`Basic ${btoa("me:p@ss")}`]),
    );
    // Three commands with five connections each, and some forty requests.
    expect(asked.length).toBeLessThanOrEqual(15);
  });

  it.each(PROGRAMS)("may speak TLS itself with %s", async (name, run) => {
    const proxy = `https://localhost:${await tlsBefore(proxyPort)}`;
    const env = { RESTIC_CACERT: join(folder, "crt"), HTTP_PROXY: proxy, HTTPS_PROXY: proxy };
    const plain = `rest:http://repo.test:${portOf(server.url)}/${name}-plain/`;
    await expectUsable(run, { ...env, RESTIC_REPOSITORY: plain });
    const port = await tlsBefore(portOf(server.url));
    await expectUsable(run, { ...env, RESTIC_REPOSITORY: `rest:https://repo.test:${port}/${name}-tls/` });
    expect(new Set(asked.map(({ line }) => line.split(" ")[0]))).toContain("CONNECT");
    expect(new Set(asked.map(({ line }) => line.split(" ")[0]))).toContain("GET");
  });

  it.each(PROGRAMS)("that speaks SOCKS is asked by %s for ways, which are used again", async (name, run) => {
    const socks = await startSocks({ login: "me:p@ss" });
    const proxy = `://me:p%40ss@127.0.0.1:${socks.port}`;
    const env = {
      HTTP_PROXY: `socks5${proxy}`,
      HTTPS_PROXY: `socks5h${proxy}`,
      RESTIC_CACERT: join(folder, "crt"),
    };
    const port = portOf(server.url);
    const tlsPort = await tlsBefore(port);
    await expectUsable(run, { ...env, RESTIC_REPOSITORY: `rest:http://repo.test:${port}/${name}-plain/` });
    await expectUsable(run, { ...env, RESTIC_REPOSITORY: `rest:https://repo.test:${tlsPort}/${name}-tls/` });
    const expected = [port, tlsPort].map((one) => ({
      type: 3,
      host: "repo.test",
      port: one,
      login: "me:p@ss",
    }));
    for (const request of socks.asked) expect(expected).toContainEqual(request);
    expect(socks.asked.length).toBeLessThanOrEqual(30);
  });

  it.each(PROGRAMS)("that speaks SOCKS does not lead %s to this machine", async (name, run) => {
    const socks = await startSocks();
    const env = { HTTP_PROXY: `socks5://127.0.0.1:${socks.port}`, NO_PROXY: "elsewhere" };
    await expectUsable(run, { ...env, RESTIC_REPOSITORY: `rest:${server.url}${name}/` });
    expect(socks.asked).toEqual([]);
  });

  it("that speaks SOCKS is not asked again when it does not take the password", async () => {
    const socks = await startSocks({ login: "me:right" });
    const env = {
      RESTIC_REPOSITORY: "rest:http://repo.test/",
      HTTP_PROXY: `socks5://me:secret@127.0.0.1:${socks.port}`,
    };
    const { code, stderr } = await PROGRAMS[0]![1](["list", "keys"], env);
    expect(code).toBe(1);
    expect(stderr).toContain(
      `no answer through proxy "socks5://me:***@127.0.0.1:${socks.port}": it does not take the user and the password`,
    );
    expect(stderr).not.toMatch(/trying again|secret/);
  });

  it("that speaks SOCKS, and then no more, holds no command that is interrupted", async () => {
    const socks = await startSocks({ trouble: { silentAfter: 1 } });
    const env = {
      RESTIC_PASSWORD: "x",
      RESTIC_REPOSITORY: "rest:http://repo.test/",
      HTTP_PROXY: `socks5://127.0.0.1:${socks.port}`,
    };
    const child = spawnYore(["list", "keys", "--no-cache"], { env });
    const ended = once(child, "exit");
    await socks.silenced;
    child.kill("SIGINT");
    expect(await ended).toEqual([130, null]);
  });

  it.each(PROGRAMS)("is left out by %s where there is nothing between", async (name, run) => {
    const proxies = { HTTP_PROXY: `http://127.0.0.1:${proxyPort}`, NO_PROXY: "elsewhere" };
    await expectUsable(run, { ...proxies, RESTIC_REPOSITORY: `rest:${server.url}${name}/` });
    expect(asked).toEqual([]);
  });

  it.each([
    ["http", 407],
    ["https", 407],
    ["https", 403],
  ])("that refuses an %s URL with %i is not asked again", async (scheme, refusal) => {
    status = refusal;
    const proxy = `http://me:secret@127.0.0.1:${proxyPort}`;
    const env = { RESTIC_REPOSITORY: `rest:${scheme}://repo.test/`, HTTP_PROXY: proxy, HTTPS_PROXY: proxy };
    const { code, stderr } = await PROGRAMS[0]![1](["list", "keys"], env);
    expect(code).toBe(1);
    expect(stderr).toContain(
      `no answer through proxy "http://me:***@127.0.0.1:${proxyPort}": it answered ${refusal}`,
    );
    expect(stderr).not.toContain("trying again");
    expect(stderr).not.toContain("secret");
  });

  it("that cannot be used is not gone round", async () => {
    const env = { RESTIC_REPOSITORY: `rest:http://repo.test/`, HTTP_PROXY: "socks4://me:secret@127.0.0.1" };
    const { code, stderr } = await PROGRAMS[0]![1](["list", "keys"], env);
    expect(code).toBe(1);
    expect(stderr).toContain('Cannot use proxy "socks4://me:***@127.0.0.1": expected an http');
    expect(stderr).not.toContain("trying again");
  });
});
