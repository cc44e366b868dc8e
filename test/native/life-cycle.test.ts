/**
 * Partial lives of the addon, each in a process of its own: whatever is pending when a process, a worker or an object
 * ends, the end must be clean. A signal as outcome (SIGSEGV, SIGABRT) is what these tests are about.
 */

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { UNSEAL_FAILURES } from "../../src/engine/unseal-failures.js";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { itWhere } from "../support/where.js";

const LENGTH = UNSEAL_FAILURES.indexOf("length");
const { SIGCHLD, SIGINT, SIGSEGV, SIGTERM } = constants.signals;

const PATH =
  process.env["YORE_ADDON"] ||
  fileURLToPath(new URL("../../native/build/Release/yore.node", import.meta.url));

/** Before each life: the addon, a key, and half a second of work for every thread. */
const PRELUDE = `
  const { Worker, isMainThread } = require("node:worker_threads");
  const load = () => {
    const addon = require(${JSON.stringify(PATH)});
    const bytes = (n, value = 7) => new Uint8Array(n).fill(value);
    const key = addon.createMasterKey(bytes(32), bytes(16), bytes(16));
    const noise = (n) => require("node:crypto").randomBytes(n);
    const seal = (n, level = 19) => addon.sealMany(key, [noise(n)], Int32Array.of(level), false);
    const busy = () => Promise.all(Array.from({ length: 16 }, () => seal(300000)));
    return { addon, bytes, key, noise, seal, busy };
  };
  // Resolves when the addon waits for a connection on which nothing comes.
  const wait = (addon) => new Promise((resolve) => {
    const net = require("node:net");
    const server = net.createServer({ pauseOnConnect: true }, (socket) => {
      const taken = addon.socketTake(socket._handle.fd);
      socket.destroy();
      addon.socketReadable(taken);
      resolve();
    });
    server.listen(0, () => net.connect(server.address().port));
  });
`;

/** The code of a worker that prepares as the main thread does. */
const inWorker = (code: string) => JSON.stringify(`${PRELUDE} ${code}`);

const LIVES: readonly { name: string; code: string; flags?: string[]; status?: number; prints?: string }[] = [
  { name: "load and end", code: `load(); console.log("done");`, prints: "done" },
  {
    name: "finish pending work before a natural end",
    code: `load().busy().then((results) => console.log("sealed", results.length));`,
    prints: "sealed 16",
  },
  {
    name: "not be kept alive by an idle pool",
    code: `load().seal(10).then(() => console.log("idle"));`,
    prints: "idle",
  },
  {
    name: "process.exit() while somebody waits for a connection",
    code: `wait(load().addon).then(() => process.exit(5));`,
    status: 5,
  },
  {
    name: "a worker terminated while it waits for connections",
    code: `
      const { seal } = load();
      const worker = new Worker(
        ${inWorker(`wait(load().addon).then(() => require("node:worker_threads").parentPort.postMessage(1));`)}, { eval: true });
      worker.once("message", () => worker.terminate().then(() => seal(1000)).then(() => console.log("terminated")));`,
    prints: "terminated",
  },
  { name: "process.exit() with work pending", code: `load().busy(); process.exit(3);`, status: 3 },
  {
    name: "process.exit() with work under way and done",
    code: `const { seal, busy } = load(); busy(); seal(10).then(() => process.exit(4));`,
    status: 4,
  },
  {
    name: "an uncaught exception with work pending",
    code: `load().busy(); setImmediate(() => { throw new Error("on purpose"); });`,
    status: 1,
  },
  {
    name: "an unhandled exception in a continuation",
    code: `const { seal, busy } = load(); busy(); seal(10).then(() => { throw new Error("on purpose"); });`,
    status: 1,
  },
  {
    name: "a worker that ends by itself, and the main thread goes on",
    code: `
      const { seal } = load();
      new Worker(${inWorker(`load().busy();`)}, { eval: true }).on("exit", (code) =>
        seal(1000).then(() => console.log("worker ended", code)));`,
    prints: "worker ended 0",
  },
  {
    name: "workers terminated with work pending",
    code: `
      const { seal } = load();
      const workers = Array.from({ length: 4 }, () => new Worker(
        ${inWorker(`load().busy(); require("node:worker_threads").parentPort.postMessage(1);`)}, { eval: true }));
      Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("message", async () => {
        await worker.terminate(); resolve();
      })))).then(() => seal(1000)).then(() => console.log("terminated"));`,
    prints: "terminated",
  },
  {
    name: "process.exit() while workers have work pending",
    code: `
      load().busy();
      const worker = new Worker(
        ${inWorker(`load().busy(); require("node:worker_threads").parentPort.postMessage(1);`)}, { eval: true });
      worker.once("message", () => process.exit(5));`,
    status: 5,
  },
  {
    name: "process.exit() within a worker",
    code: `new Worker(${inWorker(`load().busy(); process.exit(0);`)}, { eval: true })
      .on("exit", () => console.log("left"));`,
    prints: "left",
  },
  {
    name: "an addon that only workers load, one after the other",
    code: `
      const run = () => new Promise((resolve) =>
        new Worker(${inWorker(`load().seal(100000);`)}, { eval: true }).on("exit", resolve));
      run().then(run).then(run).then(() => console.log("three"));`,
    prints: "three",
  },
  {
    name: "handles and inputs collected while work is pending",
    flags: ["--expose-gc"],
    code: `
      const { addon, bytes } = load();
      const pending = [];
      for (let i = 0; i < 40; i++) {
        const key = addon.createMasterKey(bytes(32), bytes(16), bytes(16));
        const chunker = addon.createChunker(0x3caf26730a7f8dn, 64, 4096, 10);
        pending.push(addon.sealMany(key, [new Uint8Array(50000).fill(i)], Int32Array.of(3), true));
        pending.push(addon.cutChunks(chunker, new Uint8Array(200000).fill(i), true, 0));
        gc();
      }
      const check = async () => {
        const key = addon.createMasterKey(bytes(32), bytes(16), bytes(16));
        for (let i = 0; i < 40; i++) {
          const [sealed] = await pending[2 * i];
          gc();
          const [plain] = await addon.unsealMany(key, [sealed], Uint32Array.of(50000), [undefined]);
          if (!plain.every((byte) => byte === i)) throw new Error("damaged " + i);
          const { lengths } = await pending[2 * i + 1];
          if (lengths.reduce((a, b) => a + b) !== 200000) throw new Error("lost " + i);
        }
        console.log("whole");
      };
      check();`,
    prints: "whole",
  },
  {
    name: "results that are collected, unseen",
    flags: ["--expose-gc"],
    code: `
      const { addon, seal, noise } = load();
      (async () => {
        for (let i = 0; i < 50; i++) { await Promise.all([seal(100000, 1), addon.compress(noise(9000), 1)]); gc(); }
        const before = process.memoryUsage().rss;
        for (let i = 0; i < 100; i++) { await Promise.all([seal(1000000, 1), addon.sha256Many([noise(10)])]); gc(); }
        const grown = process.memoryUsage().rss - before;
        console.log(grown < (process.env.LD_PRELOAD ? 600e6 : 60e6) ? "freed" : "leaked " + grown);
      })();`,
    prints: "freed",
  },
  {
    name: "the main thread and three workers sealing and unsealing at once",
    code: `
      const work = \`(async () => {
        const { addon, key, noise } = load();
        let next = 0;
        const strand = async () => {
          while (next < 400) {
            const plaintext = noise((next++ * 397) % 100000);
            const level = next % 3 ? 1 : -(2 ** 31);
            const [sealed] = await addon.sealMany(key, [plaintext], Int32Array.of(level), true);
            const length = level === 1 ? plaintext.length : 0;
            const id = addon.sha256(plaintext);
            const flipped = Uint8Array.from(sealed);
            flipped[next % flipped.length] ^= 1;
            const [good, bad] = await addon.unsealMany(key, [sealed, flipped], Uint32Array.of(length, length), [id, id]);
            if (!plaintext.equals(good) || bad !== 1) throw new Error("wrong at " + next);
          }
        };
        await Promise.all(Array.from({ length: 16 }, strand));
      })()\`;
      const workers = Array.from({ length: 3 }, () => new Promise((resolve, reject) =>
        new Worker(${JSON.stringify(PRELUDE)} + work, { eval: true }).on("error", reject).on("exit", resolve)));
      Promise.all([eval(work), ...workers]).then(() => console.log("all right"));`,
    prints: "all right",
  },
  {
    name: "sealed parts and a program collected while they are unsealed to files",
    flags: ["--expose-gc"],
    code: `
      const fs = require("node:fs");
      const root = fs.mkdtempSync(require("node:path").join(require("node:os").tmpdir(), "yore-test-"));
      process.on("exit", () => fs.rmSync(root, { recursive: true }));
      const { addon, key, noise } = load();
      const call = (kind, name, data) => {
        const bytes = Buffer.alloc(48);
        bytes.writeUInt32LE(kind, 0);
        bytes.writeUInt32LE(name.length, 4);
        bytes.writeUInt32LE(data.length, 8);
        return Buffer.concat([bytes, Buffer.from(name), data]);
      };
      (async () => {
        const pending = [];
        for (let i = 0; i < 40; i++) {
          const plaintext = noise(50000);
          const [sealed] = await addon.sealMany(key, [plaintext], Int32Array.of(-(2 ** 31)), false);
          const program = Buffer.concat([call(0, "", Buffer.alloc(0)), call(14, "file " + i, Buffer.alloc(8))]);
          const places = Uint32Array.of(0, sealed.length, 0);
          pending.push(addon.unsealToFiles(
            key, Buffer.from(sealed), places, addon.sha256(plaintext), new Uint8Array(1), Buffer.from(root), program));
          gc();
        }
        await Promise.all(pending.slice(0, 20));
        console.log("written", fs.statSync(root + "/file 0").size);
        process.exit(6);
      })();`,
    status: 6,
    prints: "written 50000",
  },
  {
    name: "every function called with nonsense",
    code: `
      const { addon } = load();
      for (const name of Object.keys(addon)) {
        for (const value of [undefined, null, -1, NaN, 1n, "", "x", Symbol("x"), {}, [], [null], () => {}, new Uint8Array(0),
                             new Float32Array(3), new ArrayBuffer(8), new Proxy([], {}), new Date()]) {
          try {
            Promise.resolve(addon[name](...Array(8).fill(value))).catch(() => {});
          } catch {}
        }
      }
      console.log("still here");
      process.exit(0);`,
    prints: "still here",
  },
];

describe.skipIf(!loadAddon())(`the addon survives ${addonProblem() ?? ""}`, () => {
  it.each(LIVES)("$name", ({ code, flags = [], status = 0, prints }) => {
    const result = spawnSync(process.execPath, [...flags, "-e", `${PRELUDE} ${code}`], {
      encoding: "utf8",
      timeout: 50_000,
    });
    const outcome = { signal: result.signal, status: result.status };
    expect(outcome, result.stderr).toEqual({ signal: null, status });
    if (prints !== undefined) expect(result.stdout).toContain(prints);
  });
});

// A sanitizer ends the process where memory is refused.
const canLackMemory = process.platform === "linux" && !process.env["YORE_ADDON"];

itWhere(canLackMemory && addonProblem() === undefined)(
  "what claims to be larger than the memory does not keep the rest from being unsealed",
  () => {
    const code = `
      const { addon, key, noise } = load();
      const size = Number(/^VmSize:\\s*(\\d+)/m.exec(require("node:fs").readFileSync("/proc/self/status", "latin1"))[1]);
      require("node:child_process").execFileSync("prlimit", ["--pid", process.pid, "--as=" + (size + 2 ** 20) * 1024]);
      (async () => {
        const sealed = await addon.sealMany(key, [noise(20000), noise(30000), noise(40000)], new Int32Array(3).fill(-(2 ** 31)), false);
        const results = await addon.unsealMany(key, sealed, Uint32Array.of(0, 2 ** 32 - 1, 0), [undefined, undefined, undefined]);
        console.log(results.map((result) => result.length ?? result).join());
      })();`;
    const result = spawnSync(process.execPath, ["-e", `${PRELUDE} ${code}`], { encoding: "utf8" });
    expect(result, result.stderr).toMatchObject({ status: 0, stdout: `20000,${LENGTH},40000\n` });
  },
);

describe.skipIf(addonProblem() !== undefined)("blockSignals", () => {
  /** The signals that the main thread does not take, as the kernel keeps them. */
  const blocked = () => /^SigBlk:\s*(\S+)$/m.exec(readFileSync("/proc/self/status", "latin1"))![1]!;

  it("blocks all but what a thread does to itself, until it is undone as often as it was done", () => {
    const addon = loadAddon()!;
    const before = blocked();
    addon.blockSignals(true);
    addon.blockSignals(true);
    const bits = BigInt(`0x${blocked()}`);
    addon.blockSignals(false);
    expect(BigInt(`0x${blocked()}`)).toBe(bits);
    addon.blockSignals(false);
    expect(blocked()).toBe(before);
    for (const signal of [SIGINT, SIGTERM, SIGCHLD]) expect(bits & (1n << BigInt(signal - 1))).not.toBe(0n);
    expect(bits & (1n << BigInt(SIGSEGV - 1))).toBe(0n);
    // Undone once too often.
    addon.blockSignals(false);
    expect(blocked()).toBe(before);
  });

  it("takes yes and no only", () => {
    for (const block of [undefined, 1, "true"])
      expect(() => loadAddon()!.blockSignals(block as unknown as boolean)).toThrow(/"block"/);
  });
});
