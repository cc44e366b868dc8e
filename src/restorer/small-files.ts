import type { TreeNode } from "../format/node.js";
import { pathText, textBytes } from "../patterns/mod.js";
import { ByteStore, NumberRows } from "./columns.js";
import type { FileStatus } from "./file-call.js";
import { FileStatuses } from "./file-statuses.js";
import { childOf, parentOf } from "./target-folder.js";

const FOLDER = 0;
const NAME = 1;
const NAME_LENGTH = 2;
const NODE_SIZE = 3;
const PLACE = 4;
const STATUS = 5;
const NONE = -1;

/** What most files are: new, and of one blob or none. Kept as numbers, about 60 bytes a file and 56 for a status. */
export class SmallFiles {
  readonly #rows = new NumberRows(6);
  readonly #names = new ByteStore();
  readonly #statuses = new FileStatuses();
  readonly #folders: string[] = [];

  get length(): number {
    return this.#rows.length;
  }

  /**
   * Files of a folder come one after the other, as a rule.
   *
   * @param place of its blob; `undefined` for an empty file
   * @param hasStatus whether owner, times and mode shall be set with the content
   * @returns the file's number
   */
  add(folder: string, node: TreeNode, place: number | undefined, hasStatus: boolean): number {
    if (this.#folders.at(-1) !== folder) this.#folders.push(folder);
    return this.#rows.add(
      this.#folders.length - 1,
      this.#names.add(node.name),
      node.name.length,
      node.size,
      place ?? NONE,
      hasStatus ? this.#statuses.add(node) : NONE,
    );
  }

  /** A number that two files share only if they are in the same folder. */
  folderNumber(file: number): number {
    return this.#rows.get(file, FOLDER);
  }

  folder(file: number): string {
    return this.#folders[this.folderNumber(file)]!;
  }

  /** A view. */
  name(file: number): Buffer {
    return this.#names.get(this.#rows.get(file, NAME), this.#rows.get(file, NAME_LENGTH));
  }

  location(file: number): string {
    return childOf(this.folder(file), pathText(this.name(file)));
  }

  /** Whether one of them has this location; looks at each. */
  has(location: string): boolean {
    const name = textBytes(location.slice(location.lastIndexOf("/") + 1));
    for (let file = 0; file < this.length; file++)
      if (this.name(file).equals(name) && this.folder(file) === parentOf(location)) return true;
    return false;
  }

  /** The size that the snapshot tells. */
  nodeSize(file: number): number {
    return this.#rows.get(file, NODE_SIZE);
  }

  place(file: number): number | undefined {
    const place = this.#rows.get(file, PLACE);
    return place === NONE ? undefined : place;
  }

  status(file: number): FileStatus | undefined {
    const status = this.#rows.get(file, STATUS);
    return status === NONE ? undefined : this.#statuses.at(status);
  }
}
