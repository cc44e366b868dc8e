/**
 * Partial lives of a channel of /dev/fuse, each in a process of its own, with a server that knows only INIT. Whatever is
 * pending when the process, a worker or the channel ends, the end must be clean, and nobody may be left waiting.
 */

import { rmdirSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { run } from "../support/run.js";

const PATH =
  process.env["YORE_ADDON"] ||
  fileURLToPath(new URL("../../native/build/Release/yore.node", import.meta.url));

/** Before each life: `mount()` gives a channel; `start(channel, onRequest)` answers INIT and leaves the rest to it. */
const prelude = (mountpoint: string) => `
  const { spawn, execFileSync } = require("node:child_process");
  const { Worker } = require("node:worker_threads");
  const addon = require(${JSON.stringify(PATH)});
  const mountpoint = ${JSON.stringify(mountpoint)};
  const path = Buffer.from(mountpoint);
  const mount = () => addon.fuseMount(path, "toy", "fuse.toy", 7, "rootmode=40000,user_id=0,group_id=0");
  const requests = new Uint8Array(16 * 8192), replies = new Uint8Array(65536);
  const view = new DataView(requests.buffer), out = new DataView(replies.buffer);
  const reply = (channel, at, errno, bodyLength) => {
    out.setUint32(0, 16 + bodyLength, true); out.setInt32(4, -errno, true);
    replies.set(requests.subarray(at + 8, at + 16), 8);
    return addon.fuseReply(channel, 16 + bodyLength);
  };
  const quiets = [];
  const start = (channel, onRequest, onEnd = () => {}) => addon.fuseStart(channel, requests, 8192, replies, (count, _answered, _refused, quiet) => {
    quiets.push(quiet);
    for (let slot = 0; slot < count; slot++) {
      const at = slot * 8192, opcode = view.getUint32(at + 4, true);
      if (opcode === 26) {
        replies.fill(0, 16, 80);
        out.setUint32(16, 7, true); out.setUint32(20, 31, true); out.setUint32(36, 4096, true);
        reply(channel, at, 0, 64);
      }
      onRequest(opcode, at);
    }
  }, onEnd);
  const unmount = (flags = 0) => addon.fuseUnmount(path, flags);
  const message = (parent, name) => {
    const bytes = Buffer.alloc(16 + 16 + name.length + 1);
    bytes.writeUInt32LE(bytes.length, 0); bytes.writeInt32LE(3, 4);
    bytes.writeUInt32LE(parent, 16); bytes.writeUInt32LE(name.length, 24); bytes.write(name, 32);
    return bytes;
  };
`;

interface Life {
  readonly name: string;
  readonly code: string;
  readonly flags?: readonly string[];
  readonly status?: number;
  readonly prints?: string;
}

const LIVES: readonly Life[] = [
  {
    name: "ends by itself when it is unmounted",
    code: `mount().then((channel) => start(channel, (opcode) => { if (opcode === 26) unmount(); },
      (errno) => { console.log("ended", errno); addon.fuseClose(channel); }));`,
    prints: "ended 19",
  },
  {
    name: "is closed twice, and refuses to be used afterwards",
    code: `mount().then(async (channel) => {
      start(channel, () => {});
      await unmount(2);
      addon.fuseClose(channel); addon.fuseClose(channel);
      const failures = [() => addon.fuseReply(channel, 16), () => addon.fuseNotify(channel, new Uint8Array(32)),
        () => start(channel, () => {})].map((use) => { try { use(); } catch (error) { return error.code; } });
      console.log(failures.join());
    });`,
    prints: "ERR_FUSE_CLOSED,ERR_FUSE_CLOSED,ERR_FUSE_CLOSED",
  },
  {
    name: "is closed by its own callback",
    code: `mount().then((channel) => start(channel, async (opcode) => {
      if (opcode !== 26) return; addon.fuseClose(channel); await unmount(2); console.log("closed"); }));`,
    prints: "closed",
  },
  {
    name: "is collected without having been started",
    flags: ["--expose-gc"],
    code: `(async () => {
      await mount(); await unmount(2); await new Promise(setImmediate);
      const fs = require("node:fs");
      const isOpen = () => fs.readdirSync("/proc/self/fd").some((fd) => {
        try { return fs.readlinkSync("/proc/self/fd/" + fd) === "/dev/fuse"; } catch { return false; } });
      while (isOpen()) { gc(); await new Promise(setImmediate); }
      console.log("collected"); })();`,
    prints: "collected",
  },
  {
    name: "survives its handle as long as it is polled",
    flags: ["--expose-gc"],
    code: `(async () => {
      start(await mount(), () => {}, (errno) => { console.log("ended", errno); process.exit(0); });
      for (let i = 0; i < 10; i++) { gc(); await new Promise(setImmediate); }
      await unmount(); })();`,
    prints: "ended 19",
  },
  {
    name: "ends with process.exit()",
    code: `mount().then((channel) => start(channel, (opcode) => {
      if (opcode === 26) { addon.fuseDetachNow(path); process.exit(3); } }));`,
    status: 3,
  },
  {
    name: "ends with process.exit() while it is being mounted",
    code: `mount(); process.exit(4);`,
    status: 4,
  },
  {
    name: "ends with an exception of its callback",
    code: `mount().then((channel) => start(channel, () => { addon.fuseDetachNow(path); throw new Error("on purpose"); }));`,
    status: 1,
  },
  {
    name: "ends with its worker",
    code: `
      const code = ${JSON.stringify("PRELUDE")} + \`
        mount().then((channel) => start(channel, (opcode) => {
          if (opcode === 26) require("node:worker_threads").parentPort.postMessage(1); }));\`;
      const worker = new Worker(code, { eval: true });
      worker.once("message", async () => {
        await worker.terminate(); await unmount(2); console.log("terminated"); });`,
    prints: "terminated",
  },
  {
    name: "answers by itself that a node has no extended attributes, once it is told",
    code: `mount().then((channel) => {
      const asked = [];
      const ask = (...args) => new Promise((resolve) => {
        const child = spawn("getfattr", ["-h", ...args, mountpoint]);
        let said = "";
        child.stdout.on("data", (text) => { said += text; });
        child.stderr.on("data", (text) => { said += text; });
        child.on("close", () => resolve(said.split(": ").at(-1).trim()));
      });
      start(channel, async (opcode, at) => {
        if (opcode === 26) {
          const before = await ask("-n", "user.a");
          addon.fusePlain(channel, [1, 2]);
          const after = [await ask("-n", "user.a"), await ask("-d", "-m", "-")];
          console.log(JSON.stringify([before, asked.splice(0), ...after, asked]));
          await unmount(); addon.fuseClose(channel);
        } else if (opcode === 3) {
          replies.fill(0, 16, 120); out.setUint32(92, 0o40755, true); out.setUint32(96, 2, true);
          reply(channel, at, 0, 104);
        } else if (opcode === 22 || opcode === 23) {
          asked.push(opcode); reply(channel, at, 5, 0);
        } else reply(channel, at, 38, 0);
      });
    });`,
    prints: '["Input/output error",[22],"No such attribute","",[]]',
  },
  {
    // JavaScript would not have its turn for as long as they ask.
    name: "answers by itself no more than 64 of those who ask for attributes at once",
    code: `mount().then((channel) => {
      const ask = () => new Promise((resolve) => {
        const args = ["-h", "-n", "user.a", ...new Array(4000).fill(mountpoint)];
        spawn("getfattr", args, { stdio: "ignore" }).on("close", resolve);
      });
      start(channel, async (opcode, at) => {
        if (opcode === 26) {
          addon.fusePlain(channel, [1]);
          await Promise.all([ask(), ask(), ask(), ask()]);
          console.log(Math.max(...quiets) <= 64, quiets.reduce((sum, quiet) => sum + quiet, 0) > 4 * 4000 - 64);
          await unmount(); addon.fuseClose(channel);
        } else if (opcode === 3) {
          replies.fill(0, 16, 120); out.setUint32(92, 0o40755, true); out.setUint32(96, 2, true);
          out.setUint32(16, 3600, true);
          reply(channel, at, 0, 104);
        } else reply(channel, at, 38, 0);
      });
    });`,
    prints: "true true",
  },
  {
    name: "is closed while a look-up waits and a notification waits for it",
    code: `mount().then((channel) => {
      let reader;
      start(channel, async (opcode, at) => {
        if (opcode === 26) reader = spawn("cat", [mountpoint + "/name"], { stdio: "ignore" });
        else if (opcode === 3) { // GETATTR of the root
          replies.fill(0, 16, 120); out.setUint32(32, 1, true); out.setUint32(16 + 16 + 60, 0o40755, true);
          out.setUint32(16 + 16 + 64, 2, true);
          reply(channel, at, 0, 104);
        } else if (opcode === 1) {
          addon.fuseNotify(channel, message(1, "name"));
          setTimeout(() => {
            reader.on("exit", async (code) => { await unmount(2); console.log("reader ended", code); });
            addon.fuseClose(channel);
          }, 100);
        }
      });
    });`,
    prints: "reader ended 1",
  },
  {
    name: "refuses buffers that are too small, and lengths beyond them",
    code: `mount().then(async (channel) => {
      const failures = [];
      const attempt = (use) => { try { use(); failures.push("none"); } catch (error) { failures.push(error.code); } };
      attempt(() => addon.fuseStart(channel, requests, 4096, replies, () => {}, () => {}));
      attempt(() => addon.fuseStart(channel, new Uint8Array(100), 8192, replies, () => {}, () => {}));
      attempt(() => addon.fuseStart(channel, requests, 8192, replies, () => {}, null));
      attempt(() => addon.fuseReply(channel, 16));
      attempt(() => addon.fuseReply({}, 16));
      start(channel, () => {});
      attempt(() => start(channel, () => {}));
      attempt(() => addon.fuseReply(channel, 15));
      attempt(() => addon.fuseReply(channel, 65537));
      attempt(() => addon.fuseReplyWithPieces(channel, 16, [1]));
      attempt(() => addon.fuseReplyWithPieces(channel, 16, new Array(1024).fill(new Uint8Array(1))));
      attempt(() => addon.fuseNotify(channel, new Uint8Array(15)));
      attempt(() => addon.fusePrepare(channel, 8, 1, 100, new Uint8Array(1), 0, [], [], []));
      attempt(() => addon.fusePrepare(channel, 0, 0, 100, new Uint8Array(1), 0, [], [], []));
      attempt(() => addon.fusePrepare(channel, 0, 1, 100, new Uint8Array(101), 0, [], [], []));
      attempt(() => addon.fusePrepare(channel, 0, 1, 2 ** 32 - 1, new Uint8Array(1), 0, [], [], []));
      attempt(() => addon.fusePrepare(channel, 0, 1, 100, new Uint8Array(1), 0, [2], [0], []));
      attempt(() => addon.fuseWithdraw(channel, 8));
      attempt(() => addon.fuseStore(channel, [2, 3], [0, 0], [new Uint8Array(1)]));
      attempt(() => addon.fuseStore(channel, [2], [], [new Uint8Array(1)]));
      attempt(() => addon.fuseStore(channel, [2], [-1], [new Uint8Array(1)]));
      attempt(() => addon.fuseStore(channel, [0], [0], [new Uint8Array(1)]));
      attempt(() => addon.fuseStore(channel, ["2"], [0], [new Uint8Array(1)]));
      attempt(() => addon.fuseStore(channel, [2], [0], [1]));
      attempt(() => addon.fuseStore(channel, [2], [0], [new Uint8Array(2 ** 21 + 1)]));
      addon.fusePrepare(channel, 7, 1, 100, new Uint8Array(0), 2, [], [], []);
      failures.push(addon.fuseWithdraw(channel, 7), addon.fuseWithdraw(channel, 7));
      await unmount(2); addon.fuseClose(channel);
      console.log(failures.join(" "));
    });`,
    prints:
      "ERR_OUT_OF_RANGE ERR_OUT_OF_RANGE ERR_INVALID_ARG_TYPE ERR_OUT_OF_RANGE ERR_INVALID_ARG_TYPE ERR_FUSE_STARTED " +
      "ERR_OUT_OF_RANGE ERR_OUT_OF_RANGE ERR_INVALID_ARG_TYPE ERR_OUT_OF_RANGE ERR_OUT_OF_RANGE " +
      "ERR_OUT_OF_RANGE ERR_OUT_OF_RANGE ERR_OUT_OF_RANGE ERR_OUT_OF_RANGE ERR_OUT_OF_RANGE ERR_OUT_OF_RANGE " +
      "ERR_OUT_OF_RANGE ERR_OUT_OF_RANGE ERR_OUT_OF_RANGE ERR_OUT_OF_RANGE ERR_INVALID_ARG_TYPE " +
      "ERR_INVALID_ARG_TYPE ERR_OUT_OF_RANGE 1 0",
  },
  {
    name: "reads nothing that an element of an array takes away",
    code: `mount().then(async (channel) => {
      const failures = [];
      const attempt = (use) => { try { use(); failures.push("none"); } catch (error) { failures.push(error.code); } };
      const taken = new Uint8Array(100);
      const taking = (...list) => Object.defineProperty(list, list.length - 1, {
        get: () => { if (taken.length > 0) structuredClone(taken, { transfer: [taken.buffer] }); return 2; } });
      start(channel, () => {});
      attempt(() => addon.fusePrepare(channel, 0, 1, 100, taken, 0, taking(2), [0], [new Uint8Array(1)]));
      const closing = Object.defineProperty([0], 0, { get: () => { addon.fuseClose(channel); return new Uint8Array(1); } });
      attempt(() => addon.fuseReplyWithPieces(channel, 16, closing));
      await unmount(2);
      console.log(failures.join(" "));
    });`,
    prints: "ERR_INVALID_ARG_TYPE ERR_FUSE_CLOSED",
  },
  {
    name: "says what the kernel thinks of a reply",
    code: `mount().then((channel) => start(channel, async (opcode, at) => {
      if (opcode !== 26) return;
      console.log("to nobody", reply(channel, at, 0, 64));
      out.setUint32(0, 999, true);
      console.log("of a wrong length", addon.fuseReply(channel, 16));
      await unmount(2); addon.fuseClose(channel); }));`,
    prints: "to nobody 2\nof a wrong length 22",
  },
  {
    name: "is not there when the helper is missing or refuses",
    code: `(async () => {
      const say = (error) => console.log(error.code, error.syscall, JSON.stringify(error.message));
      await addon.fuseMountWithHelper("/nowhere/helper", path, "ro").catch(say);
      await addon.fuseMountWithHelper("false", path, "ro").catch(say);
      await addon.fuseMountWithHelper("cat", path, "ro").catch(say);
      await addon.fuseMount(Buffer.from("/nowhere"), "toy", "fuse.toy", 7, "rootmode=40000,user_id=0,group_id=0").catch(say);
      await addon.fuseUnmount(path, 0).catch(say); })();`,
    prints: `ENOENT spawn "ENOENT: no such file or directory, spawn '/nowhere/helper'"
ERR_FUSE_HELPER undefined ""
ERR_FUSE_HELPER undefined "cat: invalid option -- 'o'\\nTry 'cat --help' for more information.\\n"
ENOENT mount "ENOENT: no such file or directory, mount '/nowhere'"
EINVAL umount "EINVAL: invalid argument, umount `,
  },
];

const canMount = process.platform === "linux" && process.getuid?.() === 0;

describe.skipIf(!loadAddon() || !canMount)(`a channel ${addonProblem() ?? ""}`, () => {
  it.each(LIVES)("$name", async ({ code, flags = [], status = 0, prints }) => {
    const mountpoint = await mkdtemp(join(tmpdir(), "yore-test-"));
    const before = prelude(mountpoint);
    const program = `${before} ${code.replace('"PRELUDE"', () => JSON.stringify(before))}`;
    try {
      const result = await run(process.execPath, [...flags, "-e", program], {
        env: { YORE_ADDON: PATH, LC_ALL: "C" },
        timeoutMs: 30_000,
      });
      expect({ signal: result.signal, code: result.code }, result.stderr).toEqual({
        signal: null,
        code: status,
      });
      if (prints !== undefined) expect(result.stdout).toContain(prints);
    } finally {
      await run("umount", ["-l", mountpoint]);
      rmdirSync(mountpoint);
    }
  });
});
