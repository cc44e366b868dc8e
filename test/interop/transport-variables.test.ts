import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { createServer, type Server } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePort, startYoreServer } from "../support/rest-servers.js";
import { missingPeer, type RunResult, runRestic, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/** What flags and variables do to connections, seen by the other end: of yore and of restic alike. */

type Run = (args: readonly string[], env: Readonly<Record<string, string>>) => Promise<RunResult>;

describe.skipIf(missingPeer("restic"))("a REST server sees", () => {
  let folder: string;
  let lines: string[];
  let server: Awaited<ReturnType<typeof startYoreServer>>;

  const PROGRAMS: readonly (readonly [string, Run])[] = [
    ["yore", (args, env) => runYore([...args, "--no-cache"], { env: { RESTIC_PASSWORD: "x", ...env } })],
    ["restic", (args, env) => runRestic([...args, "--no-cache"], { env: { RESTIC_PASSWORD: "x", ...env } })],
  ];

  async function start(options: Parameters<typeof startYoreServer>[1] = {}): Promise<void> {
    server = await startYoreServer(join(folder), { accessLog: (line) => lines.push(line), ...options });
  }

  beforeEach(async () => {
    folder = await temporaryFolder();
    lines = [];
  });

  afterEach(() => server.stop());

  it.each(PROGRAMS)("the user agent that %s was given", async (name, run) => {
    await start();
    const repository = { RESTIC_REPOSITORY: `rest:${server.url}${name}/` };
    expect((await run(["init"], { ...repository, RESTIC_HTTP_USER_AGENT: "by variable/1" })).code).toBe(0);
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines.splice(0)) expect(line).toMatch(/"by variable\/1"$/);
    const args = ["list", "keys", "--http-user-agent", "by flag/2"];
    expect((await run(args, { ...repository, RESTIC_HTTP_USER_AGENT: "by variable/1" })).code).toBe(0);
    for (const line of lines) expect(line).toMatch(/"by flag\/2"$/);
    if (name === "yore") {
      lines = [];
      const both = { RESTIC_HTTP_USER_AGENT: "theirs", YORE_HTTP_USER_AGENT: "ours" };
      expect((await run(["list", "keys"], { ...repository, ...both })).code).toBe(0);
      for (const line of lines) expect(line).toMatch(/"ours"$/);
    }
  });

  it.each(PROGRAMS)(
    "the user and password of the variables, unless the address of %s has some",
    async (name, run) => {
      const hash = (password: string) => `{SHA}${createHash("sha1").update(password).digest("base64")}`;
      writeFileSync(join(folder, ".htpasswd"), `ada:${hash("secret")}\nbob:${hash("other")}\n`);
      await start({ authentication: { kind: "passwords", path: join(folder, ".htpasswd") } });
      const as = (address: string, user: string, password: string) => ({
        RESTIC_REPOSITORY: `rest:${server.url.replace("//", `//${address}`)}${name}/`,
        RESTIC_REST_USERNAME: user,
        RESTIC_REST_PASSWORD: password,
      });
      const users = () => new Set(lines.splice(0).map((line) => line.split(" ")[2]));
      expect((await run(["init"], as("", "ada", "secret"))).code).toBe(0);
      expect(users()).toContain("ada");
      expect((await run(["list", "keys"], as("bob:other@", "ada", "secret"))).code).toBe(0);
      expect(users()).toContain("bob");
      const wrong = await run(["list", "keys"], as("", "ada", "guessed"));
      expect(wrong.code).not.toBe(0);
      expect(`${wrong.stdout}${wrong.stderr}`).not.toContain("guessed");
      if (name === "yore") {
        const twins = { YORE_REST_USERNAME: "bob", YORE_REST_PASSWORD: "other" };
        lines = [];
        expect((await run(["list", "keys"], { ...as("", "ada", "guessed"), ...twins })).code).toBe(0);
        expect(users()).toContain("bob");
      }
    },
  );

  it.each(PROGRAMS)("the user and password of an address with a socket in it from %s", async (name, run) => {
    const hash = createHash("sha1").update("s/%").digest("base64");
    writeFileSync(join(folder, ".htpasswd"), `ada:{SHA}${hash}\n`);
    await start({
      listen: { kind: "unix", path: join(folder, "socket") },
      authentication: { kind: "passwords", path: join(folder, ".htpasswd") },
    });
    const repository = `rest:http+unix://ada:s%2F%25@${join(folder, "socket")}:/${name}`;
    expect(await run(["init"], { RESTIC_REPOSITORY: repository })).toMatchObject({ code: 0 });
    expect(new Set(lines.map((line) => line.split(" ")[2]))).toEqual(new Set(["ada"]));
  });

  it.each(PROGRAMS)("%s, which asked elsewhere and was redirected", async (name, run) => {
    await start();
    const gate = createHttpServer((request, response) => {
      response.writeHead(308, { location: `${server.url}moved${request.url}` });
      request.resume().on("end", () => response.end());
    }).listen(0, "127.0.0.1");
    await once(gate, "listening");
    const { port } = gate.address() as AddressInfo;
    const env = { RESTIC_REPOSITORY: `rest:http://127.0.0.1:${port}/${name}/` };
    try {
      expect(await run(["init"], env)).toMatchObject({ code: 0 });
      expect(await run(["backup", import.meta.filename], env)).toMatchObject({ code: 0 });
      expect(await run(["check"], env)).toMatchObject({ code: 0 });
    } finally {
      gate.close();
    }
    const redirected = new RegExp(`"[A-Z]+ /moved/${name}/`);
    for (const line of lines) expect(line).toMatch(redirected);
    expect(lines.length).toBeGreaterThan(0);
  });

  describe("that asks for a certificate", () => {
    let gate: Server;
    let subjects: string[];
    const pem = (name: string) => join(folder, `${name}.pem`);

    /** Lets through whoever has a certificate, in front of the server. */
    beforeEach(async () => {
      for (const name of ["gate", "client"]) {
        const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
        const make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject];
        const files = ["-keyout", `${pem(name)}.key`, "-out", `${pem(name)}.crt`];
        execFileSync("openssl", [...make, ...files], { stdio: "ignore" });
        writeFileSync(
          pem(name),
          Buffer.concat(["crt", "key"].map((kind) => readFileSync(`${pem(name)}.${kind}`))),
        );
      }
      await start();
      subjects = [];
      const tls = { cert: readFileSync(`${pem("gate")}.crt`), key: readFileSync(`${pem("gate")}.key`) };
      const ca = readFileSync(`${pem("client")}.crt`);
      gate = createServer({ ...tls, ca, requestCert: true, rejectUnauthorized: true }, (client) => {
        subjects.push(String(client.getPeerCertificate().subject.CN));
        const inner = connect(Number(new URL(server.url).port), "127.0.0.1");
        for (const socket of [client, inner]) socket.on("error", () => {});
        client.pipe(inner).pipe(client);
      });
      gate.on("tlsClientError", () => {});
      await new Promise<void>((resolve) => gate.listen(0, "127.0.0.1", resolve));
    });

    afterEach(() => gate.close());

    it.each(PROGRAMS)("the one that %s was given, by flag or variable", async (name, run) => {
      const address = `rest:https://127.0.0.1:${(gate.address() as AddressInfo).port}/${name}/`;
      const trust = { RESTIC_REPOSITORY: address, RESTIC_CACERT: `${pem("gate")}.crt` };
      const shown = { ...trust, RESTIC_TLS_CLIENT_CERT: pem("client") };
      expect(await run(["init"], shown)).toMatchObject({ code: 0 });
      expect(await run(["list", "keys", "--tls-client-cert", pem("client")], trust)).toMatchObject({
        code: 0,
      });
      if (name === "yore") {
        const twins = { ...shown, RESTIC_TLS_CLIENT_CERT: "/nowhere", YORE_TLS_CLIENT_CERT: pem("client") };
        expect(await run(["list", "keys"], twins)).toMatchObject({ code: 0 });
      }
      expect(new Set(subjects)).toEqual(new Set(["client"]));
    });

    /** Expects that yore gives up at once, and says what is wrong with its certificate. */
    async function expectRefusal(port: number, flags: readonly string[], words: RegExp): Promise<void> {
      const repository = { RESTIC_REPOSITORY: `rest:https://127.0.0.1:${port}/`, RESTIC_PASSWORD: "x" };
      const args = ["list", "keys", "--no-cache", "--cacert", `${pem("gate")}.crt`, ...flags];
      const { code, stderr } = await runYore(args, { env: repository });
      expect(code).toBe(1);
      expect(stderr).toMatch(words);
      expect(stderr).toContain("--tls-client-cert");
      expect(stderr).not.toContain("trying again");
    }

    it("nothing of yore without one", async () => {
      const { port } = gate.address() as AddressInfo;
      await expectRefusal(port, [], /asks for a client certificate: certificate required$/m);
      expect(subjects).toEqual([]);
    });

    it("nothing of yore with one that it does not know", async () => {
      const port = await freePort();
      const own = ["-cert", `${pem("gate")}.crt`, "-key", `${pem("gate")}.key`];
      const strict = ["-CAfile", `${pem("client")}.crt`, "-Verify", "1", "-verify_return_error"];
      // It ends with its input.
      const strictGate = spawn("openssl", ["s_server", "-accept", `${port}`, ...own, ...strict], {
        stdio: ["pipe", "pipe", "ignore"],
      });
      try {
        await once(strictGate.stdout, "data");
        const flags = ["--tls-client-cert", pem("gate")];
        await expectRefusal(port, flags, /does not accept the client certificate: [a-z ]+$/m);
      } finally {
        strictGate.kill();
        await once(strictGate, "close");
      }
    });
  });
});
