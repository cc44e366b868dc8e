/** Variables byte by byte: Node.js has U+FFFD for what is no UTF-8 in them (`command-line.ts` has the arguments). */

import { readFileSync } from "node:fs";
import { textKeepingBytes } from "../bytes/utf8.js";
import { UsageError } from "../errors.js";

const REPLACEMENT = "\ufffd";

/** The bytes of a variable. @throws {UsageError} where they cannot be known */
export function variableBytes(name: string, value: string): Buffer {
  if (!value.includes(REPLACEMENT)) return Buffer.from(value);
  const raw = rawEnvironment().find((entry) => entry.toString() === `${name}=${value}`);
  if (!raw) throw new UsageError(`Cannot read $${name}: it is not UTF-8 text`);
  return raw.subarray(name.length + 1);
}

/** The value of a variable as text that keeps bytes. @throws {UsageError} where they cannot be known */
export function variableText(name: string, value: string | undefined): string | undefined {
  return value === undefined ? undefined : textKeepingBytes(variableBytes(name, value));
}

/** The environment as the kernel keeps it; nothing where it does not. */
function rawEnvironment(): Buffer[] {
  try {
    const text = readFileSync("/proc/self/environ", "latin1");
    return text.split("\0").map((entry) => Buffer.from(entry, "latin1"));
  } catch {
    return [];
  }
}
