/**
 * Reads the blobs of an uncompressed (version 1) repository with nothing but Node's own crypto: an oracle that shares no
 * line with the program. It authenticates nothing, but compares every blob with its ID.
 */

import { createDecipheriv, createHash, scryptSync } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface IndexJson {
  packs: { id: string; blobs: { id: string; type: string; offset: number; length: number }[] }[];
}

interface KeyJson {
  N: number;
  r: number;
  p: number;
  salt: string;
  data: string;
}

export interface PlainBlob {
  readonly id: string;
  readonly type: string;
  readonly plaintext: Buffer;
}

/** All blobs of one type, in the order of the indexes. */
export function* plainBlobs(
  repository: string,
  password: string,
  type: "data" | "tree",
): Generator<PlainBlob> {
  const key = masterKey(repository, password);
  for (const index of plainFiles(repository, key, "index")) {
    for (const pack of (JSON.parse(index.toString("utf8")) as IndexJson).packs) {
      const bytes = readFileSync(join(repository, "data", pack.id.slice(0, 2), pack.id));
      for (const { id, offset, length } of pack.blobs.filter((blob) => blob.type === type)) {
        const plaintext = decrypt(key, bytes.subarray(offset, offset + length));
        if (createHash("sha256").update(plaintext).digest("hex") !== id)
          throw new Error(`blob ${id} differs`);
        yield { id, type, plaintext };
      }
    }
  }
}

/** The plaintext of all snapshots. */
export function plainSnapshots(repository: string, password: string): Buffer[] {
  return plainFiles(repository, masterKey(repository, password), "snapshots");
}

/** The plaintext of all indexes. */
export function plainIndexes(repository: string, password: string): Buffer[] {
  return plainFiles(repository, masterKey(repository, password), "index");
}

/** The plaintext of the config. */
export function plainConfig(repository: string, password: string): Buffer {
  return decrypt(masterKey(repository, password), readFileSync(join(repository, "config")));
}

/** The bytes of all key files. */
export function keyFiles(repository: string): Buffer[] {
  return readdirSync(join(repository, "keys")).map((name) => readFileSync(join(repository, "keys", name)));
}

function plainFiles(repository: string, key: Buffer, folder: string): Buffer[] {
  return readdirSync(join(repository, folder)).map((name) =>
    decrypt(key, readFileSync(join(repository, folder, name))),
  );
}

function masterKey(repository: string, password: string): Buffer {
  const [file] = keyFiles(repository);
  const { N, r, p, salt, data } = JSON.parse(file!.toString("utf8")) as KeyJson;
  const derived = scryptSync(password, Buffer.from(salt, "base64"), 64, { N, r, p, maxmem: 2 ** 30 });
  const plaintext = decrypt(derived.subarray(0, 32), Buffer.from(data, "base64")).toString("utf8");
  return Buffer.from((JSON.parse(plaintext) as { encrypt: string }).encrypt, "base64");
}

function decrypt(key: Buffer, sealed: Buffer): Buffer {
  const cipher = createDecipheriv("aes-256-ctr", key, sealed.subarray(0, 16));
  return Buffer.concat([cipher.update(sealed.subarray(16, sealed.length - 16)), cipher.final()]);
}
