import { DamagedError, YoreError } from "../errors.js";
import { posixModeFromNode, S_IFMT } from "../format/file-mode.js";
import type { TreeNode } from "../format/node.js";
import type { AccountNames } from "./account-names.js";
import type { FileCall } from "./file-call.js";

const NEW_FILE_MODE = 0o600;

export interface MetadataOptions {
  /** Given when owners go by name. */
  readonly accounts: AccountNames | undefined;
  /** Which extended attributes are touched; all when left out. */
  readonly selectXattr: ((name: string) => boolean) | undefined;
  /**
   * Extended attributes to remove besides: those of the thing that is there which `selectXattr` selects. Only needed
   * with `selectXattr`; without, all that the node does not have are removed.
   */
  readonly presentXattrs?: readonly string[] | undefined;
}

/** The call that makes a node that is neither file nor folder. @throws {YoreError} if it is none that can be made */
export function createCall(node: TreeNode, name: Buffer): FileCall {
  switch (node.type) {
    case "symlink":
      if (!node.linkTarget || node.linkTarget.length === 0)
        throw new DamagedError("Cannot make a symbolic link: it has no target");
      return { kind: "symlink", name, target: node.linkTarget };
    case "fifo":
    case "dev":
    case "chardev": {
      const mode = (posixModeFromNode(node) & S_IFMT) | NEW_FILE_MODE;
      return { kind: "node", name, mode, device: node.type === "fifo" ? 0n : node.device };
    }
    default:
      throw new YoreError("not-supported", `Cannot make a node of type "${node.type}"`);
  }
}

/**
 * The calls that give a thing its owner, extended attributes, times and mode, in the order that works: a new owner takes
 * away setuid bits and capabilities, attributes that go make room for those that come, an ACL changes the mode, and whoever
 * may not write any more cannot set attributes.
 */
export function metadataCalls(node: TreeNode, name: Buffer, options: MetadataOptions): FileCall[] {
  const { accounts, selectXattr } = options;
  const uid = accounts?.users.get(node.user) ?? node.uid;
  const gid = accounts?.groups.get(node.group) ?? node.gid;
  const calls: FileCall[] = [{ kind: "owner", name, uid, gid }];
  const wanted = node.extendedAttributes.filter(
    (attribute) => !attribute.name.includes("\0") && (selectXattr?.(attribute.name) ?? true),
  );
  const attributes = wanted.map((attribute) => attribute.name);
  if (!selectXattr) calls.push({ kind: "keep-xattrs", name, attributes });
  else if (options.presentXattrs) {
    const kept = options.presentXattrs.filter((present) => !selectXattr(present));
    calls.push({ kind: "keep-xattrs", name, attributes: [...attributes, ...kept] });
  }
  for (const { name: attribute, value } of wanted)
    calls.push({ kind: "set-xattr", name, attribute, value: value ?? Buffer.alloc(0) });
  calls.push({ kind: "times", name, mtime: node.mtime, atime: node.atime });
  if (node.type !== "symlink") calls.push({ kind: "mode", name, mode: posixModeFromNode(node) & ~S_IFMT });
  return calls;
}
