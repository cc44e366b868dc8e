import { constants } from "node:buffer";
import { createHash, randomBytes, randomInt, scryptSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { formatId, idFromBytes } from "../../src/bytes/id.js";
import { INDEX_TREE_BIT } from "../../src/engine/engine.js";
import { NativeEngine } from "../../src/engine/native/native-engine.js";
import { poly1305Aes } from "../../src/engine/native/primitives.js";
import { FormatError } from "../../src/errors.js";
import { decodeIndexFile, encodeIndexFile } from "../../src/format/index-file.js";
import { isSafeName } from "../../src/format/name-quoting.js";
import type { PackedBlob } from "../../src/format/pack-header.js";
import { decodeTree } from "../../src/format/tree.js";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { engineSuite } from "../suites/engine-suite.js";
import { KEY, plaintextOf, sealElsewhere } from "../suites/engine-support.js";
import { itWhere } from "../support/where.js";
import { INDEX_RESTIC, INDEX_WITH_EXTRAS } from "../vectors/format-files.js";
import { incompressible, unframed } from "../vectors/zstd-frames.js";

const { MAX_LENGTH } = constants;
const addon = loadAddon();

if (addon) {
  const make = async () => new NativeEngine(addon);
  engineSuite("native", make, (key, nonce, data) => poly1305Aes(addon, key, nonce, data));
  it("derives keys as OpenSSL's scrypt does, whatever the parameters", async () => {
    const engine = await make();
    const edges = [
      [2, 1, 1, 1],
      [2, 1, 300, 64],
      [1024, 3, 7, 33],
      [4096, 1, 1, 200],
      [32768, 8, 2, 64],
    ] as const;
    const random = Array.from({ length: 150 }, () => {
      const N = 2 ** randomInt(1, 13);
      return [N, randomInt(1, 20), randomInt(1, 8), randomInt(1, 100)] as const;
    });
    for (const [N, r, p, length] of [...edges, ...random]) {
      const password = randomBytes(randomInt(0, 80));
      const salt = randomBytes(randomInt(0, 80));
      const derived = await engine.scrypt(password, salt, { N, r, p }, length);
      const expected = scryptSync(password, salt, length, { N, r, p, maxmem: 2 ** 28 });
      expect(Buffer.from(derived).equals(expected), `N=${N} r=${r} p=${p} length=${length}`).toBe(true);
    }
  });

  it("is not put off by a window of gigabytes that a frame claims to need", async () => {
    const engine = await make();
    const plaintext = incompressible(300_000);
    const id = engine.hash(plaintext);
    const frame = unframed(plaintext);
    frame[5] = (31 - 10) << 3;
    const sealed = sealElsewhere(KEY, randomBytes(16), frame);
    const [result] = await engine.unseal(KEY, [{ sealed, uncompressedLength: plaintext.length, id }]);
    expect(plaintextOf(result).equals(plaintext)).toBe(true);
  });

  itWhere(MAX_LENGTH === 2 ** 32)("refuses a frame that gives more than a Buffer can hold", async () => {
    const engine = await make();
    // Blocks of 128 KiB, each a byte that is repeated, and one more than fit.
    const blocks = MAX_LENGTH / 2 ** 17 + 1;
    const frame = Buffer.alloc(14 + 4 * blocks);
    frame.writeUInt32LE(0xfd2fb528);
    frame.writeUInt16LE(0x48c0, 4);
    frame.writeBigUInt64LE(BigInt(blocks * 2 ** 17), 6);
    for (let i = 0; i < blocks; i++)
      frame.writeUIntLE(((2 ** 17) << 3) | 0b10 | Number(i === blocks - 1), 14 + 4 * i, 3);
    await expect(engine.decompress(frame, 2 ** 40)).rejects.toThrow("it would give more than");
  });

  describe("parseIndex", () => {
    /** What the general decoder makes of a file; `undefined` where it refuses it. */
    const decoded = (json: Buffer): string[] | undefined => {
      const found: string[] = [];
      try {
        decodeIndexFile(json, {
          pack: (id) => found.push(formatId(id)),
          blob: (type, id, ...numbers) => found.push(`${type} ${formatId(id)} ${numbers.join(" ")}`),
        });
      } catch (error) {
        if (error instanceof FormatError) return undefined;
        throw error;
      }
      return found;
    };
    const parsed = async (json: Buffer): Promise<string[] | undefined> => {
      const columns = await (await make()).parseIndex(json);
      if (!columns) return undefined;
      const { packIds, ids, offsets, lengths, uncompressed, packs } = columns;
      const hex = Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength).toString("hex");
      const found: string[] = [];
      let blob = 0;
      for (let pack = 0; pack < packIds.length / 32; pack++) {
        found.push(formatId(packIds.subarray(32 * pack, 32 * pack + 32)));
        for (; blob < packs.length && (packs[blob]! & 0x7fff_ffff) === pack; blob++) {
          const type = packs[blob]! >= INDEX_TREE_BIT ? "tree" : "data";
          const id = hex.slice(64 * blob, 64 * blob + 64);
          found.push(`${type} ${id} ${offsets[blob]} ${lengths[blob]} ${uncompressed[blob]}`);
        }
      }
      expect(blob).toBe(packs.length);
      return found;
    };
    const someId = () => idFromBytes(randomBytes(32));
    const someBlob = (): PackedBlob => ({
      type: randomInt(2) === 0 ? "data" : "tree",
      id: someId(),
      offset: randomInt(2 ** 32),
      length: randomInt(2 ** 32),
      uncompressedLength: randomInt(2) === 0 ? 0 : randomInt(2 ** 32),
    });
    const someFile = (packs: number, blobs: number) =>
      encodeIndexFile(
        Array.from({ length: packs }, () => ({
          packId: someId(),
          blobs: Array.from({ length: randomInt(blobs + 1) }, someBlob),
        })),
      );

    it("finds what the general decoder finds", async () => {
      for (const json of [someFile(0, 0), someFile(1, 0), someFile(1, 1), someFile(40, 300)]) {
        expect(await parsed(json)).toEqual(decoded(json));
        expect(await parsed(json)).toBeDefined();
      }
      expect(await parsed(Buffer.from(INDEX_RESTIC))).toEqual(decoded(Buffer.from(INDEX_RESTIC)));
    });

    it("leaves every other form to it", async () => {
      expect(await parsed(Buffer.from(INDEX_WITH_EXTRAS))).toBeUndefined();
      const json = someFile(1, 0).toString().trimEnd();
      for (const other of [` ${json}`, `${json} `, `${json}\n\n`, json.replace(":", ": "), "{}", "", "[]"])
        expect(await parsed(Buffer.from(other)), other).toBeUndefined();
    });

    it("takes no file for whole that is cut off, and no number that is none", async () => {
      const json = Buffer.from(INDEX_RESTIC.trimEnd());
      for (let length = 0; length < json.length; length++)
        expect(await parsed(Buffer.from(json.subarray(0, length))), `${length}`).toBeUndefined();
      for (const number of ["4294967296", "99999999999", "00", "-1", "1.5", "1e3", ""]) {
        const wrong = INDEX_RESTIC.replace('"offset":45', `"offset":${number}`);
        expect(await parsed(Buffer.from(wrong)), number).toBeUndefined();
      }
    });

    it("never finds anything else in a file whose bytes were changed", async () => {
      const json = someFile(3, 3);
      for (let round = 0; round < 2000; round++) {
        const changed = Buffer.from(json);
        for (let i = randomInt(3); i >= 0; i--) {
          const at = randomInt(changed.length);
          changed[at] = randomInt(2) === 0 ? randomInt(256) : changed[randomInt(changed.length)]!;
        }
        const found = await parsed(changed);
        if (found) expect(found).toEqual(decoded(changed));
      }
    });
  });

  describe("parseTree", () => {
    const someId = () => randomBytes(32).toString("hex");
    const someNode = (name: string): string => {
      const times = `"mtime":"2024-01-02T03:04:05.6Z","atime":"2024-01-02T03:04:05Z","ctime":"2024-01-02T03:04:05Z"`;
      const common = `"name":"${name}","mode":420,${times},"uid":0,"gid":0,"inode":7,"device_id":1`;
      switch (randomInt(4)) {
        case 0:
          return `{${common},"type":"dir","content":null,"subtree":"${someId()}"}`;
        case 1:
          return `{${common},"type":"symlink","linktarget":"${someId()}","content":null}`;
        default: {
          const content = Array.from({ length: randomInt(4) }, () => `"${someId()}"`);
          return `{${common},"type":"file","size":1,"content":[${content.join(",")}]}`;
        }
      }
    };
    const treeOf = (...nodes: string[]) => Buffer.from(`{"nodes":[${nodes.join(",")}]}\n`);
    const someTree = () =>
      treeOf(...Array.from({ length: randomInt(8) }, (_, i) => someNode(`${i}${"ü".repeat(randomInt(3))}`)));
    const parsed = async (json: Uint8Array): Promise<string[][] | undefined> => {
      const found = (await make()).parseTree(json);
      return found && [[...found.subtrees].map(formatId), [...found.contents].map(formatId)];
    };
    /** What the general decoder finds; `undefined` where it refuses, or where a check would have something to say. */
    const decoded = (json: Uint8Array): string[][] | undefined => {
      const [subtrees, contents]: [string[], string[]] = [[], []];
      try {
        for (const { name, type, subtree, content } of decodeTree(json)) {
          if (!isSafeName(name) || type === "irregular") return undefined;
          if ((type === "dir" && !subtree) || (type === "file" && !content)) return undefined;
          if (type === "dir") subtrees.push(formatId(subtree!));
          if (type === "file") contents.push(...[...content!].map(formatId));
        }
      } catch (error) {
        if (error instanceof FormatError) return undefined;
        throw error;
      }
      const hasNull = [...subtrees, ...contents].includes("0".repeat(64));
      return hasNull ? undefined : [subtrees, contents];
    };

    it("finds what the general decoder finds", async () => {
      for (let round = 0; round < 300; round++) {
        const json = someTree();
        expect(await parsed(json)).toEqual(decoded(json));
      }
    });

    it.each([
      ["a file without its blobs", `{"name":"a","type":"file"}`],
      ["a file whose blobs are null", `{"name":"a","type":"file","content":null}`],
      ["a directory without its tree", `{"name":"a","type":"dir","content":null}`],
      ["a directory whose tree is null", `{"name":"a","type":"dir","subtree":null}`],
      ["a blob of zeros", `{"name":"a","type":"file","content":["${"12".repeat(32)}","${"00".repeat(32)}"]}`],
      ["a tree of zeros", `{"name":"a","type":"dir","subtree":"${"00".repeat(32)}"}`],
      ["a name that leads elsewhere", `{"name":"..","type":"file","content":[]}`],
      ["a type that nobody knows", `{"name":"a","type":"irregular"}`],
      ["an ID that is none", `{"name":"a","type":"file","content":["12"]}`],
    ])("leaves to it %s", async (_, node) => {
      expect(await parsed(treeOf(node))).toBeUndefined();
      expect(await parsed(treeOf(someNode("0"), node, someNode("z")))).toBeUndefined();
    });

    it("never finds anything else in a tree whose bytes were changed or cut off", async () => {
      for (let round = 0; round < 3000; round++) {
        const json = someTree();
        const changed = round % 3 === 0 ? json.subarray(0, randomInt(json.length)) : Buffer.from(json);
        for (let i = randomInt(3); i >= 0 && changed.length > 0; i--)
          changed[randomInt(changed.length)] =
            randomInt(2) === 0 ? randomInt(256) : json[randomInt(json.length)]!;
        const found = await parsed(changed);
        if (found) expect(found).toEqual(decoded(changed));
      }
    });
  });

  describe("the hash of a pack", () => {
    const key = addon.createMasterKey(Buffer.alloc(32, 1), Buffer.alloc(16, 2), Buffer.alloc(16, 3));
    const busy = expect.objectContaining({ code: "ERR_BUSY" });
    const nothing = [new Uint32Array(0), Buffer.alloc(0), Buffer.alloc(0)] as const;

    it("takes one piece at a time, and is finished once", async () => {
      const hash = addon.createPackHash();
      const pieces = [Buffer.alloc(3_000_000, "a"), Buffer.from("b")] as const;
      const first = addon.verifyPiece(key, hash, pieces[0], ...nothing);
      expect(() => addon.verifyPiece(key, hash, pieces[1], ...nothing)).toThrow(busy);
      expect(() => addon.finishPackHash(hash)).toThrow(busy);
      await first;
      await addon.verifyPiece(key, hash, pieces[1], ...nothing);
      const expected = createHash("sha256").update(pieces[0]).update(pieces[1]).digest("hex");
      expect(addon.finishPackHash(hash).toString("hex")).toBe(expected);
      expect(() => addon.finishPackHash(hash)).toThrow(busy);
      expect(() => addon.verifyPiece(key, hash, pieces[1], ...nothing)).toThrow(busy);
    });
  });

  describe("with its own Poly1305 instead of OpenSSL's", () => {
    engineSuite("native", make, (key, nonce, data) => poly1305Aes(addon, key, nonce, data, true));
  });
} else {
  describe.skip(`native engine (${addonProblem()})`, () => it("is built", () => {}));
}
