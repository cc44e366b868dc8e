/**
 * Text from a repository, made harmless for a terminal. A name may hold any byte, escape sequences included, and could
 * move the cursor, set the title or worse.
 */

import { isUtf8 } from "node:buffer";

// Control characters (C0, DEL, C1), line and paragraph separators, and marks that reverse the direction of writing.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const HARMFUL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\x1b" };

/** The text with everything that a terminal would act upon written as an escape: `\n`, `\x1b`, `\u202e`. */
export function terminalText(text: string): string {
  return text.replace(HARMFUL, (character) => {
    const code = character.codePointAt(0)!;
    return (
      SHORT[character] ??
      (code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`)
    );
  });
}

/** The same for raw bytes; bytes that are no UTF-8 become `\xff`. */
export function terminalName(name: Uint8Array): string {
  const bytes = Buffer.from(name.buffer, name.byteOffset, name.length);
  if (isUtf8(bytes)) return terminalText(bytes.toString());
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const length = [1, 2, 3, 4].find((count) => isUtf8(bytes.subarray(at, at + count)));
    if (length) text += terminalText(bytes.toString("utf8", at, at + length));
    else text += `\\x${bytes.toString("hex", at, at + 1)}`;
    at += length ?? 1;
  }
  return text;
}
