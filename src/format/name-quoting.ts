/**
 * How a name of raw bytes becomes text in a tree: Go's `strconv.Quote` without the outer quotes, and `strconv.Unquote`
 * for the way back. JSON's own escaping comes on top of it (`goJsonString`), so a newline in a name reads `\\n` in a blob.
 *
 * Which code points stand for themselves decides the bytes of a tree and so its ID: see `printable.ts`.
 */

import { decodeCodePoint } from "../bytes/utf8.js";
import { FormatError } from "../errors.js";
import { goJsonString } from "./go-json.js";
import { isPrintable } from "./printable.js";

const BACKSLASH = 0x5c;
const QUOTE = 0x22;

/** Letters behind the backslash for BEL BS TAB LF VT FF CR, which are the bytes 7 to 13. */
const LETTERS = "abtnvfr";

/** Quotes a name as `strconv.Quote` does, without the quotes around it. */
export function quoteName(raw: Uint8Array): string {
  if (isPlain(raw)) return asBuffer(raw).toString("latin1");
  let text = "";
  for (let at = 0; at < raw.length; ) {
    const decoded = decodeCodePoint(raw, at);
    if (decoded < 0) {
      text += `\\x${hex(raw[at]!, 2)}`;
      at += 1;
    } else {
      text += quoteCodePoint(Math.floor(decoded / 8));
      at += decoded & 7;
    }
  }
  return text;
}

/** True for a name that stands in a tree byte by byte: neither quoting nor JSON changes it. */
export function isPlainInTree(raw: Uint8Array): boolean {
  return goJsonString(quoteName(raw)) === `"${asBuffer(raw).toString("utf8")}"`;
}

/**
 * Takes the quoting off again, as `strconv.Unquote` does for what stands between double quotes.
 *
 * @throws {FormatError} for an escape that Go does not know, a bare quote or a bare newline
 */
export function unquoteName(text: string): Buffer {
  if (!text.includes("\\")) {
    if (/["\n]/.test(text)) throw unquotable(text, "a quote or a newline stands unescaped");
    return Buffer.from(text, "utf8");
  }
  const parts: Buffer[] = [];
  let plainFrom = 0;
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code === QUOTE || code === 0x0a) throw unquotable(text, "a quote or a newline stands unescaped");
    if (code !== BACKSLASH) {
      at += 1;
      continue;
    }
    if (at > plainFrom) parts.push(Buffer.from(text.slice(plainFrom, at), "utf8"));
    const { bytes, end } = decodeEscape(text, at + 1);
    parts.push(bytes);
    at = end;
    plainFrom = at;
  }
  if (plainFrom < text.length) parts.push(Buffer.from(text.slice(plainFrom), "utf8"));
  return Buffer.concat(parts);
}

/** True for a name that may be joined to a path: not empty, not `.` or `..`, without `/` and NUL. */
export function isSafeName(name: Uint8Array): boolean {
  if (name.length === 0 || name.includes(0x2f) || name.includes(0)) return false;
  const onlyDots = name.length <= 2 && name.every((byte) => byte === 0x2e);
  return !onlyDots;
}

function isPlain(raw: Uint8Array): boolean {
  for (let i = 0; i < raw.length; i++) {
    const byte = raw[i]!;
    if (byte < 0x20 || byte > 0x7e || byte === QUOTE || byte === BACKSLASH) return false;
  }
  return true;
}

function quoteCodePoint(code: number): string {
  if (code === QUOTE || code === BACKSLASH) return `\\${String.fromCharCode(code)}`;
  if (isPrintable(code)) return String.fromCodePoint(code);
  if (code >= 7 && code <= 13) return `\\${LETTERS[code - 7]}`;
  if (code < 0x20 || code === 0x7f) return `\\x${hex(code, 2)}`;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

/** Reads the escape whose first character behind the backslash is at `at`. */
function decodeEscape(text: string, at: number): { bytes: Buffer; end: number } {
  const kind = text.charAt(at);
  const letter = LETTERS.indexOf(kind);
  if (kind !== "" && letter >= 0) return { bytes: Buffer.of(7 + letter), end: at + 1 };
  switch (kind) {
    case "\\":
    case '"':
      return { bytes: Buffer.from(kind), end: at + 1 };
    case "x":
      return { bytes: Buffer.of(digits(text, at + 1, 2, 16)), end: at + 3 };
    case "u":
      return { bytes: encodeCodePoint(text, digits(text, at + 1, 4, 16)), end: at + 5 };
    case "U":
      return { bytes: encodeCodePoint(text, digits(text, at + 1, 8, 16)), end: at + 9 };
    default: {
      if (!/^[0-7]$/.test(kind)) throw unquotable(text, `"\\${kind}" is no escape`);
      const value = digits(text, at, 3, 8);
      if (value > 0xff) throw unquotable(text, `"\\${text.slice(at, at + 3)}" is more than a byte`);
      return { bytes: Buffer.of(value), end: at + 3 };
    }
  }
}

function digits(text: string, at: number, count: number, base: 8 | 16): number {
  const slice = text.slice(at, at + count);
  const pattern = base === 16 ? /^[0-9a-fA-F]+$/ : /^[0-7]+$/;
  if (slice.length !== count || !pattern.test(slice))
    throw unquotable(text, `want ${count} digits of base ${base}, have "${slice}"`);
  return Number.parseInt(slice, base);
}

function encodeCodePoint(text: string, code: number): Buffer {
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
    throw unquotable(text, `U+${hex(code, 4).toUpperCase()} is no code point`);
  return Buffer.from(String.fromCodePoint(code), "utf8");
}

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, "0");
}

function unquotable(text: string, reason: string): FormatError {
  return new FormatError(`Cannot unquote name "${text}": ${reason}`);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
