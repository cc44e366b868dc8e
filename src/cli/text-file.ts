import { isUtf8 } from "node:buffer";
import { FormatError } from "../errors.js";

/**
 * The text of a small file that a person wrote: UTF-8 with or without a byte order mark, or UTF-16 with one, as
 * editors on Windows save it. @throws {FormatError} for other bytes
 */
export function decodeTextFile(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  if (!isUtf8(bytes)) throw new FormatError("it is neither UTF-8 nor UTF-16 text");
  return new TextDecoder("utf-8").decode(bytes);
}
