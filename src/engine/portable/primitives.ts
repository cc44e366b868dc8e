/**
 * SHA-256, AES-256-CTR and Poly1305-AES by @noble, cut into slices so that the event loop can go on in between.
 */

// The name is underscored but exported; package-lock.json pins it.
import { Poly1305 } from "@noble/ciphers/_poly1305.js";
import { ctr, ecb } from "@noble/ciphers/aes.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { ID_LENGTH, type Id, IdList, idFromBytes } from "../../bytes/id.js";
import { SLICE_BYTES } from "../checks.js";
import type { Breather } from "./breather.js";

export const IV_LENGTH = 16;
export const MAC_LENGTH = 16;
const BLOCK_LENGTH = 16;

export function hashNow(data: Uint8Array): Id {
  return idFromBytes(sha256(data));
}

/** SHA-256 in slices. */
export async function hash(data: Uint8Array, breather: Breather): Promise<Id> {
  const state = sha256.create();
  for (const slice of slices(data)) {
    state.update(slice);
    await breather.breathe();
  }
  return idFromBytes(state.digest());
}

export async function hashAll(inputs: readonly Uint8Array[], breather: Breather): Promise<IdList> {
  const ids = new Uint8Array(inputs.length * ID_LENGTH);
  for (const [i, data] of inputs.entries()) ids.set(await hash(data, breather), i * ID_LENGTH);
  return new IdList(ids);
}

export function createHash(): { update(data: Uint8Array): void; digest(): Id } {
  const state = sha256.create();
  return {
    update: (data) => void state.update(data),
    digest: () => idFromBytes(state.digest()),
  };
}

/** AES-256-CTR, either way; the IV is the initial value of the 128-bit big-endian counter. */
export async function aesCtr(
  key: Uint8Array,
  iv: Uint8Array,
  data: Uint8Array,
  breather: Breather,
): Promise<Uint8Array> {
  const out = new Uint8Array(data.length);
  // Not iv.slice(): that of a Buffer is a view, and the caller's IV would count along.
  const counter = Uint8Array.from(iv);
  let offset = 0;
  for (const slice of slices(data)) {
    out.set(ctr(key, counter).encrypt(slice), offset);
    offset += slice.length;
    advanceCounter(counter, slice.length / BLOCK_LENGTH);
    await breather.breathe();
  }
  return out;
}

/** Poly1305 under the one-time key r | AES-128(k, nonce). r is clamped on use. */
export async function poly1305Aes(
  key: { readonly macK: Uint8Array; readonly macR: Uint8Array },
  nonce: Uint8Array,
  data: Uint8Array,
  breather: Breather,
): Promise<Uint8Array> {
  const oneTimeKey = new Uint8Array(32);
  oneTimeKey.set(key.macR);
  oneTimeKey.set(ecb(key.macK, { disablePadding: true }).encrypt(nonce), 16);
  const mac = new Poly1305(oneTimeKey);
  for (const slice of slices(data)) {
    mac.update(slice);
    await breather.breathe();
  }
  return mac.digest();
}

/** Takes the same time wherever they differ. */
export function equalInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

/** Cryptographically secure. Made in pieces: the system hands out 64 KiB at most. */
export function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let offset = 0; offset < length; offset += 65536)
    globalThis.crypto.getRandomValues(bytes.subarray(offset, offset + 65536));
  return bytes;
}

/** Adds to a big-endian counter of 16 bytes, with carry through all of them. */
function advanceCounter(counter: Uint8Array, blocks: number): void {
  let carry = blocks;
  for (let i = counter.length - 1; i >= 0 && carry > 0; i--) {
    const sum = (counter[i] as number) + carry;
    counter[i] = sum & 0xff;
    carry = Math.floor(sum / 256);
  }
}

/** Views of at most 512 KiB, a multiple of every block length here; none for no data. */
function* slices(data: Uint8Array): Generator<Uint8Array> {
  for (let offset = 0; offset < data.length; offset += SLICE_BYTES)
    yield data.subarray(offset, offset + SLICE_BYTES);
}
