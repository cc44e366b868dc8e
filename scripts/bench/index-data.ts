/** An index of as many blobs as one likes, in a repository whose packs are not there: only loading it can be measured. */
import { createHash } from "node:crypto";
import { openRepository } from "yore";

/** As many as restic puts into one file. */
const BLOBS_PER_FILE = 50_000;
const BLOBS_PER_PACK = 32;

/** Adds index files to the repository; the same packs, blobs, offsets and lengths each time. */
export async function addIndexFiles(location: string, password: string, blobs: number): Promise<void> {
  const session = await openRepository(location, { password });
  try {
    for (let first = 0; first < blobs; first += BLOBS_PER_FILE) {
      const json = indexFile(first, Math.min(BLOBS_PER_FILE, blobs - first));
      await session.repository.saveFile("index", Buffer.from(json));
    }
  } finally {
    await session.close();
  }
}

/** @param first number of the first blob */
function indexFile(first: number, count: number): string {
  const packs: string[] = [];
  for (let pack = first; pack < first + count; pack += BLOBS_PER_PACK) {
    const blobs: string[] = [];
    let offset = 0;
    for (let blob = pack; blob < Math.min(pack + BLOBS_PER_PACK, first + count); blob++) {
      // One blob in fifty is a tree; four of five are compressed.
      const id = hashOf(`blob ${blob}`);
      const length = 200 + (parseInt(id.slice(0, 6), 16) % 900_000);
      const plain = blob % 5 === 0 ? "" : `,"uncompressed_length":${length * 2}`;
      blobs.push(
        `{"id":"${id}","type":"${blob % 50 === 0 ? "tree" : "data"}","offset":${offset},"length":${length}${plain}}`,
      );
      offset += length;
    }
    packs.push(`{"id":"${hashOf(`pack ${pack}`)}","blobs":[${blobs.join()}]}`);
  }
  return `{"packs":[${packs.join()}]}`;
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
