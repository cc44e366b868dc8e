import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { formatId } from "../../src/bytes/id.js";
import { encodeKeyFile, encodeMasterKey, SALT_LENGTH } from "../../src/format/key-file.js";
import { parseTimestamp } from "../../src/format/timestamp.js";
import { openRepository } from "../../src/mod.js";

const CHEAP = { N: 2, r: 1, p: 1 };

/**
 * Replaces the keys of a repository on disk by one whose derivation costs nothing, with the same password: half a second
 * less for every program that opens it, restic as well.
 */
export async function makeKeyCheap(folder: string, password: string | Uint8Array): Promise<void> {
  const keys = join(folder, "keys");
  const expensive = await readdir(keys);
  const session = await openRepository(folder, { password, lock: "none" });
  try {
    const { engine, backend, masterKey } = session.repository;
    const salt = engine.randomBytes(SALT_LENGTH);
    const derived = await engine.scrypt(Buffer.from(password), salt, CHEAP, 64);
    const wrapper = {
      encrypt: derived.subarray(0, 32),
      macK: derived.subarray(32, 48),
      macR: derived.subarray(48, 64),
    };
    const plaintext = encodeMasterKey(masterKey);
    const [sealed] = await engine.seal(wrapper, [{ plaintext, compressionLevel: undefined }]);
    const bytes = encodeKeyFile({
      ...CHEAP,
      created: parseTimestamp("2026-01-01T00:00:00Z"),
      username: "test",
      hostname: "test",
      salt,
      data: sealed!.sealed,
    });
    await backend.save({ type: "key", name: formatId(engine.hash(bytes)) }, [bytes]);
  } finally {
    await session.close();
  }
  for (const name of expensive) await rm(join(keys, name));
}
