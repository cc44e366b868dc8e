/**
 * What is in a small file that a person wrote, without a byte order mark: UTF-16 with one, as editors on Windows save it,
 * becomes UTF-8, and everything else stays as it is, be it text or not.
 */
export function decodeTextBytes(bytes: Uint8Array): Buffer {
  const [first, second, third] = bytes;
  if (first === 0xff && second === 0xfe) return Buffer.from(new TextDecoder("utf-16le").decode(bytes));
  if (first === 0xfe && second === 0xff) return Buffer.from(new TextDecoder("utf-16be").decode(bytes));
  return Buffer.from(bytes.subarray(first === 0xef && second === 0xbb && third === 0xbf ? 3 : 0));
}

/** What Go takes for white space, in UTF-8, one character a byte. */
const SPACE =
  "(?:[\\t-\\r ]|\\xc2[\\x85\\xa0]|\\xe1\\x9a\\x80|\\xe2\\x80[\\x80-\\x8a\\xa8\\xa9\\xaf]|\\xe2\\x81\\x9f|\\xe3\\x80\\x80)";
const AROUND = new RegExp(`^${SPACE}+|${SPACE}+$`, "g");

/** Without the white space around it; bytes that are no UTF-8 are none. */
export function trimBytes(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString("latin1").replace(AROUND, ""), "latin1");
}
