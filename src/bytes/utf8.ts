/**
 * UTF-8 as Go reads it. Go replaces **each byte** that is not part of valid UTF-8 by one U+FFFD, where the `TextDecoder`
 * of the web replaces each maximal part of a broken sequence; `E2 82` alone is two replacements here and one there.
 * What restic stores follows Go, so that is what we follow.
 */

import { isUtf8 as isUtf8Native } from "node:buffer";

/** True if all of the bytes are valid UTF-8 (no surrogates, nothing overlong, nothing beyond U+10FFFF). */
export function isUtf8(bytes: Uint8Array): boolean {
  return isUtf8Native(bytes);
}

/**
 * Decodes the code point that starts at a position, which must be within the bytes.
 *
 * @returns the code point times 8 plus its length in bytes, or -1 when the byte there starts nothing valid
 */
export function decodeCodePoint(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return first * 8 + 1;
  if (first < 0xc2 || first > 0xf4) return -1;
  const second = bytes[at + 1] ?? 0;
  if (first < 0xe0) {
    return isContinuation(second) ? (((first & 0x1f) << 6) | (second & 0x3f)) * 8 + 2 : -1;
  }
  const third = bytes[at + 2] ?? 0;
  if (first < 0xf0) {
    // E0 followed by less than A0 is overlong, ED followed by more than 9F is a surrogate.
    const low = first === 0xe0 ? 0xa0 : 0x80;
    const high = first === 0xed ? 0x9f : 0xbf;
    if (second < low || second > high || !isContinuation(third)) return -1;
    return (((first & 0x0f) << 12) | ((second & 0x3f) << 6) | (third & 0x3f)) * 8 + 3;
  }
  // F0 followed by less than 90 is overlong, F4 followed by more than 8F lies beyond U+10FFFF.
  const low = first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xf4 ? 0x8f : 0xbf;
  const fourth = bytes[at + 3] ?? 0;
  if (second < low || second > high || !isContinuation(third) || !isContinuation(fourth)) return -1;
  return (((first & 0x07) << 18) | ((second & 0x3f) << 12) | ((third & 0x3f) << 6) | (fourth & 0x3f)) * 8 + 4;
}

/** As many bytes from the beginning as there is room for, but no part of a character. */
export function cutToBytes(bytes: Buffer, maxBytes: number): Buffer {
  if (bytes.length <= maxBytes) return bytes;
  let end = maxBytes;
  // No character has more than three of these, whatever bytes that are no UTF-8 look like.
  while (end > maxBytes - 3 && isContinuation(bytes[end]!)) end--;
  return bytes.subarray(0, isContinuation(bytes[end]!) ? maxBytes : end);
}

/** The text for people: every byte that is no UTF-8 becomes one U+FFFD. */
export function textForPeople(bytes: Uint8Array): string {
  return replaceInvalid(bytes, () => "\ufffd");
}

/**
 * The text with every byte `B` that is no UTF-8 kept apart as the lone surrogate U+DC00 + `B`, which valid text can
 * never hold. `goJsonString` writes it as Go writes such a byte, and `bytesOfText` gives the byte back.
 */
export function textKeepingBytes(bytes: Uint8Array): string {
  return replaceInvalid(bytes, (byte) => String.fromCharCode(0xdc00 + byte));
}

/** Whether a text keeps bytes that are no UTF-8. */
export function keepsBytes(text: string): boolean {
  return /[\udc80-\udcff]/u.test(text);
}

/** The bytes of a text; the way back from `textKeepingBytes`. Other lone surrogates become U+FFFD. */
export function bytesOfText(text: string): Buffer {
  if (!keepsBytes(text)) return Buffer.from(text, "utf8");
  const parts = text.split(/([\udc80-\udcff])/u);
  return Buffer.concat(
    parts.map((part, i) => (i % 2 === 0 ? Buffer.from(part, "utf8") : Buffer.of(part.charCodeAt(0) & 0xff))),
  );
}

function replaceInvalid(bytes: Uint8Array, replacement: (byte: number) => string): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isUtf8Native(bytes)) return buffer.toString("utf8");
  let text = "";
  let validFrom = 0;
  for (let at = 0; at < bytes.length; ) {
    const decoded = decodeCodePoint(bytes, at);
    if (decoded >= 0) {
      at += decoded & 7;
      continue;
    }
    text += buffer.toString("utf8", validFrom, at) + replacement(bytes[at]!);
    validFrom = ++at;
  }
  return text + buffer.toString("utf8", validFrom);
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
