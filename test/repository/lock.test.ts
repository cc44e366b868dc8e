import { mkdtemp, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { equalIds, type Id } from "../../src/bytes/id.js";
import { YoreError } from "../../src/errors.js";
import { encodeLockFile, type LockFile } from "../../src/format/lock-file.js";
import { timestampFromMs } from "../../src/repository/clock.js";
import type { LockTimings } from "../../src/repository/lock.js";
import { isStaleLock } from "../../src/repository/lock-conflicts.js";
import type { Repository } from "../../src/repository/repository.js";
import { collect, createRepository, openRepository, wrapBackend } from "./support.js";

const MINUTE = 60_000;
/** Higher than any process ID that Linux hands out. */
const NO_PROCESS = 2 ** 30;

const quick: Partial<LockTimings> = {
  settleMs: 5,
  unreadableWaitsMs: [1, 1, 1],
  pollMs: 5,
  maxPollMs: 10,
  tickMs: 5,
};

let backend: MemoryBackend;
let repository: Repository;

beforeEach(async () => {
  backend = new MemoryBackend();
  repository = await createRepository({}, backend);
});

afterEach(() => repository.close());

function lockFile(fields: Partial<LockFile> = {}): LockFile {
  return {
    time: timestampFromMs(Date.now()),
    exclusive: false,
    hostname: "elsewhere",
    username: "somebody",
    pid: 4711,
    uid: 1,
    gid: 2,
    ...fields,
  };
}

function saveLock(fields: Partial<LockFile> = {}): Promise<Id> {
  return repository.saveFile("lock", encodeLockFile(lockFile(fields)));
}

async function lockCount(): Promise<number> {
  return (await collect(backend.list("lock"))).length;
}

describe("RepositoryLock.acquire", () => {
  it("shares with shared locks and leaves nothing behind", async () => {
    const first = await repository.lock({ exclusive: false, timings: quick });
    const second = await repository.lock({ exclusive: false, timings: quick });
    expect(await lockCount()).toBe(2);
    await first.release();
    await second.release();
    await second.release();
    expect(await lockCount()).toBe(0);
  });

  it.each([
    ["shared", "exclusive"],
    ["exclusive", "shared"],
    ["exclusive", "exclusive"],
  ])("a %s lock keeps out an %s one, and says who holds it", async (held, wanted) => {
    await saveLock({ exclusive: held === "exclusive" });
    const failure = repository.lock({ exclusive: wanted === "exclusive", timings: quick });
    await expect(failure).rejects.toMatchObject({
      code: "locked",
      message: expect.stringMatching(
        /by PID 4711 on elsewhere by somebody \(UID 1, GID 2\)\nlock was created at .+ ago\)\nstorage ID [0-9a-f]{8}\n/,
      ),
      hint: expect.not.stringContaining("unlock"),
    });
    expect(await lockCount()).toBe(1);
  });

  it("gives way when another lock appears while it settles", async () => {
    const save = backend.save.bind(backend);
    backend.save = async (...saved) => {
      await save(...saved);
      backend.save = save;
      await saveLock();
    };
    const racing = repository.lock({ exclusive: true, timings: quick });
    await expect(racing).rejects.toMatchObject({ code: "locked" });
    expect(await lockCount()).toBe(1);
  });

  it("of two that want it exclusively at once, at most one gets it", async () => {
    const other = await openRepository(backend);
    const results = await Promise.allSettled([
      repository.lock({ exclusive: true, timings: { ...quick, settleMs: 50 } }),
      other.lock({ exclusive: true, timings: { ...quick, settleMs: 50 } }),
    ]);
    expect(results.filter(({ status }) => status === "fulfilled").length).toBeLessThanOrEqual(1);
    await other.close();
  });

  it("needs no time to settle where a listing shows at once what was saved: of three at most one gets it", async () => {
    const folder = await LocalBackend.open(await mkdtemp(join(tmpdir(), "yore-lock-")));
    try {
      expect(folder.listsAtOnce).toBe(true);
      const programs = [
        await createRepository({}, folder),
        await openRepository(folder),
        await openRepository(folder),
      ];
      const winners: number[] = [];
      for (let round = 0; round < 100; round++) {
        const results = await Promise.allSettled(
          programs.map((program) => program.lock({ exclusive: true })),
        );
        const locks = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
        winners.push(locks.length);
        await Promise.all(locks.map((lock) => lock.release()));
      }
      expect(Math.max(...winners)).toBeLessThanOrEqual(1);
      for (const program of programs) await program.close();
    } finally {
      await rm(folder.location, { recursive: true });
    }
  });

  it("does not read its own file again, which it has written itself", async () => {
    const loaded: string[] = [];
    const watched = wrapBackend(backend, {
      load: (handle, range) => {
        if (handle.type === "lock") loaded.push(handle.name);
        return backend.load(handle, range);
      },
    });
    await saveLock();
    const [other] = await collect(backend.list("lock"));
    const program = await openRepository(watched);
    const lock = await program.lock({ exclusive: false, timings: quick });
    expect(loaded).toEqual([other!.name, other!.name]);
    await lock.release();
    await program.close();
  });

  it("does not pass over a stale lock, but tells how to remove it", async () => {
    await saveLock({ time: timestampFromMs(Date.now() - 31 * MINUTE), exclusive: true });
    await expect(repository.lock({ exclusive: false, timings: quick })).rejects.toMatchObject({
      code: "locked",
      stale: true,
      message: expect.stringContaining("(31m"),
      hint: expect.stringContaining("yore unlock"),
    });
  });

  it("keeps trying as long as it may, and says once that it waits", async () => {
    const id = await saveLock({ exclusive: true });
    const waits: string[] = [];
    const lock = await repository.lock({
      exclusive: true,
      retryMs: 10_000,
      timings: quick,
      onWaiting: (reason) => {
        waits.push(reason);
        void repository.removeFile("lock", id);
      },
    });
    expect(waits).toEqual([expect.stringContaining("locked exclusively by PID 4711")]);
    await lock.release();
  });

  it("gives up after the time, and at once when the signal fires", async () => {
    await saveLock({ exclusive: true });
    const late = repository.lock({ exclusive: true, retryMs: 40, timings: quick });
    await expect(late).rejects.toMatchObject({ code: "locked" });
    const controller = new AbortController();
    const stopped = repository.lock({
      exclusive: true,
      retryMs: 60_000,
      timings: quick,
      signal: controller.signal,
      onWaiting: () => controller.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: "interrupted" });
  });

  it("ignores lock files without a byte", async () => {
    await backend.save({ type: "lock", name: "0".repeat(64) }, []);
    await (await repository.lock({ exclusive: true, timings: quick })).release();
  });

  it("tries a lock file that cannot be read four times, then names the way out", async () => {
    const name = "1".repeat(64);
    await backend.save({ type: "lock", name }, [Buffer.from("half")]);
    let loads = 0;
    const counting = wrapBackend(backend, {
      load: (handle, range) => {
        if (handle.type === "lock") loads++;
        return backend.load(handle, range);
      },
    });
    const reader = await openRepository(counting);
    await expect(reader.lock({ exclusive: false, timings: quick })).rejects.toMatchObject({
      code: "damaged",
      hint: expect.stringContaining("unlock --remove-all"),
    });
    // Each try looks twice: what a bad connection spoils may come whole the second time.
    expect(loads).toBe(8);
    expect(await reader.unlock()).toBe(0);
    expect(await reader.unlock({ removeAll: true })).toBe(1);
    await (await reader.lock({ exclusive: true, timings: quick })).release();
  });
});

describe("RepositoryLock", () => {
  it("replaces its file by a newer one again and again", async () => {
    const lock = await repository.lock({ exclusive: true, timings: { ...quick, refreshMs: 20 } });
    const first = lock.id;
    await expect.poll(() => equalIds(lock.id, first), { timeout: 5000 }).toBe(false);
    await expect.poll(lockCount).toBe(1);
    expect(lock.signal.aborted).toBe(false);
    await lock.release();
    expect(await lockCount()).toBe(0);
  });

  it("goes on after standby when its file is still there", async () => {
    let now = Date.now();
    const lock = await repository.lock({ exclusive: true, timings: { ...quick, now: () => now } });
    const first = lock.id;
    now += 40 * MINUTE;
    await lock.confirm();
    expect(equalIds(lock.id, first)).toBe(false);
    expect(lock.signal.aborted).toBe(false);
    const [listed] = await repository.listLocks();
    expect(listed!.lock!.time.seconds).toBe(Math.floor(now / 1000));
    await lock.release();
  });

  it("is lost after standby when somebody removed it, and says so before anything is written", async () => {
    let now = Date.now();
    const lost: YoreError[] = [];
    const lock = await repository.lock({
      exclusive: false,
      timings: { ...quick, tickMs: MINUTE, now: () => now },
      onLost: (error) => lost.push(error),
    });
    now += 40 * MINUTE;
    expect(await repository.unlock({ removeAll: true })).toBe(1);
    await expect(repository.saveFile("snapshot", Buffer.from("{}"))).rejects.toMatchObject({
      code: "locked",
    });
    expect(await collect(backend.list("snapshot"))).toEqual([]);
    expect(lost).toEqual([expect.objectContaining({ message: expect.stringContaining("lock") })]);
    expect(lock.signal.reason).toBe(lost[0]);
    expect(await lockCount()).toBe(0);
    await lock.release();
  });

  it("saves no index of packs once it is lost: others may have pruned what no index file listed", async () => {
    let now = Date.now();
    const timings = { ...quick, tickMs: MINUTE, now: () => now };
    const lock = await repository.lock({ exclusive: false, timings });
    const blob = Buffer.alloc(1000, "blob");
    await repository.saveBlob("data", blob);
    now += 40 * MINUTE;
    await repository.unlock({ removeAll: true });
    await expect(repository.flush()).rejects.toMatchObject({ code: "locked" });
    await lock.release();
    await repository.lock({ exclusive: false, timings });
    await repository.flush();
    expect(await collect(backend.list("index"))).toEqual([]);
    expect((await repository.saveBlob("data", blob)).known).toBe(false);
    await repository.flush();
    expect((await openRepository(backend)).index.size).toBe(1);
  });

  it("notices by itself that it is lost", async () => {
    let now = Date.now();
    const lock = await repository.lock({ exclusive: false, timings: { ...quick, now: () => now } });
    const lost = new Promise((resolve) => lock.signal.addEventListener("abort", resolve));
    await repository.unlock({ removeAll: true });
    now += 40 * MINUTE;
    await lost;
    await lock.release();
  });

  it("tries again when a refresh fails, and is lost only when it is in doubt", async () => {
    let failing = false;
    let failures = 0;
    const flaky = wrapBackend(backend, {
      save: (handle, pieces) => {
        if (!failing) return backend.save(handle, pieces);
        failures++;
        return Promise.reject(new YoreError("backend", "Cannot save: unreachable"));
      },
    });
    const reader = await openRepository(flaky);
    const timings = { ...quick, refreshMs: 30, doubtMs: 60_000 };
    const lock = await reader.lock({ exclusive: false, timings });
    const first = lock.id;
    failing = true;
    await expect.poll(() => failures, { timeout: 5000 }).toBeGreaterThan(2);
    expect(lock.signal.aborted).toBe(false);
    failing = false;
    await expect.poll(() => equalIds(lock.id, first), { timeout: 5000 }).toBe(false);
    await lock.release();
  });

  it.each(["save", "remove"] as const)(
    "is lost when somebody removed it in a standby that fell into the %s of a refresh",
    async (step) => {
      let now = Date.now();
      let isAwake = true;
      let goOn = () => {};
      const isAsked = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      const standby = async () => {
        if (isAwake) return;
        isAwake = true;
        now += 120 * MINUTE;
        for (const { name } of await collect(backend.list("lock")))
          await backend.remove({ type: "lock", name });
        await isAsked;
      };
      const sleepy = wrapBackend(backend, {
        save: async (handle, pieces) => {
          if (step === "save") await standby();
          await backend.save(handle, pieces);
        },
        remove: async (handle) => {
          if (step === "remove") await standby();
          await backend.remove(handle);
        },
      });
      const reader = await openRepository(sleepy);
      const lock = await reader.lock({ exclusive: false, timings: { ...quick, now: () => now } });
      isAwake = false;
      now += 5 * MINUTE;
      await expect.poll(() => isAwake, { timeout: 5000 }).toBe(true);
      const confirmed = lock.confirm();
      goOn();
      await expect(confirmed).rejects.toMatchObject({ code: "locked" });
      expect(lock.signal.aborted).toBe(true);
      await lock.release();
      expect(await lockCount()).toBe(0);
    },
  );

  it("leaves no older file behind that could not be removed when it was replaced", async () => {
    let failures = 0;
    const refusing = wrapBackend(backend, {
      remove: (handle) => {
        if (failures++ > 0) return backend.remove(handle);
        return Promise.reject(new YoreError("backend", "Cannot remove: unreachable"));
      },
    });
    const reader = await openRepository(refusing);
    let now = Date.now();
    const lock = await reader.lock({ exclusive: false, timings: { ...quick, now: () => now } });
    const first = lock.id;
    now += 40 * MINUTE;
    await expect.poll(() => equalIds(lock.id, first), { timeout: 5000 }).toBe(false);
    await lock.confirm();
    expect(lock.signal.aborted).toBe(false);
    await lock.release();
    expect(await lockCount()).toBe(0);
  });
});

describe("isStaleLock", () => {
  const now = Date.now();
  it.each([
    ["fresh, of another machine", {}, false],
    ["29 minutes old", { time: timestampFromMs(now - 29 * MINUTE) }, false],
    ["31 minutes old", { time: timestampFromMs(now - 31 * MINUTE) }, true],
    ["of this process", { hostname: hostname(), pid: process.pid }, false],
    ["of a process that is gone", { hostname: hostname(), pid: NO_PROCESS }, true],
    ["of a process that is gone, on another machine", { pid: NO_PROCESS }, false],
    ["of process 1, which we may not signal", { hostname: hostname(), pid: 1 }, false],
    ["without a process", { hostname: hostname(), pid: 0 }, false],
  ])("%s", (_, fields: Partial<LockFile>, wanted) => {
    expect(isStaleLock(lockFile(fields), now)).toBe(wanted);
  });
});

describe("Repository.unlock", () => {
  it("removes stale locks and keeps the others", async () => {
    await saveLock();
    await saveLock({ hostname: hostname(), pid: NO_PROCESS });
    await saveLock({ time: timestampFromMs(Date.now() - 100 * MINUTE) });
    expect(await repository.unlock()).toBe(2);
    expect(await lockCount()).toBe(1);
    expect(await repository.unlock({ removeAll: true })).toBe(1);
  });
});
