import { createHash } from "node:crypto";
import { appendFileSync, linkSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { hash as bcrypt } from "bcryptjs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startYoreServer, type YoreServerOptions } from "../support/rest-servers.js";
import { run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { type Answer, ask, askRaw, type Question } from "./ask.js";

const nameOf = (text: string) => createHash("sha256").update(text).digest("hex");
const sha1 = (password: string) => `{SHA}${createHash("sha1").update(password).digest("base64")}`;

type Server = Awaited<ReturnType<typeof startYoreServer>>;

/** Resolves for an answer with this status, and never for others. */
const only = (status: number, answer: Answer) =>
  answer.status === status ? answer : new Promise<never>(() => {});

describe("who may do what at yore serve", () => {
  let folder: string;
  let server: Server | undefined;

  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  afterEach(async () => {
    await server?.stop();
    server = undefined;
  });

  async function start(options: YoreServerOptions = {}): Promise<void> {
    server = await startYoreServer(folder, options);
  }

  const status = async (method: string, path: string, question?: Question) =>
    (await ask(server!.url, method, path, question)).status;
  const save = (path: string, content: string, auth?: string) =>
    status("POST", `${path}/${nameOf(content)}`, { body: content, ...(auth && { auth }) });

  describe("with passwords", () => {
    beforeEach(async () => {
      const lines = [
        "# users",
        `ada:${await bcrypt("lovelace", 4)}`,
        `bob:${(await bcrypt("builder", 4)).replace(/^\$2b/, "$2y")}`,
        `eve:${sha1("snake")}`,
        "old:$apr1$x$y",
        `"tom":"${sha1("cat")}"`,
        `amy: ${sha1("pond")}`,
      ];
      writeFileSync(join(folder, ".htpasswd"), lines.join("\n"));
    });
    const passwords = () => ({ kind: "passwords", path: join(folder, ".htpasswd") }) as const;

    it("lets go of an upload whose client goes while its password is looked at", async () => {
      writeFileSync(join(folder, ".htpasswd"), `eve:${sha1("snake")}\nslow:${await bcrypt("x", 12)}`);
      await start({ authentication: passwords(), maxSize: 1_000, uploadPatienceMs: 3_600_000 });
      await status("POST", "/?create=true", { auth: "eve:snake" });
      const { hostname, port } = new URL(server!.url);
      const socket = connect(Number(port), hostname);
      const authorization = `Basic ${Buffer.from("slow:x").toString("base64")}`;
      // The first answer says that the second request has been read.
      const read = new Promise((resolve) => socket.once("data", resolve));
      socket.write(
        `GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nPOST /data/${nameOf("")} HTTP/1.1\r\nHost: h\r\n` +
          `Authorization: ${authorization}\r\nContent-Length: 900\r\n\r\nsome of it`,
      );
      await read;
      socket.destroy();
      expect(await status("GET", "/config", { auth: "slow:x" })).toBe(404);
      const fits = () => save("/data", "x".repeat(200), "eve:snake");
      await expect.poll(fits, { timeout: 20_000 }).toBe(200);
    });

    it("lets in those who know theirs, by bcrypt and SHA", async () => {
      await start({ authentication: passwords() });
      for (const auth of ["ada:lovelace", "bob:builder", "eve:snake", "tom:cat", "amy:pond", "ada:lovelace"])
        expect(await status("POST", "/?create=true", { auth }), auth).toBe(200);
      for (const auth of ["ada:builder", "ada:", ":lovelace", "nobody:lovelace", "old:x", "eve:Snake"])
        expect(await status("POST", "/?create=true", { auth }), auth).toBe(401);
      const nobody = await ask(server!.url, "GET", "/config");
      expect(nobody.status).toBe(401);
      expect(nobody.headers["www-authenticate"]).toMatch(/^Basic /);
      expect(await status("GET", "/config", { headers: { authorization: "Bearer x" } })).toBe(401);
      expect(await status("GET", "/config", { headers: { authorization: "Basic !!!" } })).toBe(401);
      expect(server!.log.join("\n")).toContain('user "old" skipped');
      expect(server!.log.join("\n")).not.toContain("$apr1$");
    });

    it("reads the file again when told to, and keeps what it knew when it is broken", async () => {
      await start({ authentication: passwords() });
      expect(await status("GET", "/config", { auth: "ada:lovelace" })).toBe(404);
      writeFileSync(join(folder, ".htpasswd"), `new:${sha1("user")}\n`);
      await server!.reload();
      expect(await status("GET", "/config", { auth: "new:user" })).toBe(404);
      expect(await status("GET", "/config", { auth: "ada:lovelace" })).toBe(401);
      appendFileSync(join(folder, ".htpasswd"), "no colon in here\n");
      await server!.reload();
      expect(server!.log.at(-1)).toMatch(/stay valid/);
      expect(await status("GET", "/config", { auth: "new:user" })).toBe(404);
    });

    it("slows down who guesses, and not the one who was there before", async () => {
      await start({ authentication: passwords() });
      expect(await status("GET", "/config", { auth: "ada:lovelace" })).toBe(404);
      const guesses = Array.from({ length: 30 }, (_, i) =>
        ask(server!.url, "GET", "/config", { auth: `ada:guess${i}` }),
      );
      const refused = await Promise.race(guesses.map(async (guess) => only(429, await guess)));
      expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
      expect(await status("GET", "/config", { auth: "ada:lovelace" })).toBe(404);
      expect(await status("GET", "/config", { auth: "bob:builder" })).toBe(404);
      // Those who wait are let go when the server ends.
      await Promise.all([server!.stop(), ...guesses.map((guess) => guess.catch(() => {}))]);
    });

    it("lets in who comes with the right password behind wrong ones, and with many connections at once", async () => {
      await start({ authentication: passwords() });
      for (let i = 0; i < 9; i++) expect(await status("GET", "/config", { auth: `ada:guess${i}` })).toBe(401);
      const answers = Array.from({ length: 40 }, () => status("GET", "/config", { auth: "ada:lovelace" }));
      expect(new Set(await Promise.all(answers))).toEqual(new Set([404]));
    });

    it("answers those it knows while others guess", async () => {
      await start({ authentication: passwords() });
      expect(await status("GET", "/config", { auth: "ada:lovelace" })).toBe(404);
      let guessed = 0;
      const guesses = Array.from({ length: 40 }, async (_, i) => {
        expect(await status("GET", "/config", { auth: `user${i}:guess` })).toBe(401);
        guessed++;
      });
      await Promise.race(guesses);
      expect(await status("GET", "/config", { auth: "ada:lovelace" })).toBe(404);
      expect(guessed).toBeLessThan(40);
      await Promise.all(guesses);
    });

    it("keeps users to their own folder with private repositories", async () => {
      await start({ authentication: passwords(), privateRepositories: true });
      const auth = "ada:lovelace";
      expect(await status("POST", "/ada/?create=true", { auth })).toBe(200);
      expect(await status("POST", "/ada/laptop/?create=true", { auth })).toBe(200);
      expect(await save("/ada/laptop/keys", "key", auth)).toBe(200);
      for (const path of ["/?create=true", "/bob/?create=true", "/adas/?create=true", "/Ada/?create=true"])
        expect(await status("POST", path, { auth }), path).toBe(403);
      for (const path of [`/ada/laptop/keys/${nameOf("key")}`, "/ada/laptop/keys/", "/ada/laptop/config"])
        expect(await status("GET", path, { auth: "bob:builder" }), path).toBe(403);
    });

    it("shows metrics to the right ones, and nothing secret in them", async () => {
      await start({ authentication: passwords(), metrics: "with-password" });
      expect(await status("GET", "/metrics")).toBe(401);
      await status("POST", "/ada/?create=true", { auth: "ada:lovelace" });
      await save("/ada/snapshots", "a snapshot", "ada:lovelace");
      const metrics = await ask(server!.url, "GET", "/metrics", { auth: "bob:builder" });
      expect(metrics.text).toContain(
        'rest_server_blob_write_total{user="ada",repo="ada",type="snapshots"} 1',
      );
      expect(metrics.text).toContain(
        'rest_server_blob_write_bytes_total{user="ada",repo="ada",type="snapshots"} 10',
      );
      expect(metrics.text).toContain('yore_server_repository_snapshots{repo="ada"} 1');
      expect(metrics.text).toMatch(/last_snapshot_timestamp_seconds\{repo="ada"\} 1[78]\d{8}/);
      expect(metrics.text).not.toContain("lovelace");
    });
  });

  it("believes a proxy about the user, and only a proxy", async () => {
    await start({ authentication: { kind: "proxy", header: "X-Remote-User" }, privateRepositories: true });
    expect(await status("POST", "/ada/?create=true")).toBe(401);
    expect(await status("POST", "/ada/?create=true", { headers: { "x-remote-user": "" } })).toBe(401);
    expect(await status("POST", "/ada/?create=true", { headers: { "x-remote-user": "ada" } })).toBe(200);
    expect(await status("GET", "/ada/keys/", { headers: { "x-remote-user": "bob" } })).toBe(403);
  });

  it("believes no proxy that passes on the name that a client has sent beside its own", async () => {
    const policyFile = join(folder, "policy.toml");
    writeFileSync(policyFile, '[users.ada]\nmode = "read-only"\n');
    await start({ authentication: { kind: "proxy", header: "X-Remote-User" }, policyFile });
    for (const names of [
      ["eve", "ada"],
      ["ada", "eve"],
      ["ada", "ada"],
      ["ada", ""],
    ]) {
      const lines = names.map((name) => `X-Remote-User: ${name}\r\n`).join("");
      const head = "POST /ada/?create=true HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
      expect(await askRaw(server!.url, `${head}${lines}\r\n`)).toMatch(/^HTTP\/1\.1 401 /);
    }
  });

  it("takes the name that a proxy sends as UTF-8, and none that is something else", async () => {
    writeFileSync(join(folder, "policy.toml"), '[users."ü"]\nmode = "read-only"\n');
    await start({
      authentication: { kind: "proxy", header: "X-Remote-User" },
      privateRepositories: true,
      policyFile: join(folder, "policy.toml"),
    });
    const create = (user: Buffer, path: string) =>
      askRaw(
        server!.url,
        Buffer.concat([
          Buffer.from(`POST ${path}?create=true HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Remote-User: `),
          user,
          Buffer.from("\r\n\r\n"),
        ]),
      );
    expect(await create(Buffer.from("ö"), "/%C3%B6/")).toMatch(/^HTTP\/1\.1 200 /);
    expect(await create(Buffer.from("ü"), "/%C3%BC/")).toMatch(/^HTTP\/1\.1 403 [\s\S]*read-only/);
    expect(await create(Buffer.from("ö", "latin1"), "/%C3%B6/")).toMatch(/^HTTP\/1\.1 401 /);
  });

  it("lets nothing be removed but locks when it is append-only", async () => {
    await start({ mode: "append-only" });
    await status("POST", "/?create=true");
    expect(await status("POST", "/config", { body: "config" })).toBe(200);
    for (const type of ["data", "index", "keys", "snapshots", "locks"]) {
      expect(await save(`/${type}`, type)).toBe(200);
      expect(await status("DELETE", `/${type}/${nameOf(type)}`), type).toBe(type === "locks" ? 200 : 403);
    }
    expect(await status("DELETE", "/config")).toBe(403);
    expect(await status("GET", "/config")).toBe(200);
  });

  it("lets nothing be read of file content when it is write-only, nothing be written when it is read-only", async () => {
    await start({ mode: "write-only" });
    await status("POST", "/?create=true");
    for (const type of ["data", "index", "keys", "snapshots"]) {
      expect(await save(`/${type}`, type)).toBe(200);
      expect(await status("GET", `/${type}/${nameOf(type)}`), type).toBe(type === "data" ? 403 : 200);
    }
    await server!.stop();
    await start({ mode: "read-only" });
    for (const type of ["data", "index", "keys", "snapshots", "locks"])
      expect(await save(`/${type}`, `another ${type}`), type).toBe(type === "locks" ? 200 : 403);
    expect(await status("GET", `/data/${nameOf("data")}`)).toBe(200);
    expect(await status("POST", "/new/?create=true")).toBe(403);
  });

  describe("with a policy file", () => {
    const headers = (user: string) => ({ headers: { user } });
    let policy: string;

    beforeEach(async () => {
      policy = join(folder, "policy.toml");
    });

    async function startWith(text: string): Promise<void> {
      writeFileSync(policy, text);
      await start({ policyFile: policy, authentication: { kind: "proxy", header: "user" } });
      await status("POST", "/ada/?create=true", headers("root"));
      await status("POST", "/bob/?create=true", headers("root"));
    }

    /** Resolves when the server waits for the body. */
    function announceUpload(user: string, path: string, length: number): Promise<Socket> {
      const { hostname, port } = new URL(server!.url);
      const socket = connect(Number(port), hostname);
      socket.write(
        `POST ${path}/${nameOf("")} HTTP/1.1\r\nHost: h\r\nUser: ${user}\r\nExpect: 100-continue\r\n` +
          `Content-Length: ${length}\r\n\r\n`,
      );
      return new Promise((resolve, reject) => {
        socket.on("error", reject);
        socket.once("data", () => resolve(socket));
      });
    }

    const saveAs = (user: string, path: string, content: string) =>
      status("POST", `${path}/${nameOf(content)}`, { body: content, ...headers(user) });

    it("holds the modes of users and repositories together", async () => {
      await startWith(`
        [users.ada]
        mode = "append-only"
        [users.eve]
        mode = "read-only"
        [repositories.bob]
        mode = "write-only"
      `);
      expect(await saveAs("ada", "/ada/data", "1")).toBe(200);
      expect(await status("DELETE", `/ada/data/${nameOf("1")}`, headers("ada"))).toBe(403);
      expect(await status("DELETE", `/ada/data/${nameOf("1")}`, headers("root"))).toBe(200);
      expect(await saveAs("eve", "/ada/data", "2")).toBe(403);
      expect(await saveAs("ada", "/bob/data", "3")).toBe(200);
      expect(await status("GET", `/bob/data/${nameOf("3")}`, headers("root"))).toBe(403);
    });

    it("counts what lies there against quotas, before and while it arrives", async () => {
      await startWith(`
        quota = 3000
        [users.ada]
        quota = "2k"
        [repositories.bob]
        quota = 500
      `);
      expect(await saveAs("ada", "/ada/data", "a".repeat(2_049))).toBe(507);
      expect(await saveAs("ada", "/ada/data", "a".repeat(2_000))).toBe(200);
      expect(await saveAs("ada", "/ada/data", "b".repeat(100))).toBe(507);
      expect(await saveAs("root", "/ada/data", "b".repeat(100))).toBe(200);
      expect(await saveAs("root", "/bob/data", "c".repeat(501))).toBe(507);
      expect(await saveAs("root", "/bob/data", "c".repeat(500))).toBe(200);
      expect(await saveAs("root", "/ada/data", "d".repeat(500))).toBe(507);
      expect(await status("DELETE", `/ada/data/${nameOf("a".repeat(2_000))}`, headers("root"))).toBe(200);
      expect(await saveAs("ada", "/ada/data", "d".repeat(500))).toBe(200);
      // What failed was given back, and left nothing behind.
      const names = JSON.parse(
        (await ask(server!.url, "GET", "/ada/data/", headers("root"))).text,
      ) as string[];
      expect(new Set(names)).toEqual(new Set([nameOf("b".repeat(100)), nameOf("d".repeat(500))]));
    });

    it("lets locks of a usual size into a full repository, and nothing else that is called one", async () => {
      await startWith("quota = 1000");
      expect(await saveAs("ada", "/ada/data", "a".repeat(1_000))).toBe(200);
      expect(await saveAs("ada", "/ada/locks", "a lock")).toBe(200);
      expect(await saveAs("ada", "/ada/locks", "l".repeat(1_000_000))).toBe(507);
    });

    it("counts no length that is only announced where no quota holds it in bounds", async () => {
      await startWith('[users.ada]\nquota = 1000\n[repositories.bob]\nquota = "1T"\n');
      const announced = await Promise.all(
        ["/ada/data", "/ada/locks"].map((path) => announceUpload("root", path, 900_000_000_000_000)),
      );
      expect(await saveAs("ada", "/ada/snapshots", "a snapshot")).toBe(200);
      for (const socket of announced) socket.destroy();
      const huge = await askRaw(
        server!.url,
        `POST /ada/data/${nameOf("")} HTTP/1.1\r\nHost: h\r\nUser: root\r\nConnection: close\r\n` +
          "Content-Length: 18446744073709551615\r\n\r\n",
      );
      expect(huge).toMatch(/^HTTP\/1\.1 413 /);
    });

    it("answers 507 to a body without a length that grows beyond the quota", async () => {
      await startWith("quota = 1000");
      const chunk = `${(600).toString(16)}\r\n${"x".repeat(600)}\r\n`;
      const answer = await askRaw(
        server!.url,
        `POST /ada/data/${nameOf("x".repeat(1200))} HTTP/1.1\r\nHost: h\r\nUser: ada\r\nConnection: close\r\n` +
          `Transfer-Encoding: chunked\r\n\r\n${chunk}${chunk}0\r\n\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 507 /);
      expect(await saveAs("ada", "/ada/data", "y".repeat(1_000))).toBe(200);
    });

    it("is read again when it changes, and stays what it was when it is broken", async () => {
      await startWith('[users.ada]\nmode = "read-only"\n');
      expect(await saveAs("ada", "/ada/data", "1")).toBe(403);
      writeFileSync(policy, '[users.ada]\nmod = "full"\n');
      await server!.reload();
      expect(server!.log.at(-1)).toMatch(/users\.ada\.mod: unknown key/);
      expect(await saveAs("ada", "/ada/data", "1")).toBe(403);
      for (const emptied of ["", "\n"]) {
        writeFileSync(policy, emptied);
        await server!.reload();
        expect(server!.log.at(-1)).toMatch(/policy\.toml": it is empty.*stay valid/);
        expect(await saveAs("ada", "/ada/data", "1")).toBe(403);
      }
      writeFileSync(`${policy}.new`, '[users.ada]\nmode = "full"\n');
      utimesSync(`${policy}.new`, 1, 1);
      renameSync(`${policy}.new`, policy);
      await server!.reload();
      expect(await saveAs("ada", "/ada/data", "1")).toBe(200);
    });

    it("does not come back as it was read earlier", async () => {
      await startWith("");
      // As a slow disk: it gives nothing until somebody writes into it.
      await run("mkfifo", [`${policy}.slow`]);
      renameSync(policy, `${policy}.old`);
      linkSync(`${policy}.slow`, policy);
      const slow = server!.reload();
      const writer = await open(`${policy}.slow`, "w");
      writeFileSync(`${policy}.new`, 'mode = "read-only"\n');
      renameSync(`${policy}.new`, policy);
      await server!.reload();
      await writer.write('mode = "full"\n');
      await writer.close();
      await slow;
      expect(await saveAs("ada", "/ada/data", "1")).toBe(403);
    });

    it("may begin with no rules, and be left with none by a comment that says so", async () => {
      await startWith("");
      expect(await saveAs("ada", "/ada/data", "1")).toBe(200);
      writeFileSync(policy, 'mode = "read-only"\n');
      await server!.reload();
      expect(await saveAs("ada", "/ada/data", "2")).toBe(403);
      writeFileSync(policy, "# no rules\n");
      await server!.reload();
      expect(await saveAs("ada", "/ada/data", "2")).toBe(200);
    });

    it("is refused when a name in it is not UTF-8, and the rules of before stay", async () => {
      await startWith('[users."ü"]\nmode = "read-only"\n');
      const latin1 = Buffer.from('[users."ü"]\nmode = "append-only"\n', "latin1");
      writeFileSync(policy, latin1);
      await server!.reload();
      expect(server!.log.at(-1)).toMatch(
        /policy\.toml": it is not UTF-8; the rules loaded before stay valid/,
      );
      const user = Buffer.from("ü").toString("latin1");
      expect(await status("POST", "/new/?create=true", headers(user))).toBe(403);
    });

    it("may name a repository by any path that a request can have", async () => {
      await startWith(
        '[repositories."ada/lap top ü"]\nmode = "read-only"\n[repositories.""]\nmode = "read-only"\n',
      );
      const create = (path: string) => status("POST", `${path}?create=true`, headers("ada"));
      expect([
        await create("/ada/lap%20top%20%C3%BC/"),
        await create("/"),
        await create("/ada/desk/"),
      ]).toEqual([403, 403, 200]);
    });

    it.each([
      ['mode = "fuller"', /mode: expected one of/],
      ["quota = -1", /quota: expected bytes/],
      ['quota = "10 GB"', /quota: expected bytes/],
      ["[users]\nada = 5", /users\.ada: expected a table/],
      ["quota = ", /Cannot read policy/],
      ["limits = 5", /limits: unknown key/],
      ['quota = ["20G"]', /quota: expected bytes/],
      ['keep-deleted = ["14d"]', /keep-deleted: expected a time/],
      ['[repositories."ada/laptop/"]', /repositories\."ada\/laptop\/": expected the path of a repository/],
      ['[repositories."/ada"]', /expected the path of a repository/],
      ['[repositories."../ada"]', /expected the path of a repository/],
      ['[repositories."a/b/c"]', /expected the path of a repository/],
      ['[repositories."ada/data"]', /expected the path of a repository/],
    ])("refuses to start with %j", async (text, message) => {
      writeFileSync(policy, text);
      await expect(start({ policyFile: policy })).rejects.toThrow(message);
    });
  });
});
