/**
 * The bytes that the process was given, for what is no UTF-8: Node.js decodes arguments and environment, and puts U+FFFD
 * in the place of what it cannot.
 */

import { readFileSync } from "node:fs";
import { textKeepingBytes } from "../bytes/utf8.js";
import { UsageError } from "../errors.js";

const REPLACEMENT = "\ufffd";

/** The bytes of a variable. @throws {UsageError} where they cannot be known */
export function variableBytes(name: string, value: string): Buffer {
  if (!value.includes(REPLACEMENT)) return Buffer.from(value);
  const raw = entriesOf("environ").find((entry) => entry.toString() === `${name}=${value}`);
  if (!raw) throw new UsageError(`Cannot read $${name}: it is not UTF-8 text`);
  return raw.subarray(name.length + 1);
}

/** The value of a variable as text that keeps bytes. @throws {UsageError} where they cannot be known */
export function variableText(name: string, value: string | undefined): string | undefined {
  return value === undefined ? undefined : textKeepingBytes(variableBytes(name, value));
}

/** Whether a text, from an argument or a variable, stands for other bytes than it says. */
export function isMangled(text: string): boolean {
  if (!text.includes(REPLACEMENT)) return false;
  return ![...entriesOf("cmdline"), ...entriesOf("environ")].some((entry) => entry.includes(text));
}

/** What the kernel keeps of this process; nothing where it does not. */
function entriesOf(file: "cmdline" | "environ"): Buffer[] {
  try {
    const text = readFileSync(`/proc/self/${file}`, "latin1");
    return text.split("\0").map((entry) => Buffer.from(entry, "latin1"));
  } catch {
    return [];
  }
}
