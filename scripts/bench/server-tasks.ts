/** `yore serve` beside rest-server: the same requests by the same client, on the same disk. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "./delay-proxy.js";
import { HttpLoad, MadeFile } from "./http-load.js";
import { dropPageCache } from "./measure.js";
import { accountOf } from "./process-tree.js";
import { type Program, peer } from "./programs.js";
import type { Outcome, Place, Task } from "./task.js";

const V2 = "application/vnd.x.restic.rest.v2";

/** A server that runs, and the client. */
interface Server {
  readonly load: HttpLoad;
  /** Runs the work, and says what the server took for it. */
  measure(work: () => Promise<string>): Promise<Outcome>;
}

/** rest-server stands where restic stands in the other tasks. */
async function withServer<T>(
  program: Program,
  folder: string,
  connections: number,
  work: (server: Server) => Promise<T>,
): Promise<T> {
  const port = await freePort();
  const flags = ["--no-auth", "--path", folder, "--listen", `127.0.0.1:${port}`];
  const argv =
    program.name === "restic" ? [peer("rest-server"), ...flags] : [...program.argv, "serve", ...flags];
  const child = spawn(argv[0]!, argv.slice(1), { stdio: "ignore" });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const load = new HttpLoad(port, connections);
  try {
    while (
      !(await load.ask("POST", "/?create=true").then(
        () => true,
        () => false,
      ))
    ) {
      if (child.exitCode !== null) throw new Error(`${argv[0]} does not start over ${folder}`);
      await delay(20);
    }
    return await work({ load, measure: (task) => measureServer(child.pid!, task) });
  } finally {
    load.close();
    child.kill("SIGKILL");
    await gone;
  }
}

async function measureServer(pid: number, work: () => Promise<string>): Promise<Outcome> {
  const before = accountOf(pid);
  const started = process.hrtime.bigint();
  const proof = await work();
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  const after = accountOf(pid);
  const grown = (after.peakBytes - before.peakBytes) / 1024 ** 2;
  return {
    sample: { seconds, cpuSeconds: after.cpuSeconds - before.cpuSeconds, peakBytes: after.peakBytes },
    proof,
    detail: `grew by ${grown.toFixed(0)} MiB`,
  };
}

function files({ short }: Place): MadeFile[] {
  const [count, mebibytes] = short ? [20, 2] : [200, 64];
  return Array.from({ length: count }, (_, i) => new MadeFile(i, mebibytes));
}

const upload: Task = {
  name: "serve-upload",
  what: "server: 200 uploads of 64 MiB at once (against rest-server)",
  run(program, place) {
    const made = files(place);
    return withServer(program, place.scratch, made.length, async ({ load, measure }) => {
      const outcome = await measure(async () => {
        await Promise.all(
          made.map((file) => load.ask("POST", `/data/${file.name}`, file.pieces(), file.bytes)),
        );
        return "";
      });
      return { ...outcome, proof: hashOfNames(join(place.scratch, "data")) };
    });
  },
};

const download: Task = {
  name: "serve-download",
  what: "server: 50 downloads of 64 MiB, 16 at a time, cold (against rest-server)",
  run(program, place) {
    const made = files(place).slice(0, 50);
    return withServer(program, place.scratch, 16, async ({ load, measure }) => {
      for (const file of made) await load.ask("POST", `/data/${file.name}`, file.pieces(), file.bytes);
      // What was uploaded a moment ago is in the cache with one program, and not with the other.
      dropPageCache();
      return measure(async () => {
        const got = await Promise.all(made.map((file) => load.ask("GET", `/data/${file.name}`)));
        return String(got.reduce((sum, bytes) => sum + bytes, 0));
      });
    });
  },
};

const list: Task = {
  name: "serve-list",
  what: "server: listing of 100,000 packs with their sizes (against rest-server)",
  run(program, place) {
    const folder = packFolder(place);
    dropPageCache();
    return withServer(program, folder, 1, ({ load, measure }) =>
      measure(async () => {
        const first = await load.ask("GET", "/data/", undefined, 0, V2);
        for (let i = 0; i < 4; i++) await load.ask("GET", "/data/", undefined, 0, V2);
        return String(first);
      }),
    );
  },
  // The programs may separate the entries differently.
  tolerance: 0.05,
};

const small: Task = {
  name: "serve-small",
  what: "server: 5,000 small files saved, then loaded, 16 at a time (against rest-server)",
  run(program, place) {
    const count = place.short ? 200 : 5_000;
    const contents = Array.from({ length: count }, (_, i) => Buffer.from(`small file ${i}`));
    const pathOf = (bytes: Buffer) => `/keys/${createHash("sha256").update(bytes).digest("hex")}`;
    return withServer(program, place.scratch, 16, ({ load, measure }) =>
      measure(async () => {
        await Promise.all(contents.map((bytes) => load.ask("POST", pathOf(bytes), [bytes], bytes.length)));
        const got = await Promise.all(contents.map((bytes) => load.ask("GET", pathOf(bytes))));
        return String(got.reduce((sum, bytes) => sum + bytes, 0));
      }),
    );
  },
};

/** A repository of many small packs, made once. */
function packFolder(place: Place): string {
  const path = join(place.data, place.short ? "packs-short" : "packs");
  if (existsSync(path)) return path;
  const partial = `${path}.partial`;
  rmSync(partial, { recursive: true, force: true });
  for (let i = 0; i < 256; i++)
    mkdirSync(join(partial, "data", i.toString(16).padStart(2, "0")), { recursive: true });
  for (let i = 0; i < (place.short ? 1_000 : 100_000); i++) {
    const bytes = `pack ${i}`;
    const name = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(partial, "data", name.slice(0, 2), name), bytes);
  }
  renameSync(partial, path);
  return path;
}

/** The names of all whole files, as one hash: each name is the hash of what the server has verified. */
function hashOfNames(folder: string): string {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
  return createHash("sha256").update(names.sort().join()).digest("hex");
}

export const SERVING: readonly Task[] = [upload, download, list, small];
