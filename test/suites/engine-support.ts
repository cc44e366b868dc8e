/** What the suites of engines share. */

import { createCipheriv, createHash } from "node:crypto";
import { poly1305 } from "@noble/ciphers/_poly1305.js";
import type { MasterKey, Unsealed } from "../../src/engine/engine.js";

export const KEY: MasterKey = {
  encrypt: sha256Of("encrypt"),
  macK: sha256Of("macK").subarray(0, 16),
  macR: sha256Of("macR").subarray(0, 16),
};

/** An envelope made without any of our code: the cipher of node:crypto, Poly1305 of @noble. */
export function sealElsewhere(key: MasterKey, iv: Uint8Array, content: Uint8Array): Buffer {
  const cipher = createCipheriv("aes-256-ctr", key.encrypt, iv);
  const ciphertext = Buffer.concat([cipher.update(content), cipher.final()]);
  const block = createCipheriv("aes-128-ecb", key.macK, null).setAutoPadding(false);
  const mac = poly1305(ciphertext, Buffer.concat([key.macR, block.update(iv)]));
  return Buffer.concat([iv, ciphertext, mac]);
}

/** The same bytes at an address that is no multiple of anything. */
export function unaligned(data: Uint8Array, offset: number): Uint8Array {
  const memory = new Uint8Array(data.length + offset);
  memory.set(data, offset);
  return memory.subarray(offset);
}

export function sha256Of(data: string | Uint8Array): Buffer {
  return createHash("sha256").update(data).digest();
}

export function bytes(hex: string): Buffer {
  return Buffer.from(hex, "hex");
}

export function hex(data: Uint8Array): string {
  return Buffer.from(data).toString("hex");
}

export function plaintextOf(unsealed: Unsealed | undefined): Buffer {
  if (unsealed === undefined || "failure" in unsealed)
    throw new Error(`not unsealed: ${unsealed?.failure ?? "missing"}`);
  return Buffer.from(unsealed.plaintext);
}

export function failureOf(unsealed: Unsealed | undefined): string {
  return unsealed !== undefined && "failure" in unsealed ? unsealed.failure : "unsealed";
}
