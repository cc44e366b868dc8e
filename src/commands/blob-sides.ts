import type { Id } from "../bytes/id.js";
import type { BlobType } from "../format/blob.js";
import { IdNumbers } from "../repository/id-numbers.js";

/** Sides of a comparison, as bits. */
export const LEFT = 1;
export const RIGHT = 2;
export const BOTH = 3;

/** Which blobs two sides have: about 45 bytes for each blob, however many have it. */
export class BlobSides {
  readonly #known = { data: new SidesOfIds(), tree: new SidesOfIds() };

  add(type: BlobType, id: Id, sides: number): void {
    this.#known[type].add(id, sides);
  }

  /** The other side, of which not all is added, has a blob as well. */
  addIfKnown(type: BlobType, id: Id): void {
    this.#known[type].addIfKnown(id);
  }

  /** The blobs of a type that only one side has; views. */
  onlyOf(type: BlobType, side: number): Iterable<Id> {
    return this.#known[type].only(side);
  }
}

class SidesOfIds {
  readonly #numbers = new IdNumbers();
  /** By number; longer than there are numbers. */
  #sides = new Uint8Array(1024);

  add(id: Id, sides: number): void {
    const number = this.#numbers.add(id);
    if (number >= this.#sides.length) {
      const larger = new Uint8Array(2 * this.#sides.length);
      larger.set(this.#sides);
      this.#sides = larger;
    }
    this.#sides[number]! |= sides;
  }

  addIfKnown(id: Id): void {
    const number = this.#numbers.numberOf(id);
    if (number >= 0) this.#sides[number] = BOTH;
  }

  *only(side: number): Generator<Id, void, undefined> {
    for (let number = 0; number < this.#numbers.length; number++)
      if (this.#sides[number] === side) yield this.#numbers.at(number);
  }
}
