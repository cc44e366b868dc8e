import { textKeepingBytes } from "../bytes/utf8.js";

export { bytesOfText as textBytes } from "../bytes/utf8.js";

/**
 * A path as text that can stand for any bytes: each byte that is no UTF-8 is a lone surrogate, which no valid text
 * contains. So two different names never become equal, and `?` takes exactly one of them.
 */
export function pathText(path: string | Uint8Array): string {
  return typeof path === "string" ? path : textKeepingBytes(path);
}

/**
 * Go's `strings.ToLower`: every code point for itself. JavaScript's own lower-casing looks at neighbours (a
 * final sigma) and may lengthen a text, which would make other paths equal than in restic.
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
