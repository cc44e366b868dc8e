import { randomBytes } from "node:crypto";
import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "../../src/backend/backend.js";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { RestBackend } from "../../src/backend/rest-backend.js";
import { formatId } from "../../src/bytes/id.js";
import type { IndexedPack } from "../../src/format/index-file.js";
import { check } from "../../src/maintenance/check.js";
import type { CheckProblem } from "../../src/maintenance/check-options.js";
import { createRepository, openRepository, wrapBackend } from "../repository/support.js";
import { temporaryFolder } from "../support/temporary.js";

const MIB = 1024 * 1024;

describe("reading a pack that is larger than the memory for it", () => {
  let backend: Backend;
  let pack: IndexedPack;
  let path: string;
  let sound: Buffer;

  async function problemsOf(of: Backend): Promise<CheckProblem[]> {
    const problems: CheckProblem[] = [];
    await check(
      await openRepository(of),
      { readData: { kind: "all" } },
      { on: (event) => event.type === "problem" && problems.push(event.problem) },
    );
    return problems;
  }

  async function problemOfPack(bytes: Uint8Array): Promise<Extract<CheckProblem, { kind: "pack-data" }>> {
    await writeFile(path, bytes);
    try {
      const problems = await problemsOf(backend);
      const ofData = problems.filter((problem) => problem.kind === "pack-data");
      expect(ofData.map(({ packId }) => formatId(packId))).toEqual([formatId(pack.packId)]);
      return ofData[0]!;
    } finally {
      await writeFile(path, sound);
    }
  }

  beforeAll(async () => {
    const folder = join(await temporaryFolder(), "repository");
    backend = await LocalBackend.open(folder);
    const writer = await createRepository({ packSizeBytes: 64 * MIB }, backend);
    const lengths = [
      3,
      100,
      MIB,
      2 * MIB,
      8 * MIB,
      5,
      70_000,
      3 * MIB,
      3 * MIB,
      3 * MIB,
      8 * MIB,
      40,
      2 * MIB,
    ];
    for (const length of lengths) await writer.saveBlob("data", randomBytes(length));
    await writer.flush();
    [pack] = [...writer.index.packs()] as [IndexedPack];
    expect(pack.blobs).toHaveLength(lengths.length);
    await writer.close();
    const name = formatId(pack.packId);
    expect(await readdir(join(folder, "data", name.slice(0, 2)))).toEqual([name]);
    path = join(folder, "data", name.slice(0, 2), name);
    await chmod(path, 0o600);
    sound = await readFile(path);
  });

  it("finds nothing in one that is sound", async () => {
    expect(await problemsOf(backend)).toEqual([]);
  });

  it("names the blob in which a bit was flipped, wherever it lies", async () => {
    for (const i of [0, 4, 7, 10, 12]) {
      const blob = pack.blobs[i]!;
      const bytes = Buffer.from(sound);
      bytes[blob.offset + Math.floor(blob.length / 2)]! ^= 4;
      const { blobs, reasons } = await problemOfPack(bytes);
      expect(blobs.map(({ id }) => formatId(id))).toEqual([formatId(blob.id)]);
      expect(reasons).toHaveLength(1);
      expect(reasons[0]).toMatch(/^its SHA-256 is /);
    }
  });

  it("finds a flipped bit in the header and in its length", async () => {
    for (const fromEnd of [1, 4, 5, 100]) {
      const bytes = Buffer.from(sound);
      bytes[bytes.length - fromEnd]! ^= 1;
      const { blobs, reasons } = await problemOfPack(bytes);
      expect(blobs).toEqual([]);
      expect(reasons[0]).toMatch(/^its SHA-256 is /);
    }
  });

  it("finds what is missing at the end, and what does not belong there", async () => {
    const last = pack.blobs.at(-1)!;
    const longer = await problemOfPack(Buffer.concat([sound, Buffer.alloc(1)]));
    expect(longer.reasons[0]).toBe(`it has ${sound.length + 1} bytes instead of ${sound.length}`);
    const cut = await problemOfPack(sound.subarray(0, last.offset + 1));
    expect(cut.blobs.map(({ id, reason }) => [formatId(id), reason])).toEqual([
      [formatId(last.id), "the pack ends before it"],
    ]);
    const short = await problemOfPack(sound.subarray(0, 10));
    expect(short.blobs).toHaveLength(pack.blobs.length);
  });

  it("tells of a reading that failed once, and does not call it damage", async () => {
    let reads = 0;
    const unreliable = wrapBackend(backend, {
      place: (handle) => backend.place!(handle),
      load: async (handle, range) => {
        const bytes = await backend.load(handle, range);
        if (handle.type === "pack" && ++reads === 3) bytes[1000]! ^= 1;
        return bytes;
      },
    });
    const problems = await problemsOf(unreliable);
    expect(problems.map(({ kind }) => kind)).toEqual(["pack-unreadable"]);
    expect(problems[0]).toMatchObject({ error: { message: expect.stringMatching(/unreliable/) } });
  });

  it("asks once for each pack where a read is a request", async () => {
    expect(RestBackend.prototype).not.toHaveProperty("place");
    const ranges: unknown[] = [];
    const remote = wrapBackend(backend, {
      load: (handle, range) => {
        if (handle.type === "pack") ranges.push([range?.offset, range?.length]);
        return backend.load(handle, range);
      },
    });
    expect(await problemsOf(remote)).toEqual([]);
    expect(ranges).toEqual([[undefined, undefined]]);
  });
});
