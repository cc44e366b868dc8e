/**
 * Reads JSON straight from bytes, value by value, as the caller asks for it. Trees and indexes are read by the million
 * and most of what they hold is IDs and numbers, which need not become text first: this is three times as fast as
 * `JSON.parse` and walking the result, and 64-bit integers stay exact.
 *
 * The caller knows what should come and asks for that: `beginObject`, `nextMember` until it says `END`, and for each
 * member exactly one value (`skip` for those it does not want). Anything else there is a `FormatError` that says what was
 * wanted, what is there and at which offset. What is skipped is checked for being JSON as well.
 */

import { FormatError } from "../errors.js";
import { NameTable, standsAt, UNKNOWN } from "./name-table.js";
import { isUtf8, textForPeople } from "./utf8.js";

/** `nextMember`: the object is over. */
export const END = -2;

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const ZERO = 0x30;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const NOTHING = -1;

const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;
/** So many digits always fit a number. */
const EXACT_DIGITS = 15;
/** No honest file nests deeper; a hostile one must not exhaust the stack. */
const MAX_DEPTH = 500;
const NUMBER = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;
const LITERALS = ["true", "false", "null"].map((text) => Buffer.from(text, "latin1"));
const NULL = LITERALS[2]!;

/** Value of each hex digit by its byte, lower case only as IDs are; 16 for all other bytes. */
const HEX_VALUES = new Uint8Array(256).fill(16);
for (const [value, digit] of Buffer.from("0123456789abcdef", "latin1").entries()) HEX_VALUES[digit] = value;

export class JsonReader {
  readonly #bytes: Buffer;
  readonly #where: () => string;
  #at = 0;
  /** True between an opening bracket and its first item: no comma is due. */
  #fresh = false;
  #start = 0;
  #end = 0;
  #escaped = false;
  #ascii = true;

  /** @param where names what is read, for errors: `tree`, `node 3 of tree` */
  constructor(bytes: Uint8Array, where: () => string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#where = where;
  }

  /** Bytes from the start of the next value or of what lies before it. May be set back to read a value again. */
  get offset(): number {
    return this.#at;
  }

  set offset(offset: number) {
    this.#at = offset;
  }

  beginObject(): void {
    if (this.#peek() !== OPEN_BRACE) throw this.wrong("an object");
    this.#at += 1;
    this.#fresh = true;
  }

  /** Moves to the next member. @returns its name's position in the table, `UNKNOWN` or `END` */
  nextMember(names: NameTable): number {
    let byte = this.#peek();
    if (byte === CLOSE_BRACE) {
      this.#at += 1;
      this.#fresh = false;
      return END;
    }
    if (!this.#fresh) {
      if (byte !== COMMA) throw this.wrong('"," or "}"');
      this.#at += 1;
      byte = this.#peek();
    }
    if (byte !== QUOTE) throw this.wrong("a name");
    this.#fresh = false;
    const position = this.#match(names);
    if (this.#peek() !== COLON) throw this.wrong('":"');
    this.#at += 1;
    return position;
  }

  beginArray(): void {
    if (this.#peek() !== OPEN_BRACKET) throw this.wrong("an array");
    this.#at += 1;
    this.#fresh = true;
  }

  /** Moves to the next item of the array. @returns false when it is over */
  nextItem(): boolean {
    const byte = this.#peek();
    if (byte === CLOSE_BRACKET) {
      this.#at += 1;
      this.#fresh = false;
      return false;
    }
    if (!this.#fresh) {
      if (byte !== COMMA) throw this.wrong('"," or "]"');
      this.#at += 1;
    }
    this.#fresh = false;
    return true;
  }

  /** Takes a `null`, if there is one. */
  takeNull(): boolean {
    if (this.#peek() !== 0x6e || !standsAt(this.#bytes, this.#at, NULL)) return false;
    this.#at += NULL.length;
    return true;
  }

  /** True if an array comes next. */
  isArray(): boolean {
    return this.#peek() === OPEN_BRACKET;
  }

  /** A string that should be one of a table. @returns its position or `UNKNOWN` */
  oneOf(names: NameTable): number {
    if (this.#peek() !== QUOTE) throw this.wrong("a string");
    return this.#match(names);
  }

  /** A string. @param likely what it probably is, which spares making it anew */
  text(likely = ""): string {
    this.takeString();
    return this.#holds(likely) ? likely : this.#text();
  }

  /**
   * Takes a string without making anything of it: it lies in `bytes` from `start` to `end`.
   *
   * @returns true if it is ASCII without escapes, which is to say that the bytes there are the text
   */
  takeString(): boolean {
    this.#string();
    return this.#ascii && !this.#escaped;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  /** The UTF-8 of the string that was taken last, a view where possible; what is no UTF-8 became U+FFFD. */
  takenBytes(): Buffer {
    const bytes = this.#bytes.subarray(this.#start, this.#end);
    return !this.#escaped && (this.#ascii || isUtf8(bytes)) ? bytes : Buffer.from(this.#text(), "utf8");
  }

  /** An ID as 64 hex digits, written as 32 bytes. */
  id(into: Uint8Array, offset: number): void {
    if (this.#peek() !== QUOTE) throw this.wrong("an ID of 64 hex digits");
    const bytes = this.#bytes;
    const start = this.#at + 1;
    // One digit that is none sets bit 4; beyond the end there is nothing, which the closing quote shows.
    let seen = 0;
    for (let i = 0; i < 32; i++) {
      const high = HEX_VALUES[bytes[start + 2 * i]!]!;
      const low = HEX_VALUES[bytes[start + 2 * i + 1]!]!;
      seen |= high | low;
      into[offset + i] = (high << 4) | low;
    }
    if (seen > 15 || bytes[start + 64] !== QUOTE) throw this.wrong("an ID of 64 hex digits");
    this.#at = start + 65;
  }

  /** A whole number from 0 to a bound that is at most 2^53 - 1. */
  uint(max: number): number {
    const digits = this.#digits();
    if (digits <= EXACT_DIGITS) {
      const value = this.#exact();
      if (value <= max) return value;
    } else if (this.#bigint() <= max) {
      return Number(this.#bigint());
    }
    this.#at = this.#start;
    throw this.wrong(`a whole number from 0 to ${max}`);
  }

  /** A whole number from 0 to 2^64 - 1, of which all beyond 2^53 - 1 are taken for that. */
  clampedUint64(): number {
    if (this.#digits() <= EXACT_DIGITS) return this.#exact();
    this.#at = this.#start;
    const value = this.uint64();
    return value > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : Number(value);
  }

  /** A whole number from 0 to 2^64 - 1. @param likely what it probably is, which spares making it anew */
  uint64(likely = 0n): bigint {
    const digits = this.#digits();
    if (digits <= EXACT_DIGITS) {
      const value = this.#exact();
      return Number(likely) === value ? likely : BigInt(value);
    }
    const value = digits <= 20 ? this.#bigint() : MAX_UINT64 + 1n;
    if (value <= MAX_UINT64) return value;
    this.#at = this.#start;
    throw this.wrong(`a whole number from 0 to ${MAX_UINT64}`);
  }

  /** Leaves out one value of any kind. */
  skip(): void {
    this.#skip(0);
  }

  /** One value of any kind, parsed. */
  value(): unknown {
    this.#peek();
    const start = this.#at;
    this.skip();
    return JSON.parse(textForPeople(this.#bytes.subarray(start, this.#at)));
  }

  /** Checks that nothing but white space follows. */
  finish(): void {
    if (this.#peek() !== NOTHING) throw this.wrong("the end");
  }

  /** The error for something else than what was wanted at the present place. */
  wrong(wanted: string, cause?: unknown): FormatError {
    const have = this.#bytes.subarray(this.#at, this.#at + 40);
    const text = have.length === 0 ? "the end" : JSON.stringify(textForPeople(have));
    return new FormatError(
      `Cannot decode ${this.#where()}: want ${wanted} at offset ${this.#at}, have ${text}`,
      { cause },
    );
  }

  /** The next byte that is no white space, without taking it. */
  #peek(): number {
    const bytes = this.#bytes;
    let at = this.#at;
    while (at < bytes.length) {
      const byte = bytes[at]!;
      if (byte > SPACE || (byte !== SPACE && byte !== NEWLINE && byte !== RETURN && byte !== TAB)) {
        this.#at = at;
        return byte;
      }
      at += 1;
    }
    this.#at = at;
    return NOTHING;
  }

  /** Takes the string at the present place, a quote, and looks for it in the table. */
  #match(names: NameTable): number {
    const position = names.match(this.#bytes, this.#at);
    if (position !== UNKNOWN) {
      this.#at += names.quotedLength(position);
      return position;
    }
    this.#string();
    return this.#escaped ? names.names.indexOf(this.#text()) : UNKNOWN;
  }

  /** Takes a string: sets where it starts and ends within the quotes and what must be known to decode it. */
  #string(): void {
    if (this.#peek() !== QUOTE) throw this.wrong("a string");
    const bytes = this.#bytes;
    const start = this.#at + 1;
    this.#escaped = false;
    let all = 0;
    for (let at = start; at < bytes.length; at++) {
      const byte = bytes[at]!;
      all |= byte;
      if (byte === QUOTE) {
        this.#start = start;
        this.#end = at;
        this.#ascii = all < 0x80;
        this.#at = at + 1;
        return;
      }
      if (byte === BACKSLASH) {
        this.#escaped = true;
        at += 1;
      } else if (byte < SPACE) {
        this.#at = at;
        throw this.wrong("no control character within a string");
      }
    }
    throw this.wrong("a string that ends");
  }

  #holds(text: string): boolean {
    const length = this.#end - this.#start;
    if (text.length !== length || this.#escaped || !this.#ascii) return false;
    for (let i = 0; i < length; i++) {
      if (this.#bytes[this.#start + i] !== text.charCodeAt(i)) return false;
    }
    return true;
  }

  /** The text of the string that was taken last. */
  #text(): string {
    if (this.#ascii && !this.#escaped) return this.#bytes.toString("latin1", this.#start, this.#end);
    const text = textForPeople(this.#bytes.subarray(this.#start, this.#end));
    if (!this.#escaped) return text;
    try {
      return JSON.parse(`"${text}"`) as string;
    } catch (cause) {
      this.#at = this.#start;
      throw this.wrong("a string with known escapes", cause);
    }
  }

  /** Takes a whole number without sign, fraction or exponent. @returns how many digits it has */
  #digits(): number {
    this.#peek();
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    while (at < bytes.length && bytes[at]! >= ZERO && bytes[at]! <= ZERO + 9) at += 1;
    const leadingZero = bytes[start] === ZERO && at > start + 1;
    // What must follow a number within an object or an array; a fraction, for one, must not.
    if (at === start || leadingZero || !endsNumber(bytes, at)) throw this.wrong("a whole number from 0 on");
    this.#start = start;
    this.#end = at;
    this.#at = at;
    return at - start;
  }

  /** The number that was taken last, of at most `EXACT_DIGITS`. */
  #exact(): number {
    let value = 0;
    for (let i = this.#start; i < this.#end; i++) value = value * 10 + (this.#bytes[i]! - ZERO);
    return value;
  }

  #bigint(): bigint {
    return BigInt(this.#bytes.toString("latin1", this.#start, this.#end));
  }

  #skip(depth: number): void {
    if (depth > MAX_DEPTH) throw this.wrong(`nesting of at most ${MAX_DEPTH} levels`);
    switch (this.#peek()) {
      case QUOTE:
        this.#string();
        if (this.#escaped) this.#text();
        return;
      case OPEN_BRACE:
        this.beginObject();
        while (this.nextMember(NO_NAMES) !== END) this.#skip(depth + 1);
        return;
      case OPEN_BRACKET:
        this.beginArray();
        while (this.nextItem()) this.#skip(depth + 1);
        return;
      default:
        this.#skipWord();
    }
  }

  #skipWord(): void {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    while (at < bytes.length && !endsNumber(bytes, at)) at += 1;
    const word = bytes.subarray(start, at);
    const known = LITERALS.some((literal) => literal.equals(word)) || NUMBER.test(word.toString("latin1"));
    if (!known) throw this.wrong("a value");
    this.#at = at;
  }
}

const NO_NAMES = new NameTable([]);

/** True at the end and before what may follow a number or a literal. */
function endsNumber(bytes: Uint8Array, at: number): boolean {
  if (at >= bytes.length) return true;
  const byte = bytes[at]!;
  return (
    byte === COMMA ||
    byte === CLOSE_BRACE ||
    byte === CLOSE_BRACKET ||
    byte === SPACE ||
    byte === NEWLINE ||
    byte === RETURN ||
    byte === TAB
  );
}
