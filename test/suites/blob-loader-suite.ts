import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatId, type Id, parseId } from "../../src/bytes/id.js";
import { NotFoundError } from "../../src/errors.js";
import type { BlobLoader } from "../../src/repository/blob-loader.js";

/** A loader, and what it holds: data blobs by hex ID, and one tree. */
export interface BlobLoaderFixture {
  readonly loader: BlobLoader;
  readonly contents: ReadonlyMap<string, Uint8Array>;
  readonly tree: Id;
  close?(): Promise<void>;
}

const UNKNOWN = parseId("0".repeat(64))!;

/** What everything must do that hands out blobs: the repository, and the caches in front of it. */
export function blobLoaderSuite(name: string, makeFixture: () => Promise<BlobLoaderFixture>): void {
  describe(name, () => {
    let fixture: BlobLoaderFixture;
    let loader: BlobLoader;
    let known: [Id, Uint8Array][];

    beforeAll(async () => {
      fixture = await makeFixture();
      loader = fixture.loader;
      known = [...fixture.contents].map(([hex, content]) => [parseId(hex)!, content]);
    });

    afterAll(() => fixture.close?.());

    it("loadBlob gives the content of every blob, again and again", async () => {
      for (let round = 0; round < 2; round++)
        for (const [id, content] of known)
          expect(Buffer.compare(await loader.loadBlob("data", id), content)).toBe(0);
    });

    it("loadBlob gives the right content to many at once", async () => {
      const loads = [...known, ...known].map(async ([id, content]) =>
        Buffer.compare(await loader.loadBlob("data", id), content),
      );
      expect(new Set(await Promise.all(loads))).toEqual(new Set([0]));
    });

    it("loadBlob keeps the two types apart", async () => {
      expect((await loader.loadBlob("tree", fixture.tree)).length).toBeGreaterThan(0);
      await expect(loader.loadBlob("data", fixture.tree)).rejects.toThrow(NotFoundError);
      await expect(loader.loadBlob("tree", known[0]![0])).rejects.toThrow(NotFoundError);
    });

    it("loadBlob throws NotFoundError for what no index knows, and the next load is right", async () => {
      await expect(loader.loadBlob("data", UNKNOWN)).rejects.toThrow(NotFoundError);
      const [id, content] = known[0]!;
      expect(Buffer.compare(await loader.loadBlob("data", id), content)).toBe(0);
    });

    it("loadBlob stops when the signal has fired, and others are not disturbed", async () => {
      const [id, content] = known.at(-1)!;
      const stopped = loader.loadBlob("data", id, AbortSignal.abort());
      const other = loader.loadBlob("data", id);
      await expect(stopped).rejects.toMatchObject({ code: "interrupted" });
      expect(Buffer.compare(await other, content)).toBe(0);
    });

    it("blobSize knows the length of every plaintext without loading", () => {
      for (const [id, content] of known) expect(loader.blobSize("data", id)).toBe(content.length);
      expect(loader.blobSize("tree", known[0]![0])).toBe(undefined);
      expect(loader.blobSize("data", UNKNOWN)).toBe(undefined);
    });

    it("loadBlobs calls back once for each blob, unknown ones with an error", async () => {
      if (!loader.loadBlobs) return;
      const results = new Map<string, Uint8Array | undefined>();
      await loader.loadBlobs("data", [...known.map(([id]) => id), UNKNOWN], (id, result) => {
        expect(results.has(formatId(id))).toBe(false);
        results.set(formatId(id), "plaintext" in result ? Buffer.from(result.plaintext) : undefined);
      });
      expect(results.size).toBe(known.length + 1);
      expect(results.get(formatId(UNKNOWN))).toBe(undefined);
      for (const [id, content] of known) expect(Buffer.compare(results.get(formatId(id))!, content)).toBe(0);
    });
  });
}
