import type { Writable } from "node:stream";
import { cutToWidth } from "./text-width.js";

const CLEAR_LINE = "\x1b[2K";
const CLEAR_BELOW = "\x1b[0J";

/**
 * A few lines at the bottom of a terminal that are drawn again and again. Everything else that goes to the terminal
 * passes through `writeAbove`, so the area is taken away before a line is written and comes back below it.
 */
export class StatusArea {
  readonly #terminal: (Writable & { readonly columns?: number }) | undefined;
  #lines: readonly string[] = [];
  #drawn = 0;

  /** @param terminal `undefined` when there is none: nothing is ever drawn */
  constructor(terminal: (Writable & { readonly columns?: number }) | undefined) {
    this.#terminal = terminal;
  }

  get usable(): boolean {
    return this.#terminal !== undefined;
  }

  /** Replaces what is shown. Lines that are too long for the terminal are cut. No lines hide the area. */
  show(lines: readonly string[]): void {
    this.#lines = lines;
    this.#terminal?.write(this.#erase() + this.#draw());
  }

  hide(): void {
    if (this.#drawn > 0 || this.#lines.length > 0) this.show([]);
  }

  /** Writes output that stays, above the area. A line that is not finished yet keeps the area away. */
  writeAbove(bytes: Uint8Array): void {
    if (!this.#terminal) return;
    const erased = this.#erase();
    if (erased) this.#terminal.write(erased);
    this.#terminal.write(bytes);
    if (erased && bytes.at(-1) === 0x0a) this.#terminal.write(this.#draw());
  }

  #erase(): string {
    if (this.#drawn === 0) return "";
    const up = this.#drawn > 1 ? `\x1b[${this.#drawn - 1}A` : "";
    this.#drawn = 0;
    return `\r${up}${CLEAR_LINE}${CLEAR_BELOW}`;
  }

  #draw(): string {
    const columns = this.#terminal?.columns || 80;
    this.#drawn = this.#lines.length;
    return this.#lines.map((line) => cutToWidth(line, columns - 1)).join("\n");
  }
}
