import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { FileInfo } from "../../src/backend/backend.js";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId, type Id, parseId } from "../../src/bytes/id.js";
import { YoreError } from "../../src/errors.js";
import { Repository } from "../../src/repository/repository.js";
import { sealFile } from "../../src/repository/repository-files.js";
import { loadSnapshot } from "../../src/repository/snapshots.js";
import {
  collect,
  createRepository,
  openRepository,
  PASSWORD,
  saveSmallBackup,
  testEngine,
  wrapBackend,
} from "./support.js";

const MIB = 1024 * 1024;

describe("Repository.create", () => {
  it("makes a repository that opens with its password only", async () => {
    const backend = new MemoryBackend();
    const made = await createRepository({}, backend);
    const opened = await openRepository(backend);
    expect(opened.config).toEqual(made.config);
    expect(formatId(opened.keyId)).toBe(formatId(made.keyId));
    const wrong = Repository.open(backend, made.engine, { password: "falsch" });
    await expect(wrong).rejects.toMatchObject({ code: "wrong-password" });
  });

  it("takes version and polynomial", async () => {
    const repository = await createRepository({ version: 1, chunkerPolynomial: 0x3da3358b4dc173n });
    expect(repository.config).toMatchObject({ version: 1, chunkerPolynomial: 0x3da3358b4dc173n });
  });

  it("refuses a polynomial that is not irreducible before it writes anything", async () => {
    const backend = new MemoryBackend();
    await expect(createRepository({ chunkerPolynomial: (1n << 53n) | 2n }, backend)).rejects.toThrow(
      YoreError,
    );
    expect(await collect(backend.list("key"))).toEqual([]);
  });

  it.each(["config", "key", "snapshot"] as const)("refuses a place that holds a %s", async (type) => {
    const backend = new MemoryBackend();
    const name = type === "config" ? "" : "a".repeat(64);
    await backend.save({ type, name }, [Buffer.from("x")]);
    await expect(createRepository({}, backend)).rejects.toMatchObject({ code: "usage" });
  });

  it("refuses an empty password unless it is allowed", async () => {
    await expect(createRepository({ password: "" })).rejects.toMatchObject({ code: "usage" });
    await createRepository({ password: "", allowEmptyPassword: true });
  });

  it("saves the config last", async () => {
    const saved: string[] = [];
    const inner = new MemoryBackend();
    const backend = wrapBackend(inner, {
      save: (handle, pieces) => {
        saved.push(handle.type);
        return inner.save(handle, pieces);
      },
    });
    await createRepository({}, backend);
    expect(saved).toEqual(["key", "config"]);
  });
});

describe("Repository.open", () => {
  it("says that there is no repository, and how to make one", async () => {
    const failure = Repository.open(new MemoryBackend({ location: "/nowhere" }), await testEngine(), {
      password: PASSWORD,
    });
    await expect(failure).rejects.toMatchObject({
      code: "no-repository",
      message: expect.stringContaining("/nowhere"),
      hint: expect.stringContaining("yore init"),
    });
  });

  it("asks for each file once, and for the config while the key is still looked for", async () => {
    const inner = new MemoryBackend();
    await createRepository({}, inner);
    const asked: string[] = [];
    const backend = wrapBackend(inner, {
      stat: (handle) => {
        asked.push(`stat ${handle.type}`);
        return inner.stat(handle);
      },
      load: (handle, range) => {
        asked.push(`load ${handle.type}`);
        return inner.load(handle, range);
      },
    });
    await openRepository(backend);
    expect(asked).toEqual(["load config", "load key"]);
  });

  it("says that an empty config is damaged", async () => {
    const backend = new MemoryBackend();
    await backend.save({ type: "config", name: "" }, []);
    await expect(openRepository(backend)).rejects.toMatchObject({ code: "damaged" });
  });

  it("passes over key files that cannot be read, and names them when none fits", async () => {
    const backend = new MemoryBackend();
    await createRepository({}, backend);
    const junk = Buffer.from("{");
    const name = formatId((await testEngine()).hash(junk));
    await backend.save({ type: "key", name }, [junk]);
    await backend.save({ type: "key", name: "0".repeat(64) }, []);
    await openRepository(backend);
    const wrong = Repository.open(backend, await testEngine(), { password: "falsch" });
    await expect(wrong).rejects.toThrow(
      new RegExp(
        `key ${name.slice(0, 8)} was skipped .*key 00000000 was skipped|key 00000000 was skipped .*key ${name.slice(0, 8)} was skipped`,
      ),
    );
  });

  it("opens with any of several keys, the hinted one first", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({}, backend);
    const second = await repository.addKey("zweites", { username: "somebody", hostname: "elsewhere" });
    const { engine } = repository;
    const loaded: string[] = [];
    const watched = wrapBackend(backend, {
      load: (handle, range) => {
        if (handle.type === "key") loaded.push(handle.name);
        return backend.load(handle, range);
      },
    });
    const keyHint = formatId(second).slice(0, 10);
    const opened = await Repository.open(watched, engine, { password: "zweites", keyHint });
    expect(formatId(opened.keyId)).toBe(formatId(second));
    expect(loaded).toEqual([formatId(second)]);
    const keys = await collect(opened.listKeys());
    expect(keys.map(({ key }) => key?.username)).toContain("somebody");
  });

  it("tries no more than 20 keys", async () => {
    const backend = new MemoryBackend();
    await createRepository({}, backend);
    for (let i = 0; i < 25; i++)
      await backend.save({ type: "key", name: formatId(randomBytes(32)) }, [Buffer.from("{}")]);
    const failure = Repository.open(backend, await testEngine(), { password: "falsch" });
    await expect(failure).rejects.toThrow(/20 of 26 keys were tried/);
  });

  it("names the config when it is damaged", async () => {
    const backend = new MemoryBackend();
    await createRepository({}, backend);
    const config = Buffer.from(await backend.load({ type: "config", name: "" }));
    config[40]! ^= 1;
    await backend.save({ type: "config", name: "" }, [config]);
    await expect(openRepository(backend)).rejects.toMatchObject({
      code: "damaged",
      message: expect.stringContaining("config"),
    });
  });
});

describe.each([1, 2] as const)("Repository of version %i", (version) => {
  it("gives back every blob after flush, to itself and to others", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({ version, packSizeBytes: 4 * MIB }, backend);
    const sizes = [0, 1, 31, 32, 1000, 65_535, 65_536, 500_000, 3 * MIB, 5 * MIB, 8 * MIB];
    const { contents, snapshot, tree } = await saveSmallBackup(repository, [
      ...sizes,
      ...Array.from({ length: 300 }, (_, i) => i * 37),
    ]);
    for (const reader of [repository, await openRepository(backend)]) {
      expect(reader.indexProblems).toEqual([]);
      for (const [hex, content] of contents) {
        const id = parseId(hex)!;
        expect(Buffer.compare(await reader.loadBlob("data", id), content)).toBe(0);
        expect(reader.blobSize("data", id)).toBe(content.length);
      }
      expect(formatId((await loadSnapshot(reader, snapshot)).tree)).toBe(formatId(tree));
    }
  });

  it("compresses as the version says", async () => {
    const repository = await createRepository({ version });
    const text = Buffer.alloc(100_000, "abc");
    const { packedLength } = await repository.saveBlob("data", text);
    if (version === 1) expect(packedLength).toBe(text.length + 32);
    else expect(packedLength).toBeLessThan(1000);
  });

  it("keeps trees and data in packs of their own, of about the target size", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({ version, packSizeBytes: 4 * MIB }, backend);
    await saveSmallBackup(
      repository,
      Array.from({ length: 60 }, () => 700_000),
    );
    const packs = await collect(backend.list("pack"));
    for (const { name, size } of packs) {
      const blobs = await repository.readPackHeader(parseId(name)!, size);
      expect(new Set(blobs.map(({ type }) => type)).size).toBe(1);
      expect(size).toBeLessThan(5 * MIB);
    }
    expect(packs.length).toBeLessThan(15);
  });

  it("readPackHeader agrees with the index, for short and for long headers", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({ version }, backend);
    await saveSmallBackup(repository, [100]);
    await saveSmallBackup(
      repository,
      Array.from({ length: 400 }, () => 500),
    );
    const sizes = new Map((await collect(backend.list("pack"))).map(({ name, size }) => [name, size]));
    for (const { packId, blobs } of repository.index.packs())
      expect(await repository.readPackHeader(packId, sizes.get(formatId(packId))!)).toEqual(blobs);
  });
});

describe("Repository.saveBlob", () => {
  it("stores a blob once, whether the others come before, meanwhile or after", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({}, backend);
    const blob = randomBytes(100_000);
    const results = await Promise.all([1, 2, 3, 4].map(() => repository.saveBlob("data", blob)));
    expect(results.map(({ known }) => known).sort()).toEqual([false, true, true, true]);
    expect(results.filter(({ known }) => known).every(({ packedLength }) => packedLength === 0)).toBe(true);
    expect((await repository.saveBlob("data", blob)).known).toBe(true);
    await repository.flush();
    expect((await repository.saveBlob("data", blob)).known).toBe(true);
    expect((await repository.saveBlob("tree", blob)).known).toBe(false);
    await repository.flush();
    expect(repository.index.size).toBe(2);
    const other = await openRepository(backend);
    expect((await other.saveBlob("data", blob)).known).toBe(true);
  });

  it("with compression off stores data as it is and trees compressed", async () => {
    const repository = await createRepository({ compression: "off" });
    const text = Buffer.alloc(50_000, "x");
    expect((await repository.saveBlob("data", text)).packedLength).toBe(50_032);
    expect((await repository.saveBlob("tree", text)).packedLength).toBeLessThan(1000);
  });

  it("waits while packs pile up, so that memory is bounded", async () => {
    const inner = new MemoryBackend({ connections: 1 });
    let handedIn = 0;
    let saved = 0;
    let mostHeld = 0;
    const backend = wrapBackend(inner, {
      save: async (handle, pieces) => {
        await new Promise((resolve) => setTimeout(resolve, 30));
        for (const piece of pieces) if (handle.type === "pack") saved += piece.length;
        return inner.save(handle, pieces);
      },
    });
    const repository = await createRepository({ packSizeBytes: 4 * MIB }, backend);
    const feed = async () => {
      for (let i = 0; i < 10; i++) {
        await repository.saveBlob("data", randomBytes(MIB));
        handedIn += MIB;
        mostHeld = Math.max(mostHeld, handedIn - saved);
      }
    };
    await Promise.all([feed(), feed(), feed(), feed()]);
    await repository.flush();
    expect(repository.index.size).toBe(40);
    // Two open packs, one being uploaded, one that waits, and what four feeders have in hand.
    expect(mostHeld).toBeLessThanOrEqual(4 * 5 * MIB + 4 * MIB);
  });
});

describe("Repository.flush", () => {
  it("saves the index of finished packs also when a later one cannot be saved, and can go on afterwards", async () => {
    const inner = new MemoryBackend({ connections: 1 });
    let full = false;
    const backend = wrapBackend(inner, {
      save: async (handle, pieces) => {
        if (full && handle.type === "pack") throw new YoreError("no-space", "Cannot save: disk full");
        return inner.save(handle, pieces);
      },
    });
    const repository = await createRepository({ packSizeBytes: 4 * MIB }, backend);
    const first = await repository.saveBlob("data", randomBytes(5 * MIB));
    await expect.poll(async () => (await collect(inner.list("pack"))).length).toBe(1);
    full = true;
    const second = randomBytes(5 * MIB);
    await repository.saveBlob("data", second);
    await expect(repository.flush()).rejects.toMatchObject({ code: "no-space" });
    const other = await openRepository(inner);
    expect(other.index.has("data", first.id)).toBe(true);
    expect(other.index.size).toBe(1);
    full = false;
    expect((await repository.saveBlob("data", second)).known).toBe(false);
    await repository.flush();
    expect((await openRepository(inner)).index.size).toBe(2);
  });

  it("keeps packs whose index could not be saved for the next time", async () => {
    const inner = new MemoryBackend();
    let full = true;
    const backend = wrapBackend(inner, {
      save: async (handle, pieces) => {
        if (full && handle.type === "index") throw new YoreError("no-space", "Cannot save: disk full");
        return inner.save(handle, pieces);
      },
    });
    const repository = await createRepository({}, backend);
    await repository.saveBlob("data", randomBytes(100));
    await expect(repository.flush()).rejects.toMatchObject({ code: "no-space" });
    full = false;
    await repository.flush();
    expect((await openRepository(inner)).index.size).toBe(1);
  });

  it("without anything saved writes nothing", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({}, backend);
    await repository.flush();
    expect(await collect(backend.list("index"))).toEqual([]);
  });
});

describe("Repository.loadIndex", () => {
  it("while the same repository saves drops nothing of what it saves", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({}, backend);
    const ids: Id[] = [];
    for (let i = 0; i < 20; i++) {
      ids.push((await repository.saveBlob("data", randomBytes(50))).id);
      await Promise.all([repository.flush(), repository.loadIndex(), repository.loadIndex()]);
    }
    await repository.loadIndex();
    expect(ids.every((id) => repository.index.has("data", id))).toBe(true);
    expect(repository.index.size).toBe(20);
    for (const id of repository.indexIds) await repository.removeFile("index", id);
    await repository.loadIndex();
    expect(repository.index.size).toBe(0);
  });

  it("takes in what is new and drops what is gone", async () => {
    const backend = new MemoryBackend();
    const writer = await createRepository({}, backend);
    const a = await writer.saveBlob("data", randomBytes(100));
    await writer.flush();
    const reader = await openRepository(backend);
    const b = await writer.saveBlob("data", randomBytes(100));
    await writer.flush();
    expect(reader.index.has("data", b.id)).toBe(false);
    const progress = { totalFiles: 0, loadedFiles: 0 };
    await reader.loadIndex({ progress });
    expect(progress).toEqual({ totalFiles: 2, loadedFiles: 2 });
    expect(reader.index.has("data", b.id)).toBe(true);
    const [first] = writer.indexIds;
    await writer.removeFile("index", first!);
    await reader.loadIndex();
    expect(reader.index.has("data", a.id)).toBe(false);
    expect(reader.index.has("data", b.id)).toBe(true);
  });

  it("loads the others when an index file is damaged, and tells which one is", async () => {
    const backend = new MemoryBackend();
    const writer = await createRepository({}, backend);
    const ids: Id[] = [];
    for (let i = 0; i < 3; i++) {
      ids.push((await writer.saveBlob("data", randomBytes(100))).id);
      await writer.flush();
    }
    const [damaged] = await collect(backend.list("index"));
    const handle = { type: "index", name: damaged!.name } as const;
    const bytes = Buffer.from(await backend.load(handle));
    bytes[30]! ^= 4;
    await backend.save(handle, [bytes]);
    const reader = await openRepository(backend);
    expect(reader.index.size).toBe(2);
    expect(reader.indexProblems.length).toBe(1);
    expect(formatId(reader.indexProblems[0]!.id)).toBe(damaged!.name);
    expect(reader.indexProblems[0]!.error).toMatchObject({
      code: "damaged",
      message: expect.stringContaining(damaged!.name.slice(0, 8)),
    });
  });
});

describe("Repository with files of rustic", () => {
  it("opens with settings, index fields and key fields that restic does not know, and keeps the settings", async () => {
    const backend = new MemoryBackend();
    const made = await createRepository({}, backend);
    const { contents } = await saveSmallBackup(made, [100, 200]);
    const { engine, masterKey } = made;

    const config = Buffer.from(
      JSON.stringify({
        version: 2,
        id: made.config.id,
        chunker_polynomial: made.config.chunkerPolynomial.toString(16),
        compression: 5,
        treepack_size: 1000,
        extra_verify: false,
      }),
    );
    await backend.save({ type: "config", name: "" }, [await sealFile(engine, masterKey, config, true)]);

    const [{ name: keyName }] = (await collect(backend.list("key"))) as [FileInfo];
    const key = JSON.parse(Buffer.from(await backend.load({ type: "key", name: keyName })).toString());
    const { hostname: _h, username: _u, created: _c, ...bare } = key as Record<string, unknown>;
    const bareKey = Buffer.from(JSON.stringify(bare));
    await backend.save({ type: "key", name: formatId(engine.hash(bareKey)) }, [bareKey]);
    await backend.remove({ type: "key", name: keyName });

    const [index] = made.indexIds;
    const json = JSON.parse(Buffer.from(await made.loadFile("index", index!)).toString());
    for (const pack of json.packs) Object.assign(pack, { time: "2024-01-01T00:00:00Z", size: 12345 });
    json.packs_to_delete = [{ id: "f".repeat(64), blobs: [], time: "2024-01-01T00:00:00.070Z" }];
    json.supersedes = ["e".repeat(64)];
    await made.saveFile("index", Buffer.from(JSON.stringify(json)));
    await made.removeFile("index", index!);

    const opened = await openRepository(backend);
    expect(opened.config.unknown).toEqual({ compression: 5, treepack_size: 1000, extra_verify: false });
    expect(opened.indexProblems).toEqual([]);
    for (const [hex, content] of contents)
      expect(Buffer.compare(await opened.loadBlob("data", parseId(hex)!), content)).toBe(0);
    expect(opened.index.hasPack(Buffer.alloc(32, 0xff))).toBe(false);
  });
});

describe("Repository.open without a readable key", () => {
  it("names the key file when its only one has a flipped bit", async () => {
    const backend = new MemoryBackend();
    await createRepository({}, backend);
    const [{ name }] = (await collect(backend.list("key"))) as [FileInfo];
    const bytes = Buffer.from(await backend.load({ type: "key", name }));
    bytes[bytes.length - 20]! ^= 1;
    await backend.save({ type: "key", name }, [bytes]);
    await expect(openRepository(backend)).rejects.toMatchObject({
      code: "damaged",
      message: expect.stringContaining(`key ${name.slice(0, 8)}`),
    });
  });

  it("does not say that the password is wrong when no key could be compared", async () => {
    const inner = new MemoryBackend();
    await createRepository({}, inner);
    const broken = wrapBackend(inner, {
      load: (handle, range) =>
        handle.type === "key"
          ? Promise.reject(new YoreError("backend", "Cannot load: permission denied"))
          : inner.load(handle, range),
    });
    await expect(openRepository(broken)).rejects.toMatchObject({
      code: "backend",
      message: expect.stringContaining("permission denied"),
    });
  });
});
