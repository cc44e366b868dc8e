import { ID_LENGTH, type Id } from "../bytes/id.js";
import { isSafeName, quoteName } from "../format/name-quoting.js";
import type { TreeNode } from "../format/node.js";
import type { BlobLoader } from "../repository/blob-loader.js";

/** Everything that is wrong with the nodes of a tree, given the index; `onBlob` hears of every blob of content. */
export function treeProblems(
  nodes: readonly TreeNode[],
  loader: Pick<BlobLoader, "blobSize">,
  onBlob: ((id: Id) => void) | undefined,
): string[] {
  const problems: string[] = [];
  for (const node of nodes) {
    const name = quoteName(node.name);
    if (node.name.length === 0) problems.push("node with empty name");
    else if (!isSafeName(node.name)) problems.push(`node "${name}" has a name that leads elsewhere`);
    switch (node.type) {
      case "file":
        if (!node.content) problems.push(`file "${name}" has no list of blobs`);
        for (const [position, id] of [...(node.content ?? [])].entries()) {
          onBlob?.(id);
          if (isNull(id)) problems.push(`file "${name}" blob ${position} has a null ID`);
          else if (loader.blobSize("data", id) === undefined)
            problems.push(
              `file "${name}" blob ${position} (${Buffer.from(id).toString("hex")}) is in no index`,
            );
        }
        break;
      case "dir":
        if (!node.subtree) problems.push(`directory "${name}" has no tree`);
        else if (isNull(node.subtree)) problems.push(`directory "${name}" has a null tree ID`);
        break;
      case "irregular":
        problems.push(`node "${name}" is of no type that can be restored`);
        break;
    }
  }
  return problems;
}

function isNull(id: Uint8Array): boolean {
  for (let i = 0; i < ID_LENGTH; i++) if (id[i] !== 0) return false;
  return true;
}
