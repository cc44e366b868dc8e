/** Names that every program may be shown: nothing that splits a path, and on request nothing that Windows refuses. */

import { MAX_NAME_BYTES } from "../bytes/file-name.js";
import { cutToBytes } from "../bytes/utf8.js";

/**
 * A field of a snapshot (host, user, tag) as one component of a path: "/" and NUL would split or end it, and an empty
 * name, "." and ".." would be somewhere else. One too long for a file name is cut.
 */
export function safeComponent(field: string): string {
  const name = field.replaceAll("/", "_").replaceAll("\0", "_");
  if (name === "" || name === ".") return "_";
  if (name === "..") return "__";
  return cut(name);
}

/** Leaves room for the number that makes a name unique. */
const MAX_FIELD_BYTES = 240;

function cut(name: string): string {
  if (Buffer.byteLength(name) <= MAX_FIELD_BYTES) return name;
  return cutToBytes(Buffer.from(name), MAX_FIELD_BYTES).toString();
}

/** Of bytes: with nothing or an extension behind it Windows takes such a name for a device; "¹²³" count as digits. */
const WINDOWS_DEVICE = /^(con|prn|aux|nul|(?:com|lpt)(?:\d|\xc2[\xb9\xb2\xb3])) *(\..*)?$/is;
/** What Windows does not allow within a name, "/" aside; Samba shows such names as a jumble like `_A1B2C~3`. */
const WINDOWS_FORBIDDEN = new Set(Buffer.from('<>:"\\|?*'));

/** The name with "-" for each colon and "_" for everything else that Windows does not allow. */
export function windowsSafeName(name: Buffer): Buffer {
  if (isWindowsSafe(name)) return name;
  const device = WINDOWS_DEVICE.exec(name.toString("latin1"))?.[1];
  // Behind the device and not behind the extension: "nul.txt_" would be a device as well.
  const named = device ? Buffer.from(name.toString("latin1").replace(device, `${device}_`), "latin1") : name;
  const safe = Buffer.from(cutToBytes(named, MAX_NAME_BYTES).map((byte) => replacementOf(byte)));
  const last = safe.length - 1;
  if (safe[last] === 0x20 || safe[last] === 0x2e) safe[last] = 0x5f;
  return safe;
}

function replacementOf(byte: number): number {
  if (byte === 0x3a) return 0x2d;
  return byte < 0x20 || WINDOWS_FORBIDDEN.has(byte) ? 0x5f : byte;
}

function isWindowsSafe(name: Buffer): boolean {
  const last = name[name.length - 1];
  if (last === 0x20 || last === 0x2e) return false;
  for (const byte of name) if (byte < 0x20 || WINDOWS_FORBIDDEN.has(byte)) return false;
  return !WINDOWS_DEVICE.test(name.toString("latin1"));
}
