/**
 * A look at an engine before it is trusted with data: an addon may load and still compute nonsense, because it was
 * built for another OpenSSL or another processor. Takes a few milliseconds. Imports nothing of Node.js.
 */

import type { Engine, MasterKey } from "./engine.js";

/**
 * One envelope that is two vectors. Its ciphertext and MAC are the message and the tag of RFC 8439 section 2.5.2; its IV
 * is the block that AES-128 under `macK` encrypts to that section's s. And it opens to 34 bytes whose hash is
 * `PLAINTEXT_HASH`: computed with OpenSSL by way of Python.
 */
const KEY: MasterKey = {
  encrypt: bytes("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
  macK: bytes("202122232425262728292a2b2c2d2e2f"),
  macR: bytes("85d6be7857556d337f4452fe42d506a8"),
};
const SEALED = bytes(
  "db27b088548b575f3f2eebb2a7bbd213" +
    "43727970746f6772617068696320466f72756d2052657365617263682047726f7570" +
    "a8061dc1305136c6c22b8baf0c0127a9",
);
const PLAINTEXT_HASH = "17fbccd7ff1f16481796b6e533acda3a29e838a57ec2eec049d8e3c7b3d6a297";

/** FIPS 180-4's "abc". */
const HASH_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/** @throws {Error} that says what the engine does wrong */
export async function selfTest(engine: Engine): Promise<void> {
  if (hex(engine.hash(bytes("616263"))) !== HASH_OF_ABC) throw new Error("its SHA-256 is wrong");

  const plaintext = await unsealOne(engine, { sealed: SEALED, uncompressedLength: 0 });
  if (plaintext === undefined || hex(engine.hash(plaintext)) !== PLAINTEXT_HASH)
    throw new Error("it does not unseal what is sealed");
  const changed = SEALED.slice();
  changed[20] = (changed[20] as number) ^ 1;
  if ((await unsealOne(engine, { sealed: changed, uncompressedLength: 0 })) !== undefined)
    throw new Error("it does not refuse what was changed");

  const inputs = [undefined, 3].map((compressionLevel) => ({ plaintext, compressionLevel }));
  for (const sealed of await engine.seal(KEY, inputs, { verify: true })) {
    const again = await unsealOne(engine, sealed);
    if (again === undefined || hex(again) !== hex(plaintext))
      throw new Error("it does not unseal what it sealed");
  }
}

async function unsealOne(
  engine: Engine,
  input: { sealed: Uint8Array; uncompressedLength: number },
): Promise<Uint8Array | undefined> {
  const [unsealed] = await engine.unseal(KEY, [{ ...input, id: undefined }]);
  return unsealed !== undefined && "plaintext" in unsealed ? unsealed.plaintext : undefined;
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function hex(data: Uint8Array): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
