import { bytesOfText, keepsBytes } from "./utf8.js";

/** Takes what `printf %b` makes of each word, without its last character: a command's output loses newlines at its end. */
const SCRIPT = `for word do shift; word=$(printf %b. "$word"); set -- "$@" "\${word%.}"; done; exec "$@"`;

/** What a shell exits with when there is no such program. */
export const EXIT_NO_PROGRAM = 127;

/**
 * A program and its arguments as Node.js can start them. It hands over UTF-8 only, so that words that keep other bytes
 * (`textKeepingBytes`) go through a shell.
 */
export function commandWords(words: readonly string[]): readonly string[] {
  return words.some(keepsBytes) ? ["sh", "-c", SCRIPT, "sh", ...words.map(inOctal)] : words;
}

function inOctal(word: string): string {
  return Array.from(bytesOfText(word), (byte) => `\\0${byte.toString(8).padStart(3, "0")}`).join("");
}
