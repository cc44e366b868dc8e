import { isUtf8 } from "node:buffer";

/**
 * A path as text that can stand for any bytes: valid UTF-8 is itself, every other byte becomes the lone surrogate
 * U+DC80 to U+DCFF, which no valid text contains. So two different names never become equal, and `?` takes exactly one of them.
 */
export function pathText(path: string | Uint8Array): string {
  if (typeof path === "string") return path;
  const bytes = Buffer.isBuffer(path) ? path : Buffer.from(path.buffer, path.byteOffset, path.byteLength);
  if (isUtf8(bytes)) return bytes.toString("utf8");
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    text += length === 0 ? String.fromCharCode(0xdc00 + bytes[at]!) : bytes.toString("utf8", at, at + length);
    at += length || 1;
  }
  return text;
}

/** The bytes that `pathText` made a text of. */
export function textBytes(text: string): Buffer {
  if (!/[\udc80-\udcff]/.test(text)) return Buffer.from(text);
  return Buffer.concat(
    Array.from(text, (char) => {
      const code = char.codePointAt(0)!;
      return code >= 0xdc80 && code <= 0xdcff ? Buffer.of(code - 0xdc00) : Buffer.from(char);
    }),
  );
}

/** Length of the valid UTF-8 sequence at a position, 0 when there is none. */
function sequenceLength(bytes: Buffer, at: number): number {
  const first = bytes[at]!;
  const wanted =
    first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  return wanted > 0 && at + wanted <= bytes.length && isUtf8(bytes.subarray(at, at + wanted)) ? wanted : 0;
}

/**
 * Go's `strings.ToLower`: every code point for itself. JavaScript's own lower-casing looks at neighbours (a final sigma) and may
 * lengthen a text, which would make other paths equal than in restic.
 */
export function foldCase(text: string): string {
  let folded = "";
  for (const char of text) {
    const lower = char.toLowerCase();
    // U+0130 is the one character that JavaScript lower-cases to two.
    folded += char === "\u0130" ? "i" : lower;
  }
  return folded;
}
