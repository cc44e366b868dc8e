import { type Id, parseId } from "../bytes/id.js";
import { FormatError, messageOf } from "../errors.js";
import { parseTimestamp, type Timestamp } from "./timestamp.js";

/** As for `JsonReader`. `JSON.parse` takes any depth, but whatever walks the value or writes it again exhausts the stack. */
const MAX_DEPTH = 500;

/** The members of one object of a small JSON file, each taken out with a check: what was wanted, what is there, where. */
export class JsonFields {
  readonly #what: string;
  readonly #members: Readonly<Record<string, unknown>>;
  readonly #taken = new Set<string>();

  /** @param what names the object for errors: `config`, `summary of snapshot` */
  constructor(what: string, value: unknown) {
    this.#what = what;
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw this.#wrong(undefined, "an object", value);
    this.#members = value as Record<string, unknown>;
  }

  /** Parses the JSON of a whole file. @throws {FormatError} if it is none, or no object */
  static parse(what: string, bytes: Uint8Array): JsonFields {
    if (bytes.length === 0) throw new FormatError(`Cannot decode ${what}: the file is empty`);
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw new FormatError(`Cannot decode ${what}: want JSON, have ${messageOf(cause)}`, { cause });
    }
    if (!isFlat(value, MAX_DEPTH))
      throw new FormatError(`Cannot decode ${what}: want nesting of at most ${MAX_DEPTH} levels`);
    return new JsonFields(what, value);
  }

  /** A text; missing or null is "". */
  text(key: string): string {
    const value = this.#take(key);
    if (value === undefined) return "";
    if (typeof value !== "string") throw this.#wrong(key, "a string", value);
    return value;
  }

  /** A text that must be there and not be empty. */
  requiredText(key: string): string {
    const value = this.text(key);
    if (value === "") throw this.#wrong(key, "a string", this.#members[key]);
    return value;
  }

  /** A whole number from 0 on; missing or null is 0. */
  count(key: string, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.#take(key);
    if (value === undefined) return 0;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > max)
      throw this.#wrong(key, `a whole number from 0 to ${max}`, value);
    return value;
  }

  /** A count that only informs: all beyond 2^53 - 1 that fits 64 bits is taken for that. */
  clampedCount(key: string): number {
    return Math.min(this.count(key, 2 ** 64), Number.MAX_SAFE_INTEGER);
  }

  flag(key: string): boolean {
    const value = this.#take(key);
    if (value !== undefined && typeof value !== "boolean") throw this.#wrong(key, "true or false", value);
    return value ?? false;
  }

  /** A list of texts; missing or null is empty. */
  texts(key: string): string[] {
    const value = this.#take(key);
    if (value === undefined) return [];
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
      throw this.#wrong(key, "an array of strings", value);
    return value;
  }

  time(key: string): Timestamp | undefined {
    const value = this.#take(key);
    if (value === undefined) return undefined;
    if (typeof value !== "string") throw this.#wrong(key, "a time", value);
    try {
      return parseTimestamp(value);
    } catch (cause) {
      throw this.#wrong(key, "a time in RFC 3339", value, cause);
    }
  }

  requiredTime(key: string): Timestamp {
    const time = this.time(key);
    if (time === undefined) throw this.#wrong(key, "a time", undefined);
    return time;
  }

  id(key: string): Id | undefined {
    const value = this.#take(key);
    if (value === undefined) return undefined;
    const id = typeof value === "string" ? parseId(value) : undefined;
    if (id === undefined) throw this.#wrong(key, "an ID of 64 hex digits", value);
    return id;
  }

  requiredId(key: string): Id {
    const id = this.id(key);
    if (id === undefined) throw this.#wrong(key, "an ID of 64 hex digits", undefined);
    return id;
  }

  /** Bytes in base64; missing or null is empty. */
  bytes(key: string): Buffer {
    const text = this.text(key);
    const bytes = decodeBase64(text);
    if (bytes === undefined) throw this.#wrong(key, "base64", text);
    return bytes;
  }

  object(key: string): JsonFields | undefined {
    const value = this.#take(key);
    return value === undefined ? undefined : new JsonFields(`${key} of ${this.#what}`, value);
  }

  /** The members that nobody has asked for, in their order: what other programs have added. */
  unknown(): Record<string, unknown> {
    return Object.fromEntries(Object.entries(this.#members).filter(([key]) => !this.#taken.has(key)));
  }

  #take(key: string): unknown {
    this.#taken.add(key);
    return Object.hasOwn(this.#members, key) ? (this.#members[key] ?? undefined) : undefined;
  }

  #wrong(key: string | undefined, wanted: string, value: unknown, cause?: unknown): FormatError {
    const where = key === undefined ? "" : ` for "${key}"`;
    return new FormatError(`Cannot decode ${this.#what}: want ${wanted}${where}, have ${describe(value)}`, {
      cause,
    });
  }
}

/** Whether a value has at most so many levels. */
function isFlat(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return levels > 0 && Object.values(value).every((inner) => isFlat(inner, levels - 1));
}

/** Standard base64 with padding, and nothing else, as Go wants it; `undefined` for all other text. */
export function decodeBase64(text: string): Buffer | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  return Buffer.from(text, "base64");
}

/** A value as an error message may show it: cut short, and secrets never come this way. */
export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = typeof value === "bigint" ? value.toString() : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
