/** A large file that is read here and there: its blobs go to the kernel as a whole. */

import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { BlobCache } from "../../src/cache/blob-cache.js";
import { TreeCache } from "../../src/cache/tree-cache.js";
import { loadEngine } from "../../src/engine/load-engine.js";
import { type Entry, MAX_STORED_BYTES, type NodeId, ROOT_NODE } from "../../src/fuse/filesystem.js";
import { Repository } from "../../src/repository/repository.js";
import { listSnapshots } from "../../src/repository/snapshots.js";
import { SnapshotFilesystem } from "../../src/snapfs/snapshot-filesystem.js";
import { backUp, PASSWORD } from "../mount/mounting.js";
import { missingPeer } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const PAGE = 4096;
const NO_SIGNAL = () => new AbortController().signal;

describe.skipIf(missingPeer("restic"))("a file that is read here and there", () => {
  // Its end is no multiple of a page.
  const content = randomBytes(40 * 1024 * 1024 + 777);
  let repository: Repository;
  let path: string;

  beforeAll(async () => {
    const folder = join(await temporaryFolder(), "data");
    await mkdir(folder);
    path = join(folder, "large");
    await writeFile(path, content);
    repository = await Repository.open(await LocalBackend.open(await backUp(folder)), await loadEngine(), {
      password: PASSWORD,
    });
    await repository.loadIndex();
  });

  /** Reads pages of the file; the stretches that the kernel got. */
  const storedAfter = async (offsets: readonly number[]) => {
    const [snapshot] = await listSnapshots(repository);
    const blobs = new BlobCache(repository, { maxBytes: 16 * 1024 * 1024 });
    const root = { snapshot: snapshot!, tree: snapshot!.tree };
    const filesystem = new SnapshotFilesystem({ list: async () => [] }, blobs, new TreeCache(repository), {
      root,
    });
    const stored: { from: number; bytes: Buffer }[] = [];
    filesystem.start({
      invalidateEntry() {},
      invalidateNode() {},
      store: ({ nodes, offsets: from, contents }) => {
        expect(new Set(nodes)).toEqual(new Set([node]));
        for (const [i, bytes] of contents.entries())
          stored.push({ from: from[i]!, bytes: Buffer.from(bytes) });
        return nodes.length;
      },
    });
    let node: NodeId = ROOT_NODE;
    for (const name of path.split("/").filter(Boolean))
      node = ((await filesystem.lookup(node, Buffer.from(name))) as Entry).nodeId;
    for (const offset of offsets) {
      const pieces = await filesystem.read(node, offset, PAGE, NO_SIGNAL);
      expect(Buffer.concat(pieces).equals(content.subarray(offset, offset + PAGE))).toBe(true);
    }
    return stored;
  };

  it("reaches the kernel in whole pages, with the right bytes", async () => {
    const pages = Math.ceil(content.length / PAGE);
    const offsets = Array.from({ length: 60 }, (_, i) => ((i * 7919) % pages) * PAGE);
    const stored = await storedAfter([...offsets, (pages - 1) * PAGE]);
    expect(stored.length).toBeGreaterThan(20);
    for (const { from, bytes } of stored) {
      const end = from + bytes.length;
      expect(from % PAGE).toBe(0);
      expect(end % PAGE === 0 || end === content.length).toBe(true);
      expect(bytes.length).toBeLessThanOrEqual(MAX_STORED_BYTES);
      expect(bytes.equals(content.subarray(from, end))).toBe(true);
    }
    expect(stored.some(({ from, bytes }) => from + bytes.length === content.length)).toBe(true);
  });

  it("stays here while it is read from front to back", async () => {
    const offsets = Array.from({ length: 2000 }, (_, i) => i * PAGE);
    expect(await storedAfter(offsets)).toEqual([]);
  });
});
