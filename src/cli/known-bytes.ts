import type { Option } from "commander";
import { bytesOfText, keepsBytes, textForPeople } from "../bytes/utf8.js";
import { invalidArgument } from "./invalid-argument.js";

/** Flags whose values are turned into bytes wherever they are used. */
const TAKE_BYTES: ReadonlySet<string | undefined> = new Set([
  "--cache-dir",
  "--exclude",
  "--exclude-file",
  "--exclude-if-present",
  "--explain",
  "--files-from",
  "--files-from-raw",
  "--files-from-verbatim",
  "--from-password-command",
  "--from-password-file",
  "--from-repo",
  "--from-repository-file",
  "--iexclude",
  "--iexclude-file",
  "--iinclude",
  "--iinclude-file",
  "--include",
  "--include-file",
  "--log-file",
  "--new-password-file",
  "--password-command",
  "--password-file",
  "--repo",
  "--repository-file",
  "--stdin-filename",
  "--target",
]);

/** Where U+FFFD in the place of a byte would be another file. */
const NAMES_FILES = /<(file|directory|command|address)>/;

/**
 * The value of a flag, with only such bytes kept that are no UTF-8 (`textKeepingBytes`) as the flag can do with; in a
 * text, such as a tag, each of them is U+FFFD, as restic stores it.
 *
 * @throws {UsageError} where that would be another file
 */
export function knownBytes(option: Option, value: string): string {
  if (!keepsBytes(value) || TAKE_BYTES.has(option.long)) return value;
  const text = textForPeople(bytesOfText(value));
  if (!NAMES_FILES.test(option.flags)) return text;
  throw invalidArgument(option.long!, text, "it is not UTF-8");
}
