import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { FileInfo } from "../../src/backend/backend.js";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId, parseId } from "../../src/bytes/id.js";
import { YoreError } from "../../src/errors.js";
import { Repository } from "../../src/repository/repository.js";
import { sealFile } from "../../src/repository/repository-files.js";
import {
  collect,
  createRepository,
  openRepository,
  PASSWORD,
  saveSmallBackup,
  testEngine,
  wrapBackend,
} from "./support.js";

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

  it("reads the config once more when it came damaged: the way may have spoilt it", async () => {
    const backend = new MemoryBackend();
    const { config } = await createRepository({}, backend);
    let loads = 0;
    const spoiling = wrapBackend(backend, {
      load: async (handle, range) => {
        const bytes = Buffer.from(await backend.load(handle, range));
        if (handle.type === "config" && loads++ === 0) bytes[40]! ^= 1;
        return bytes;
      },
    });
    expect((await openRepository(spoiling)).config).toEqual(config);
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
    expect(opened.index.packNumber(Buffer.alloc(32, 0xff))).toBeUndefined();
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
