import type { ListingWriter } from "../commands/ls.js";
import { posixModeFromNode, S_IFMT } from "../format/file-mode.js";
import { goJsonBytes } from "../format/go-json.js";
import type { TreeNode } from "../format/node.js";
import { encodeSnapshot, type LoadedSnapshot } from "../format/snapshot.js";
import type { WalkedNode } from "../mod.js";
import type { Output } from "./output.js";

const DISK_BLOCK_BYTES = 512;

/** Writes what `ncdu -f -` reads (format 1.2, dev.yorhel.nl/ncdu/jsonfmt): directories as nested arrays. */
export class NcduWriter implements ListingWriter {
  readonly #output: Output;
  #depth = 1;

  constructor(output: Output) {
    this.#output = output;
  }

  start(snapshot: LoadedSnapshot): void {
    this.#output.write(`[1, 2, ${encodeSnapshot(snapshot)}, [{"name":"/"}`);
  }

  write({ node }: WalkedNode): Promise<void> | undefined {
    if (node.type !== "dir") return this.#output.write(`,\n${this.#indent}${ncduNode(node)}`);
    const outside = this.#indent;
    this.#depth++;
    return this.#output.write(`,\n${outside}[\n${this.#indent}${ncduNode(node)}`);
  }

  leave(): void {
    this.#depth--;
    this.#output.write(`\n${this.#indent}]`);
  }

  end(): void {
    this.#output.write("\n]\n]\n");
  }

  get #indent(): string {
    return "  ".repeat(this.#depth);
  }
}

function ncduNode(node: TreeNode): string {
  const onDisk = Math.ceil(node.size / DISK_BLOCK_BYTES) * DISK_BLOCK_BYTES;
  const isSpecial = node.type !== "dir" && node.type !== "file";
  const mode = posixModeFromNode(node) & ~S_IFMT;
  return (
    `{"name":${goJsonBytes(node.name)},"asize":${node.size},"dsize":${onDisk},"dev":${node.deviceId},` +
    `"ino":${node.inode},"nlink":${node.links},"notreg":${isSpecial},"uid":${node.uid},"gid":${node.gid},` +
    `"mode":${mode},"mtime":${Math.max(0, node.mtime.seconds)}}`
  );
}
