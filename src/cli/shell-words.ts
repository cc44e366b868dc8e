import { UsageError } from "../errors.js";

/**
 * Splits a command line into words as a shell does, quotes and backslashes included, without any other meaning: no
 * variables, no globs, no pipes. @throws {UsageError} when a quote stays open
 */
export function splitShellWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: '"' | "'" | undefined;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (quote === "'") {
      if (character === "'") quote = undefined;
      else word += character;
    } else if (character === "\\") {
      const next = text[++i];
      if (next === undefined) throw new UsageError(`Cannot split "${text}": it ends in a backslash`);
      word = (word ?? "") + (quote && next !== '"' && next !== "\\" ? `\\${next}` : next);
    } else if (quote === '"') {
      if (character === '"') quote = undefined;
      else word += character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= "";
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + character;
    }
  }
  if (quote) throw new UsageError(`Cannot split "${text}": a quote is not closed`);
  if (word !== undefined) words.push(word);
  return words;
}
