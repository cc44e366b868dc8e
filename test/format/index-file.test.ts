import { describe, expect, it } from "vitest";
import { formatId, idFromBytes } from "../../src/bytes/id.js";
import { FormatError } from "../../src/errors.js";
import { decodeIndexFile, encodeIndexFile, type IndexedPack } from "../../src/format/index-file.js";
import type { PackedBlob } from "../../src/format/pack-header.js";
import { INDEX_RESTIC, INDEX_WITH_EXTRAS } from "../vectors/format-files.js";

function decode(json: string | Uint8Array, version: 1 | 2 = 2): IndexedPack[] {
  const packs: { packId: IndexedPack["packId"]; blobs: PackedBlob[] }[] = [];
  decodeIndexFile(
    Buffer.from(json as string),
    {
      pack: (id) => packs.push({ packId: idFromBytes(id.slice()), blobs: [] }),
      blob: (type, id, offset, length, uncompressedLength) =>
        packs.at(-1)!.blobs.push({ type, id: idFromBytes(id.slice()), offset, length, uncompressedLength }),
    },
    { version },
  );
  return packs;
}

const A = "a".repeat(64);
const B = "0123456789abcdef".repeat(4);

describe("decodeIndexFile", () => {
  it("reads restic's, and encodeIndexFile writes it back byte for byte", () => {
    const packs = decode(INDEX_RESTIC);
    expect(packs).toHaveLength(1);
    expect(formatId(packs[0]!.packId)).toBe(A);
    expect(packs[0]!.blobs.map((blob) => ({ ...blob, id: formatId(blob.id) }))).toEqual([
      { id: B, type: "data", offset: 0, length: 45, uncompressedLength: 13 },
      { id: A, type: "tree", offset: 45, length: 32, uncompressedLength: 0 },
    ]);
    expect(encodeIndexFile(packs).toString()).toBe(INDEX_RESTIC);
  });

  it("leaves out what others add, and does not mind another order", () => {
    const packs = decode(INDEX_WITH_EXTRAS);
    expect(packs.map(({ packId }) => formatId(packId))).toEqual([A]);
    expect(packs[0]!.blobs.map(({ type, id }) => [type, formatId(id)])).toEqual([["tree", B]]);
  });

  it("reads one without packs", () => {
    expect(decode('{"packs":[]}')).toEqual([]);
    expect(decode('{"packs":null}\n')).toEqual([]);
    expect(decode("{}")).toEqual([]);
    expect(decode(`{"packs":[{"id":"${A}","blobs":null}]}`)).toMatchObject([{ blobs: [] }]);
  });

  it("refuses compressed blobs in version 1", () => {
    expect(() => decode(INDEX_RESTIC, 1)).toThrow(/version 1/);
    expect(decode(INDEX_RESTIC.replace(',"uncompressed_length":13', ""), 1)).toHaveLength(1);
  });

  it("refuses the bare array of old restic by name", () => {
    expect(() => decode(`[{"id":"${A}","blobs":[]}]`)).toThrow(/format before restic 0.2/);
  });

  it.each([
    ["", "want an object at offset 0, have the end"],
    ["{", "want a name"],
    ['{"packs":{}}', 'want an array at offset 9, have "{}}"'],
    ['{"packs":[5]}', "want an object at offset 10"],
    ['{"packs":[{}]}', 'want an "id" in each pack'],
    ['{"packs":[{"id":"abc"}]}', "want an ID of 64 hex digits at offset 16"],
    [INDEX_RESTIC.replace('"data"', '"file"'), 'want "data" or "tree"'],
    [INDEX_RESTIC.replace('"data"', "1"), "want a string"],
    [INDEX_RESTIC.replace(":45,", ":-45,"), "want a whole number"],
    [INDEX_RESTIC.replace(":45,", ":4.5,"), "want a whole number"],
    [INDEX_RESTIC.replace(":45,", ":4294967296,"), "want a whole number from 0 to 4294967295"],
    [INDEX_RESTIC.replace(`"id":"${B}",`, ""), '"id", "type" and "length" in each blob'],
    [INDEX_RESTIC.replace('"type":"data",', ""), '"id", "type" and "length" in each blob'],
    [INDEX_RESTIC.replace('"length":45,', ""), '"id", "type" and "length" in each blob'],
    [`${INDEX_RESTIC}x`, "want the end"],
  ])("refuses %s", (json, reason) => {
    expect(() => decode(json)).toThrow(FormatError);
    expect(() => decode(json)).toThrow(reason);
  });

  it("refuses every truncation", () => {
    const whole = INDEX_RESTIC.trimEnd();
    for (let length = 0; length < whole.length; length++)
      expect(() => decode(whole.slice(0, length))).toThrow(FormatError);
  });
});
