import { execFile, execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { constants } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { canRefuseCalls, spawnYoreRefusing } from "../support/refuse-calls.js";
import { missingPeer, runRestic, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { itWhere } from "../support/where.js";
import { ask } from "./ask.js";
import { Served } from "./served.js";

const canRefuse = await canRefuseCalls();
const isRoot = process.getuid?.() === 0;

describe("the process of yore serve", () => {
  let folder: string;
  let served: Served | undefined;

  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  afterEach(async () => {
    await served?.end("SIGKILL");
    served = undefined;
  });

  it("answers what is under way when it is told to end, and ends", async () => {
    served = await Served.start(folder);
    await ask(served.url, "POST", "/?create=true");
    const content = randomBytes(2_000_000);
    const path = `/data/${nameOf(content)}`;
    const upload = startUpload(served.url, path, content);
    upload.write(content.subarray(0, 1_000_000));
    await upload.connected;
    const ended = served.end("SIGTERM");
    upload.write(content.subarray(1_000_000));
    expect(await upload.status).toBe(200);
    expect(await ended).toBe(0);
    expect(
      readFileSync(join(folder, "data", nameOf(content).slice(0, 2), nameOf(content))).equals(content),
    ).toBe(true);
  });

  it.skipIf(!canRefuse)("takes no key for removed that a loss of power may bring back", async () => {
    mkdirSync(join(folder, "keys"));
    const path = `/keys/${"0".repeat(64)}`;
    writeFileSync(join(folder, path), "a key");
    const flags = ["--no-auth", "--prometheus", "--prometheus-no-auth"];
    served = await Served.start(folder, flags, undefined, {}, (args) =>
      spawnYoreRefusing(constants.errno.EIO, ["fsync"], args),
    );
    const { url } = served;
    const size = async () =>
      /repository_bytes\{repo=""\} (\d+)/.exec((await ask(url, "GET", "/metrics")).text)?.[1];
    await expect.poll(size).toBe("5");
    for (const _ of ["removed", "asked for again"]) {
      expect((await ask(url, "DELETE", path)).status).toBe(500);
      expect(readdirSync(join(folder, "keys"))).toEqual([]);
      expect(await size()).toBe("0");
    }
  });

  it("killed in the middle of 50 uploads, keeps what it acknowledged and nothing else", async () => {
    served = await Served.start(folder);
    await ask(served.url, "POST", "/?create=true");
    const url = served.url;
    const acknowledged = new Map<string, Buffer>();
    const attempts = Array.from({ length: 50 }, async (_, i) => {
      const content = randomBytes(200_000 + 40_000 * i);
      const path = `/data/${nameOf(content)}`;
      const upload = startUpload(url, path, content);
      // It may fail while this one still writes.
      const status = upload.status.catch(() => 0);
      for (let at = 0; at < content.length; at += 50_000) {
        upload.write(content.subarray(at, at + 50_000));
        await new Promise((resolve) => setImmediate(resolve));
      }
      if ((await status) === 200) acknowledged.set(nameOf(content), content);
      // In the middle: some are through, some are not.
      if (acknowledged.size === 10) await served!.end("SIGKILL");
    });
    await Promise.all(attempts);
    expect(acknowledged.size).toBeGreaterThanOrEqual(10);
    expect(acknowledged.size).toBeLessThan(50);

    served = await Served.start(folder);
    const names = JSON.parse((await ask(served.url, "GET", "/data/")).text) as string[];
    for (const name of names) {
      const { body } = await ask(served.url, "GET", `/data/${name}`);
      expect(nameOf(body)).toBe(name);
    }
    for (const [name, content] of acknowledged) {
      const { body } = await ask(served.url, "GET", `/data/${name}`);
      expect(body.equals(content), name).toBe(true);
    }
    const others = () =>
      readdirSync(join(folder, "data"), { recursive: true, encoding: "utf8" }).filter(
        (path) => path.includes("/") && !names.includes(basename(path)),
      );
    // Those that were just being synced. What was still arriving had no name.
    for (const path of others()) {
      expect(basename(path)).toMatch(/^upload-tmp-[0-9a-f]{16}$/);
      utimesSync(join(folder, "data", path), 0, Date.now() / 1000 - 2 * 60 * 60);
    }
    await served.end("SIGTERM");
    served = await Served.start(folder);
    await expect.poll(others, { timeout: 20_000 }).toEqual([]);
  });

  it("takes many uploads at once in little memory", async () => {
    served = await Served.start(folder);
    await ask(served.url, "POST", "/?create=true");
    const url = served.url;
    const before = served.memory().now;
    const shared = randomBytes(1_000_000);
    await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const content = Buffer.concat([Buffer.from([i]), ...Array(8).fill(shared)]);
        const upload = startUpload(url, `/data/${nameOf(content)}`, content);
        upload.write(content);
        expect(await upload.status).toBe(200);
      }),
    );
    const names = JSON.parse((await ask(url, "GET", "/data/")).text) as string[];
    expect(names.length).toBe(100);
    // 800 MB went through.
    expect(served.memory().peak - before).toBeLessThan(64 * 1024 * 1024);
  });

  it("follows a policy file that it could not read when it changed", async () => {
    const policy = join(folder, "policy.toml");
    writeFileSync(policy, "# no rules\n");
    served = await Served.start(folder, ["--no-auth", "--policy-file", policy]);
    const { url, child, output } = served;
    const create = async () => (await ask(url, "POST", "/?create=true")).status;
    expect(await create()).toBe(200);
    const limit = (descriptors: number) =>
      execFileSync("prlimit", ["--pid", String(child.pid), `--nofile=${descriptors}:`]);
    limit(3);
    writeFileSync(policy, 'mode = "read-only"\n');
    await expect.poll(() => output.join(""), { timeout: 20_000 }).toMatch(/EMFILE.*stay valid/);
    limit(1_000);
    await expect.poll(create, { timeout: 20_000 }).toBe(403);
  });

  it("answers the uploads under way when there are no more file descriptors, and loses none", async () => {
    served = await Served.start(folder);
    await ask(served.url, "POST", "/?create=true");
    const { pid } = served.child;
    const descriptors = () => readdirSync(`/proc/${pid}/fd`).map(Number);
    const before = descriptors().length;
    const limit = before + 40;
    execFileSync("prlimit", ["--pid", String(pid), `--nofile=${limit}:${limit}`]);
    const { hostname, port } = new URL(served.url);
    const open = () => connect(Number(port), hostname).on("error", () => {});
    const uploads = Array.from({ length: 10 }, () => {
      const [socket, content] = [open(), randomBytes(600_000)];
      const upload = { socket, content, said: "" };
      socket.on("data", (piece: Buffer) => {
        upload.said += piece.toString();
      });
      const request = `POST /data/${nameOf(content)} HTTP/1.1\r\nHost: h\r\nContent-Length: ${content.length}`;
      socket.write(`${request}\r\nExpect: 100-continue\r\n\r\n`);
      return upload;
    });
    for (const upload of uploads) await expect.poll(() => upload.said).toMatch(/^HTTP\/1\.1 100 /);
    const idle = Array.from({ length: 40 }, open);
    await expect.poll(() => descriptors().filter((fd) => fd < limit).length).toBe(limit);
    for (const { socket, content } of uploads) socket.write(content);
    for (const upload of uploads)
      await expect.poll(() => upload.said, { timeout: 20_000 }).toMatch(/^HTTP\/1\.1 (200|500) /m);
    for (const socket of [...idle, ...uploads.map((upload) => upload.socket)]) socket.destroy();
    await expect.poll(() => descriptors().length, { timeout: 20_000 }).toBeLessThanOrEqual(before);
    expect(await served.end("SIGTERM")).toBe(0);
  });

  itWhere(isRoot)("says that the disk is full, and goes on when there is space", async () => {
    const disk = join(folder, "disk");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=12m", "tmpfs", disk]);
    try {
      served = await Served.start(disk);
      writeFileSync(join(disk, "ballast"), Buffer.alloc(7_000_000));
      const source = join(folder, "source");
      mkdirSync(source);
      writeFileSync(join(source, "file"), randomBytes(8_000_000));
      const env = {
        YORE_PASSWORD: "x",
        YORE_REPOSITORY: `rest:${served.url}repo/`,
        XDG_CACHE_HOME: join(folder, "cache"),
      };
      expect((await runYore(["init"], { env })).code).toBe(0);
      const full = await runYore(["backup", "--pack-size", "4", source], { env });
      expect(full.code).toBe(1);
      expect(full.stderr).toMatch(/507 \(No space left on the server\)/);
      expect(full.stderr).toMatch(/Make space on the server/);
      execFileSync("rm", [join(disk, "ballast")]);
      expect((await runYore(["backup", "--pack-size", "4", source], { env })).code).toBe(0);
      expect((await runYore(["check", "--read-data"], { env })).code).toBe(0);
      await served.end("SIGTERM");
    } finally {
      await served?.end("SIGKILL");
      execFileSync("umount", [disk]);
    }
  });

  it("is healthy by the check of its container", async () => {
    served = await Served.start(folder);
    await isHealthy(served.url);
    await served.end("SIGKILL");
    await expect(isHealthy(served.url)).rejects.toThrow();
  });

  it("speaks TLS from a version on, and clients verify it", async () => {
    const [certificate, key] = [join(folder, "public_key"), join(folder, "private_key")];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
    const make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject];
    execFileSync("openssl", [...make, "-keyout", key, "-out", certificate], { stdio: "ignore" });
    served = await Served.start(folder, ["--no-auth", "--tls", "--tls-min-ver", "1.3"]);
    const url = served.url.replace("http:", "https:");
    const env = { YORE_PASSWORD: "x", YORE_REPOSITORY: `rest:${url}`, XDG_CACHE_HOME: join(folder, "cache") };
    const trusting = { ...env, YORE_CACERT: certificate };
    expect(await runYore(["init", "--quiet"], { env: trusting })).toMatchObject({ code: 0, stderr: "" });
    for (const flags of [["--cacert", certificate], ["--insecure-tls"]])
      expect(await runYore(["list", "keys", ...flags], { env })).toMatchObject({ code: 0, stderr: "" });
    await isHealthy(url, { YORE_SERVE_TLS: "true" });
    await expect(isHealthy(url)).rejects.toThrow();
    const untrusted = await runYore(["list", "keys"], { env });
    expect(untrusted.code).toBe(1);
    expect(untrusted.stderr).toMatch(/certificate is not trusted[\s\S]*--cacert/);
    const old = ["-connect", new URL(url).host, "-tls1_2"];
    expect(() => execFileSync("openssl", ["s_client", ...old], { input: "", stdio: "pipe" })).toThrow();
  });

  describe.skipIf(missingPeer("restic"))("with restic", () => {
    it.each(["restic", "restic-debian"] as const)(
      "is a repository of %s, which yore reads as well",
      async (peer) => {
        const source = join(folder, "source");
        mkdirSync(source);
        for (let i = 0; i < 20; i++) writeFileSync(join(source, `file${i}`), randomBytes(50_000 * i));
        served = await Served.start(folder, ["--no-auth", "--log", "-"]);
        const location = `rest:${served.url}a/b/`;
        const env = {
          RESTIC_PASSWORD: "x",
          RESTIC_REPOSITORY: location,
          XDG_CACHE_HOME: join(folder, "cache"),
        };
        const restic = (...args: string[]) => runRestic(args, { env, peer });
        for (const args of [["init"], ["backup", source], ["check", "--read-data"]])
          expect((await restic(...args)).code, args.join(" ")).toBe(0);
        for (const args of [
          ["backup", source],
          ["check", "--read-data"],
        ])
          expect((await runYore(args, { env })).code, args.join(" ")).toBe(0);
        for (const run of [restic, (...args: string[]) => runYore(args, { env })]) {
          const target = await temporaryFolder();
          expect((await run("restore", "latest", "--target", target)).code).toBe(0);
          execFileSync("diff", ["-r", source, join(target, source)]);
        }
        expect((await restic("forget", "--keep-last", "1", "--prune")).code).toBe(0);
        expect((await restic("check", "--read-data")).code).toBe(0);
        expect(served.output.join("")).toMatch(/"POST \/a\/b\/snapshots\/[0-9a-f]{64} HTTP\/1\.1" 200 /);
      },
    );
  });
});

const nameOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Runs what the Dockerfile has for it, on another port. @throws {Error} when it says no */
async function isHealthy(url: string, env: Readonly<Record<string, string>> = {}): Promise<void> {
  const dockerfile = readFileSync(new URL("../../packaging/Dockerfile", import.meta.url), "utf8");
  const [program, ...args] = JSON.parse(/^HEALTHCHECK CMD (.*)$/m.exec(dockerfile)![1]!) as string[];
  const port = new URL(url).port;
  await promisify(execFile)(
    program!,
    args.map((arg) => arg.replace("8000", port)),
    { env: { ...process.env, ...env } },
  );
}

function startUpload(url: string, path: string, content: Uint8Array) {
  const post = request(new URL(path, url), {
    method: "POST",
    agent: new Agent(),
    headers: { "content-length": content.length },
  });
  let left = content.length;
  return {
    /** Sends a piece; behind the last one, the request is over. */
    write(piece: Uint8Array): void {
      left -= piece.length;
      if (left === 0) post.end(piece);
      else post.write(piece);
    },
    connected: new Promise<void>((resolve, reject) => {
      post.once("socket", (socket) => socket.once("connect", () => resolve()));
      post.once("error", reject);
    }).catch(() => {}),
    status: new Promise<number>((resolve, reject) => {
      post.on("response", (response) => {
        response.resume();
        resolve(response.statusCode!);
      });
      post.on("error", reject);
    }),
  };
}
