/** The command line of this process, byte by byte: Node.js has U+FFFD for what is no UTF-8 in it. */

import { readFileSync } from "node:fs";
import { textKeepingBytes } from "../bytes/utf8.js";
import { messageOf, UsageError } from "../errors.js";

/** Of a process that another one of ours has started: its arguments, which Node.js would hand over as UTF-8. */
export const ARGUMENTS_VARIABLE = "YORE_ARGUMENTS";

/**
 * What stands behind the program's name, as text that keeps bytes (`textKeepingBytes`).
 *
 * @throws {UsageError} if an argument is no UTF-8 and its bytes cannot be had
 */
export function commandLine(): string[] {
  const handed = process.env[ARGUMENTS_VARIABLE];
  if (handed !== undefined && process.send) return JSON.parse(handed) as string[];
  const texts = process.argv.slice(2);
  if (!texts.some((text) => text.includes("\ufffd"))) return texts;
  try {
    const words = readFileSync("/proc/self/cmdline", "latin1").split("\0").slice(0, -1);
    const bytes = words.slice(-texts.length).map((word) => Buffer.from(word, "latin1"));
    if (texts.some((text, i) => bytes[i]?.toString() !== text))
      throw new Error("/proc/self/cmdline has others");
    return bytes.map(textKeepingBytes);
  } catch (cause) {
    throw new UsageError(`Cannot read arguments that are not UTF-8: ${messageOf(cause)}`, { cause });
  }
}
