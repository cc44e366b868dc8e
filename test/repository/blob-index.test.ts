import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { formatId, type Id, IdList } from "../../src/bytes/id.js";
import { INDEX_TREE_BIT, type IndexColumns } from "../../src/engine/engine.js";
import type { PackedBlob } from "../../src/format/pack-header.js";
import { BlobIndex } from "../../src/repository/blob-index.js";

function id(text: string): Id {
  return new Uint8Array(createHash("sha256").update(text).digest()) as Id;
}

function blobs(pack: string, count: number): PackedBlob[] {
  return Array.from({ length: count }, (_, i) => ({
    type: i % 3 === 0 ? "tree" : "data",
    id: id(`${pack} ${i}`),
    offset: i * 100,
    length: 100,
    uncompressedLength: i % 2 === 0 ? 0 : 1000 + i,
  }));
}

describe("BlobIndex", () => {
  it("finds what was added, and nothing else", () => {
    const index = new BlobIndex();
    const packs = Array.from({ length: 60 }, (_, p) => ({
      packId: id(`pack ${p}`),
      blobs: blobs(`${p}`, 500),
    }));
    for (const { packId, blobs } of packs) index.add(packId, blobs);
    expect(index.size).toBe(30_000);
    expect(index.packCount).toBe(60);
    for (const { packId, blobs } of packs)
      for (const { type, id, offset, length, uncompressedLength } of blobs) {
        expect(index.lookup(type, id)).toEqual({ packId, offset, length, uncompressedLength });
        expect(index.has(type === "tree" ? "data" : "tree", id)).toBe(false);
      }
    for (let i = 0; i < 1000; i++) expect(index.has("data", id(`unknown ${i}`))).toBe(false);
  });

  it("tells whether it has all blobs of a list", () => {
    const index = new BlobIndex();
    const listed = blobs("list", 500);
    index.add(id("pack"), listed);
    for (const type of ["data", "tree"] as const) {
      const known = listed.filter((blob) => blob.type === type).map((blob) => blob.id);
      const other = type === "data" ? "tree" : "data";
      expect(index.hasAll(type, IdList.from(known))).toBe(true);
      expect(index.hasAll(other, IdList.from(known))).toBe(false);
      expect(index.hasAll(type, IdList.from([...known, id("unknown")]))).toBe(false);
      expect(index.hasAll(type, IdList.from([known[0]!, id("unknown"), known[1]!]))).toBe(false);
      expect(index.hasAll(type, IdList.EMPTY)).toBe(true);
    }
  });

  describe("addColumns", () => {
    type Pack = { readonly packId: Id; readonly blobs: readonly PackedBlob[] };

    function columnsOf(packs: readonly Pack[]): IndexColumns {
      const all = packs.flatMap(({ blobs }, pack) => blobs.map((blob) => ({ ...blob, pack })));
      return {
        packIds: Buffer.concat(packs.map(({ packId }) => packId)),
        ids: new Int32Array(Uint8Array.from(Buffer.concat(all.map((blob) => blob.id))).buffer),
        offsets: Uint32Array.from(all, (blob) => blob.offset),
        lengths: Uint32Array.from(all, (blob) => blob.length),
        uncompressed: Uint32Array.from(all, (blob) => blob.uncompressedLength),
        packs: Uint32Array.from(all, ({ pack, type }) => pack + (type === "tree" ? INDEX_TREE_BIT : 0)),
      };
    }

    const pack = (name: string, count: number): Pack => ({ packId: id(name), blobs: blobs(name, count) });

    const twice = ({ packId, blobs }: Pack): Pack => ({ packId, blobs: [...blobs, ...blobs] });
    const reversed = ({ packId, blobs }: Pack): Pack => ({ packId, blobs: blobs.toReversed() });

    it.each([
      [
        "new packs, over several segments",
        [[pack("a", 9000), pack("b", 3), pack("c", 9000)], [pack("d", 5000)]],
      ],
      ["packs without blobs", [[pack("a", 0)], [pack("b", 2), pack("c", 0)]]],
      ["nothing", [[]]],
      ["a pack that an earlier file lists", [[pack("a", 30)], [pack("b", 20), pack("a", 40)]]],
      ["a pack that lists its blobs twice", [[pack("b", 5), twice(pack("a", 30)), pack("c", 5)]]],
      [
        "a pack that lists its blobs twice, and again in another file",
        [[twice(pack("a", 30))], [pack("a", 30)]],
      ],
      ["a pack that lists its blobs backwards", [[reversed(pack("a", 30)), pack("b", 5)]]],
      ["a pack that stands twice in a file", [[pack("a", 30), pack("b", 10), pack("a", 40)]]],
    ] as const)("takes in %s as add does", (_, files) => {
      const byColumns = new BlobIndex();
      const plain = new BlobIndex();
      for (const packs of files) {
        const numbers = packs.map(({ packId, blobs }) => plain.add(packId, blobs));
        expect([...byColumns.addColumns(columnsOf(packs))]).toEqual(numbers);
      }
      expect([...byColumns.entries()]).toEqual([...plain.entries()]);
      expect(byColumns.size).toBe(plain.size);
      expect(byColumns.packCount).toBe(plain.packCount);
      for (const { type, id } of plain.entries())
        expect(byColumns.lookupAll(type, id)).toEqual(plain.lookupAll(type, id));
    });

    it("drops what is released, and takes it in again", () => {
      const index = new BlobIndex();
      const columns = columnsOf([pack("a", 30), pack("b", 20)]);
      index.release(index.addColumns(columns));
      expect(index.size).toBe(0);
      expect(index.has("tree", id("a 0"))).toBe(false);
      index.addColumns(columns);
      expect(index.size).toBe(50);
      expect(index.lookupAll("tree", id("a 0"))).toHaveLength(1);
    });
  });

  it("holds the largest offsets and lengths", () => {
    const index = new BlobIndex();
    const big = { offset: 0xffff_ffff, length: 0xffff_fffe, uncompressedLength: 0xffff_fffd };
    index.add(id("pack"), [{ type: "tree", id: id("blob"), ...big }]);
    expect(index.lookup("tree", id("blob"))).toEqual({ packId: id("pack"), ...big });
  });

  it("keeps every copy of a blob, in the order in which they were added", () => {
    const index = new BlobIndex();
    const blob = blobs("x", 1)[0]!;
    for (const pack of ["first", "second", "third"]) index.add(id(pack), [blob]);
    index.add(id("second"), [blob]);
    expect(index.lookupAll("tree", blob.id).map(({ packId }) => formatId(packId))).toEqual(
      ["first", "second", "third"].map((pack) => formatId(id(pack))),
    );
    expect(index.size).toBe(3);
  });

  it("knows each blob once that one list of a pack repeats", () => {
    const index = new BlobIndex();
    const [a, b, c] = blobs("x", 3) as [PackedBlob, PackedBlob, PackedBlob];
    index.add(id("pack"), [a, c, a, b, c, b, b]);
    expect(index.size).toBe(3);
    for (const blob of [a, b, c]) expect(index.lookupAll(blob.type, blob.id)).toHaveLength(1);
    expect([...index.packs()].flatMap(({ blobs }) => blobs)).toEqual([a, b, c]);
  });

  it("does not keep what the caller goes on using", () => {
    const index = new BlobIndex();
    const view = Uint8Array.from(id("pack")) as Id;
    const blob = blobs("x", 1)[0]!;
    index.add(view, [blob]);
    view.fill(0);
    expect(index.lookup("tree", blob.id)?.packId).toEqual(id("pack"));
  });

  it("release drops the entries of packs that no index file lists any more", () => {
    const index = new BlobIndex();
    const shared = index.add(id("shared"), blobs("shared", 10));
    index.add(id("shared"), blobs("shared", 10));
    const alone = index.add(id("alone"), blobs("alone", 10));
    index.release([shared, alone]);
    expect(index.size).toBe(10);
    expect(index.packCount).toBe(1);
    expect(index.has("data", id("shared 1"))).toBe(true);
    expect(index.has("data", id("alone 1"))).toBe(false);
    expect(index.packNumber(id("alone"))).toBeUndefined();
    index.add(id("alone"), blobs("alone", 10));
    expect(index.size).toBe(20);
    expect(index.lookupAll("data", id("alone 1")).length).toBe(1);
  });

  it("sweeps dead entries out and stays right", () => {
    const index = new BlobIndex();
    const numbers = Array.from({ length: 40 }, (_, p) => index.add(id(`pack ${p}`), blobs(`${p}`, 1000)));
    const before = index.byteLength;
    index.release(numbers.slice(0, 30));
    expect(index.byteLength).toBeLessThan(before / 2);
    expect(index.size).toBe(10_000);
    for (let p = 0; p < 40; p++)
      for (let i = 0; i < 1000; i += 7)
        expect(index.has(i % 3 === 0 ? "tree" : "data", id(`${p} ${i}`))).toBe(p >= 30);
    index.add(id("pack 3"), blobs("3", 1000));
    expect(index.lookup("data", id("3 1"))?.packId).toEqual(id("pack 3"));
    expect([...index.packs()].length).toBe(11);
  });

  it("packs gives back all entries, grouped and by offset", () => {
    const index = new BlobIndex();
    for (let p = 0; p < 20; p++) index.add(id(`pack ${p}`), blobs(`${p}`, 5).reverse());
    index.add(id("pack 3"), [{ ...blobs("more", 1)[0]!, offset: 5000 }]);
    const packs = [...index.packs()];
    expect(packs.length).toBe(20);
    for (const [p, { packId, blobs: found }] of packs.entries()) {
      expect(packId).toEqual(id(`pack ${p}`));
      expect(found.slice(0, 5)).toEqual(blobs(`${p}`, 5));
      expect(found.length).toBe(p === 3 ? 6 : 5);
    }
    expect([...index.entries()].length).toBe(101);
  });

  it("needs no more than 59 bytes a blob, and a segment", () => {
    const index = new BlobIndex();
    const blobId = Buffer.alloc(32);
    const pack = index.retain(id("pack"));
    for (const count of [100_000, 200_000, 400_000, 500_000]) {
      for (let i = index.size; i < count; i++) {
        // As uniform as SHA-256 in the word that counts.
        blobId.writeUInt32LE(Math.imul(i, 0x9e37_79b1) >>> 0, 0);
        index.addBlob(pack, "data", blobId, i * 2, 100, 0);
      }
      expect((index.byteLength - 8192 * 48) / count).toBeLessThan(59);
    }
  });
});
