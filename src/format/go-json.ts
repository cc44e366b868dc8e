/**
 * Text as Go's encoding/json writes it. It differs from `JSON.stringify` in what it escapes: `<`, `>` and `&` (so that
 * JSON may stand in HTML), U+2028 and U+2029 (so that it may stand in JavaScript), and bytes that are no UTF-8, which
 * become the six characters `\ufffd`, where a real U+FFFD stays as it is.
 */

import { textKeepingBytes } from "../bytes/utf8.js";

// With the `u` flag the last range matches lone surrogates only: what `textKeepingBytes` makes of bytes that are no UTF-8.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to be escaped
const NEEDS_ESCAPE = /[\u0000-\u001f"\\<>&\u2028\u2029\ud800-\udfff]/u;
const NEEDS_ESCAPE_ALL = new RegExp(NEEDS_ESCAPE, "gu");

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** The text as a JSON string, quotes included. Lone surrogates count as bytes that are no UTF-8. */
export function goJsonString(text: string): string {
  return NEEDS_ESCAPE.test(text) ? `"${text.replace(NEEDS_ESCAPE_ALL, escapeOf)}"` : `"${text}"`;
}

/** The bytes of a Go string as a JSON string, quotes included. */
export function goJsonBytes(bytes: Uint8Array): string {
  return goJsonString(textKeepingBytes(bytes));
}

/** Any value that came out of JSON, without white space; keys keep their order. */
export function goJsonValue(value: unknown): string {
  if (typeof value === "string") return goJsonString(value);
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map(goJsonValue).join(",")}]`;
  if (typeof value === "object" && value !== null) return goJsonObject(Object.entries(value));
  return JSON.stringify(value) ?? "null";
}

/** An object of these members, in this order. Members that are undefined are left out. */
export function goJsonObject(members: Iterable<readonly [key: string, value: unknown]>): string {
  const parts: string[] = [];
  for (const [key, value] of members) {
    if (value !== undefined) parts.push(`${goJsonString(key)}:${goJsonValue(value)}`);
  }
  return `{${parts.join(",")}}`;
}

function escapeOf(character: string): string {
  const short = SHORT_ESCAPES[character];
  if (short !== undefined) return short;
  const code = character.charCodeAt(0);
  return code >= 0xd800 && code <= 0xdfff ? "\\ufffd" : `\\u${code.toString(16).padStart(4, "0")}`;
}
