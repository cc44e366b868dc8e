import { UsageError } from "../errors.js";
import { cleanRaw, displayPath, joinRaw, type RawPath } from "./raw-path.js";

/**
 * How a snapshot is to look above and at its targets: an absolute target keeps its whole path, a relative one
 * what was typed (without the leading dots); equal first names from different places get `-1`, `-2` ...
 * behind them.
 */
export interface TargetTree {
  children: ReadonlyMap<string, TargetTree>;
  /** What is to be saved here; `undefined` for a directory of which only what `children` names is saved. */
  path: RawPath | undefined;
  /** Of a directory that is only passed through: where its metadata is read. */
  metadataPath: RawPath | undefined;
  /** The folder that the first component was found in, to tell apart equal names. */
  root: string;
  /** True for what the user named: no exclude rule applies to it. */
  explicit: boolean;
}

export interface BackupTarget {
  readonly path: RawPath;
  readonly explicit: boolean;
}

type ListNames = (path: RawPath) => Promise<string[]>;

/**
 * Builds the tree of clean or unclean target paths, as typed.
 *
 * @param listNames lists a directory: `.`, `..` and `/` stand for what is in them, and so does a target with
 *   another target inside it
 * @throws {UsageError} if two targets would take the same place
 */
export async function buildTargetTree(
  targets: readonly RawPath[],
  listNames: ListNames,
): Promise<TargetTree> {
  const root = emptyTree("");
  const seen = new Set<string>();
  for (const target of await expandRelativeTargets(targets, listNames)) {
    if (seen.has(target.path)) continue;
    seen.add(target.path);
    addTarget(root, target);
  }
  await unroll(root, listNames);
  return root;
}

async function expandRelativeTargets(
  targets: readonly RawPath[],
  listNames: ListNames,
): Promise<BackupTarget[]> {
  const expanded: BackupTarget[] = [];
  for (const target of targets) {
    const path = cleanRaw(target);
    if (pathComponents(path).length > 0) {
      expanded.push({ path, explicit: true });
      continue;
    }
    for (const name of await listNames(path))
      expanded.push({ path: path === "." ? (name as RawPath) : joinRaw(path, name), explicit: false });
  }
  return expanded;
}

/** The components that a path has in the snapshot: no leading slash, no leading dots. */
function pathComponents(path: RawPath): string[] {
  return path.split("/").filter((part) => part !== "" && part !== "." && part !== "..");
}

/** Where the first component of a target lies: `/`, `.`, `..`, `../..` and so on. */
export function rootOf(path: RawPath): string {
  if (path.startsWith("/")) return "/";
  const ups = path.split("/").filter((part) => part === "..");
  return ups.length === 0 ? "." : ups.join("/");
}

function addTarget(tree: TargetTree, target: BackupTarget): void {
  const root = rootOf(target.path);
  const [first, ...rest] = pathComponents(target.path);
  let name = first!;
  for (let i = 1; tree.children.has(name) && tree.children.get(name)!.root !== root; i++)
    name = `${first}-${i}`;
  let child = tree.children.get(name);
  if (!child) {
    child = emptyTree(root);
    addChild(tree, name, child);
  }
  let at = child;
  let place = root === "." ? (first as RawPath) : joinRaw(root, first!);
  for (const part of rest) {
    at.metadataPath = place;
    let below = at.children.get(part);
    if (!below) {
      below = emptyTree("");
      addChild(at, part, below);
    }
    at = below;
    place = joinRaw(place, part);
  }
  if (at.path !== undefined && at.path !== target.path)
    throw new UsageError(`Cannot back up "${displayPath(target.path)}": its place in the snapshot is taken`);
  at.path = target.path;
  at.explicit = target.explicit;
}

/**
 * A target that has another target inside it becomes a list of all its entries, so that only leaves are
 * saved.
 */
async function unroll(tree: TargetTree, listNames: ListNames): Promise<void> {
  if (tree.path !== undefined && tree.children.size > 0) {
    const folder = tree.path;
    for (const name of await listNames(folder)) {
      const path = joinRaw(folder, name);
      const child = tree.children.get(name);
      if (!child) addChild(tree, name, { ...emptyTree(""), path });
      else child.path ??= path;
    }
    tree.path = undefined;
    tree.explicit = false;
  }
  for (const child of tree.children.values()) await unroll(child, listNames);
}

/** Of most targets. A map for each of 150,000 takes 30 MiB. */
const NO_CHILDREN: ReadonlyMap<string, TargetTree> = new Map();

function addChild(tree: TargetTree, name: string, child: TargetTree): void {
  if (tree.children === NO_CHILDREN) tree.children = new Map();
  (tree.children as Map<string, TargetTree>).set(name, child);
}

function emptyTree(root: string): TargetTree {
  return { children: NO_CHILDREN, path: undefined, metadataPath: undefined, root, explicit: false };
}

/** Names in the order of their bytes. */
export function sortedChildren(tree: TargetTree): [string, TargetTree][] {
  return [...tree.children].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
