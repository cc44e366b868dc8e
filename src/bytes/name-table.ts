/** What `match` returns when none of the names is there. */
export const UNKNOWN = -1;

/** Names that are looked for in JSON, found by their bytes without becoming text. */
export class NameTable {
  readonly names: readonly string[];
  readonly #quoted: readonly Uint8Array[];
  /** Which name came after each one the last time: things written by one program have the same names in the same order. */
  readonly #followers: Uint8Array;
  #last = 0;

  /** @param names plain ASCII, at most 255 */
  constructor(names: readonly string[]) {
    this.names = names;
    this.#quoted = names.map((name) => Buffer.from(`"${name}"`, "latin1"));
    this.#followers = Uint8Array.from(names, (_, i) => (i + 1) % names.length);
  }

  /** The position of the quoted name that stands at an offset, or `UNKNOWN`. */
  match(bytes: Uint8Array, offset: number): number {
    const quoted = this.#quoted;
    let i = quoted.length === 0 ? 0 : this.#followers[this.#last]!;
    for (let tries = quoted.length; tries > 0; tries--) {
      if (standsAt(bytes, offset, quoted[i]!)) {
        this.#followers[this.#last] = i;
        this.#last = i;
        return i;
      }
      i = i + 1 === quoted.length ? 0 : i + 1;
    }
    return UNKNOWN;
  }

  /** Length of a quoted name in bytes. */
  quotedLength(position: number): number {
    return this.#quoted[position]!.length;
  }
}

/** True if these bytes stand at an offset. */
export function standsAt(bytes: Uint8Array, offset: number, wanted: Uint8Array): boolean {
  if (offset + wanted.length > bytes.length) return false;
  for (let i = 0; i < wanted.length; i++) {
    if (bytes[offset + i] !== wanted[i]) return false;
  }
  return true;
}
