import { formatId, ID_LENGTH, type Id, type IdList } from "../bytes/id.js";
import { isSafeName, quoteName } from "../format/name-quoting.js";
import type { TreeNode } from "../format/node.js";
import type { BlobIndex } from "../repository/blob-index.js";
import type { VisitedTree } from "../repository/walk-tree.js";

/** What trees are held against. */
export interface TreeCheck {
  readonly index: Pick<BlobIndex, "has" | "hasAll">;
  /** Hears of every blob of content, of some more than once. */
  readonly onContent: ((id: Id) => void) | undefined;
}

/** Everything that is wrong with a tree. */
export function treeProblems(tree: VisitedTree, check: TreeCheck): string[] {
  const contents = tree.references?.contents;
  if (!contents || !check.index.hasAll("data", contents)) return nodeProblems(tree.nodes, check);
  // A tree whose references the engine could tell has no other problem than that some lead nowhere.
  if (check.onContent) for (const id of contents) check.onContent(id);
  return [];
}

function nodeProblems(nodes: Iterable<TreeNode>, check: TreeCheck): string[] {
  const problems: string[] = [];
  for (const node of nodes) {
    if (node.name.length === 0) problems.push("node with empty name");
    else if (!isSafeName(node.name)) problems.push(`node ${quoted(node)} has a name that leads elsewhere`);
    switch (node.type) {
      case "file":
        if (!node.content) problems.push(`file ${quoted(node)} has no list of blobs`);
        else addContentProblems(node, node.content, check, problems);
        break;
      case "dir":
        if (!node.subtree) problems.push(`directory ${quoted(node)} has no tree`);
        else if (isNull(node.subtree)) problems.push(`directory ${quoted(node)} has a null tree ID`);
        break;
      case "irregular":
        problems.push(`node ${quoted(node)} is of no type that can be restored`);
        break;
    }
  }
  return problems;
}

function addContentProblems(node: TreeNode, content: IdList, check: TreeCheck, problems: string[]): void {
  for (let position = 0; position < content.length; position++) {
    const id = content.at(position);
    check.onContent?.(id);
    if (isNull(id)) problems.push(`file ${quoted(node)} blob ${position} has a null ID`);
    else if (!check.index.has("data", id))
      problems.push(`file ${quoted(node)} blob ${position} (${formatId(id)}) is in no index`);
  }
}

function quoted({ name }: TreeNode): string {
  return `"${quoteName(name)}"`;
}

function isNull(id: Uint8Array): boolean {
  for (let i = 0; i < ID_LENGTH; i++) if (id[i] !== 0) return false;
  return true;
}
