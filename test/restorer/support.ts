import { readdir } from "node:fs/promises";
import { type Id, IdList } from "../../src/bytes/id.js";
import { GO_MODE_DIR } from "../../src/format/file-mode.js";
import type { TreeNode } from "../../src/format/node.js";
import { encodeTree } from "../../src/format/tree.js";
import type { Repository } from "../../src/repository/repository.js";
import { restore } from "../../src/restorer/restore.js";
import type { RestoreEvent, RestoreOptions } from "../../src/restorer/restore-options.js";
import { node } from "../repository/support.js";

export const MTIME = { seconds: 1_600_000_000, nanoseconds: 123_456_789, zoneMinutes: 0 };

export async function saveData(repository: Repository, ...pieces: Uint8Array[]): Promise<IdList> {
  const saved = await Promise.all(pieces.map((piece) => repository.saveBlob("data", piece)));
  return IdList.from(saved.map(({ id }) => id));
}

export function common(fields: Partial<TreeNode>): Partial<TreeNode> {
  return { mtime: MTIME, atime: MTIME, uid: process.getuid!(), gid: process.getgid!(), ...fields };
}

export async function file(repository: Repository, name: string, ...pieces: Uint8Array[]): Promise<TreeNode> {
  const content = await saveData(repository, ...pieces);
  const size = pieces.reduce((sum, { length }) => sum + length, 0);
  return node(name, common({ type: "file", mode: 0o644, content, size }));
}

export function symlinkTo(name: string, target: string): TreeNode {
  return node(name, common({ type: "symlink", linkTarget: Buffer.from(target), content: null, mode: 0o777 }));
}

export function folderOf(name: string, subtree: Id): TreeNode {
  return node(name, common({ type: "dir", mode: GO_MODE_DIR + 0o755, subtree, content: null }));
}

export async function saveTree(repository: Repository, nodes: readonly TreeNode[]): Promise<Id> {
  const sorted = [...nodes].sort((a, b) => Buffer.compare(a.name, b.name));
  return (await repository.saveBlob("tree", encodeTree(sorted))).id;
}

/** A tree that no honest program writes: any names, in any order. */
export async function saveForgedTree(repository: Repository, nodes: readonly TreeNode[]): Promise<Id> {
  const texts = nodes.map((one) => {
    const stand = { ...one, name: Buffer.from("NAME") };
    const json = encodeTree([stand]).toString();
    return json
      .slice('{"nodes":['.length, -"]}\n".length)
      .replace('"NAME"', JSON.stringify(one.name.toString()));
  });
  const blob = Buffer.from(`{"nodes":[${texts.join(",")}]}\n`);
  return (await repository.saveBlob("tree", blob)).id;
}

export async function restoreTo(
  repository: Repository,
  tree: Id,
  target: string,
  options: Partial<RestoreOptions> = {},
) {
  await repository.flush();
  const events: RestoreEvent[] = [];
  const summary = await restore(
    repository,
    tree,
    { target, ...options },
    { on: (event) => void events.push(event) },
  );
  const errors = events.filter((event) => event.type === "error");
  const warnings = events.filter((event) => event.type === "warning");
  return { summary, events, errors, warnings };
}

export async function listing(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).sort();
}
