import { pathText } from "./path-text.js";

/**
 * Text files with one entry a line: files of patterns (`--exclude-file` and its like) and files of names
 * (`--files-from`). Entries are bytes until somebody knows better, since names need not be UTF-8.
 */

/**
 * The lines of a file, without their ends (LF or CR LF). UTF-16 is recognised by its byte order mark and
 * becomes UTF-8; no mark is kept.
 */
export function readTextLines(bytes: Uint8Array): Buffer[] {
  const text = toUtf8(bytes);
  const lines: Buffer[] = [];
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf(0x0a, start);
    const end = newline < 0 ? text.length : newline;
    lines.push(text.subarray(start, end > start && text[end - 1] === 0x0d ? end - 1 : end));
    start = end + 1;
  }
  return lines;
}

function toUtf8(bytes: Uint8Array): Buffer {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return Buffer.from(new TextDecoder("utf-16le").decode(bytes));
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return Buffer.from(new TextDecoder("utf-16be").decode(bytes));
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? buffer.subarray(3) : buffer;
}

/**
 * The patterns of a pattern file: lines are trimmed, empty ones and those that begin with `#` left out,
 * `$NAME` and `${NAME}` replaced by the variable (nothing when it is not set), `$$` by a dollar sign.
 */
export function parsePatternFile(
  bytes: Uint8Array,
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  return readTextLines(bytes)
    .map((line) => trimSpace(pathText(line)))
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => expandVariables(line, environment));
}

/** Go's `strings.TrimSpace`: Unicode's white space, which lacks U+FEFF that JavaScript trims as well. */
export function trimSpace(line: string): string {
  return line.replace(/^[\t\n\v\f\r\u0085\p{Zs}\u2028\u2029]+|[\t\n\v\f\r\u0085\p{Zs}\u2028\u2029]+$/gu, "");
}

/** Go's `os.Expand`: a brace that is not closed vanishes with its dollar sign, a lone dollar sign stays. */
function expandVariables(line: string, environment: Readonly<Record<string, string | undefined>>): string {
  return line.replace(
    /\$(?:\{([^}]*)\}|(\{)|([*#$@!?0-9-])|([A-Za-z_][A-Za-z0-9_]*))/g,
    (_, braced: string | undefined, brace: string | undefined, special: string | undefined, plain) => {
      if (brace !== undefined) return "";
      const name = braced ?? special ?? (plain as string);
      return name === "$" ? "$" : (environment[name] ?? "");
    },
  );
}
