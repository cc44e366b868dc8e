import { isUtf8 } from "node:buffer";
import { goJsonBytes, goJsonString } from "../format/go-json.js";
import type { TreeNode } from "../format/node.js";
import { formatLocalTime, formatTimestamp } from "../format/timestamp.js";
import { formatGoMode, goModeOfNode } from "./go-file-mode.js";
import { formatBytes } from "./units.js";

export interface LongLineOptions {
  /** How names and link targets are shown. */
  readonly name: (bytes: Buffer) => Buffer;
  readonly humanReadable: boolean;
}

const ARROW = Buffer.from(" -> ");

/** "-rw-r--r--     0     0   1234 2026-11-22 14:51:22 /path", and the target of a symlink; as bytes, for the names are. */
export function longLine(path: Buffer, node: TreeNode, options: LongLineOptions): Buffer {
  const owner = `${String(node.uid).padStart(5)} ${String(node.gid).padStart(5)}`;
  const size = options.humanReadable ? formatBytes(node.size) : String(node.size).padStart(6);
  const front = `${formatGoMode(goModeOfNode(node))} ${owner} ${size} ${formatLocalTime(node.mtime)} `;
  const pieces = [Buffer.from(front), options.name(path)];
  if (node.type === "symlink") pieces.push(ARROW, options.name(node.linkTarget ?? Buffer.alloc(0)));
  return Buffer.concat(pieces);
}

/** A node as restic's `ls --json` has it. */
export function nodeJson(path: Buffer, node: TreeNode): string {
  const parts = [
    `"name":${goJsonBytes(node.name)}`,
    `"type":${goJsonString(node.type)}`,
    `"path":${goJsonBytes(path)}`,
    `"uid":${node.uid}`,
    `"gid":${node.gid}`,
    ...(node.type === "file" || node.size > 0 ? [`"size":${node.size}`] : []),
    ...(node.mode === 0 ? [] : [`"mode":${node.mode}`]),
    `"permissions":${goJsonString(formatGoMode(node.mode))}`,
    `"mtime":"${formatTimestamp(node.mtime)}"`,
    `"atime":"${formatTimestamp(node.atime)}"`,
    `"ctime":"${formatTimestamp(node.ctime)}"`,
    ...(node.inode === 0n ? [] : [`"inode":${node.inode}`]),
    `"message_type":"node","struct_type":"node"`,
  ];
  return `{${parts.join(",")}}`;
}

/** A node as restic's `find --json` has it: all that a tree says, but for what only programs want to know. */
export function foundNodeJson(path: Buffer, node: TreeNode): string {
  const parts = [
    `"path":${goJsonBytes(path)}`,
    `"permissions":${goJsonString(formatGoMode(node.mode))}`,
    `"type":${goJsonString(node.type)}`,
    ...(node.mode === 0 ? [] : [`"mode":${node.mode}`]),
    `"mtime":"${formatTimestamp(node.mtime)}"`,
    `"atime":"${formatTimestamp(node.atime)}"`,
    `"ctime":"${formatTimestamp(node.ctime)}"`,
    `"uid":${node.uid}`,
    `"gid":${node.gid}`,
    ...(node.user === "" ? [] : [`"user":${goJsonString(node.user)}`]),
    ...(node.group === "" ? [] : [`"group":${goJsonString(node.group)}`]),
    ...(node.inode === 0n ? [] : [`"inode":${node.inode}`]),
    ...(node.deviceId === 0n ? [] : [`"device_id":${node.deviceId}`]),
    ...(node.size === 0 ? [] : [`"size":${node.size}`]),
    ...(node.links === 0 ? [] : [`"links":${node.links}`]),
    ...linkTargetJson(node.linkTarget),
    ...(node.error === "" ? [] : [`"error":${goJsonString(node.error)}`]),
  ];
  return `{${parts.join(",")}}`;
}

function linkTargetJson(target: Buffer | undefined): string[] {
  if (!target || target.length === 0) return [];
  const raw = isUtf8(target) ? [] : [`"linktarget_raw":"${target.toString("base64")}"`];
  return [`"linktarget":${goJsonBytes(target)}`, ...raw];
}
