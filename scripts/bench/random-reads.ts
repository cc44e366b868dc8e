/**
 * Reads 4 KiB at places of a file that look random and are the same in each run, by eight readers at once, and prints a hash
 * of all that was read: `node random-reads.js FILE READS-OF-EACH`.
 */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { randomNumbers } from "./random-numbers.js";

const READERS = 8;
const LENGTH = 4096;

const [path, reads] = process.argv.slice(2);
const hashes = await Promise.all(
  Array.from({ length: READERS }, async (_, reader) => {
    const file = await open(path!, "r");
    const next = randomNumbers(reader);
    const blocks = Math.floor((await file.stat()).size / LENGTH);
    const hash = createHash("sha256");
    const buffer = Buffer.alloc(LENGTH);
    for (let i = 0; i < Number(reads); i++) {
      const { bytesRead } = await file.read(buffer, 0, LENGTH, next(blocks) * LENGTH);
      hash.update(buffer.subarray(0, bytesRead));
    }
    await file.close();
    return hash.digest("hex");
  }),
);
console.log(createHash("sha256").update(hashes.join()).digest("hex"));
