import { workingFolder } from "../bytes/system-path.js";
import { createScanner } from "./create-scanner.js";
import { isSocket, isSymlink, isUnreadable } from "./file-record.js";
import { absoluteRaw, baseRaw, cleanRaw, joinRaw, parentRaw, type RawPath, rawPath } from "./raw-path.js";
import { type Exclusion, Selection, type SelectionRules } from "./selection.js";
import { rootOf } from "./target-tree.js";

/** Whether a backup would save a path, and what decides. */
export interface Explanation {
  readonly path: RawPath;
  readonly included: boolean;
  /** What the decision is about: the path, or a directory on the way to it. */
  readonly decidedAt: RawPath;
  /** Of those that hold the path, the one that was looked at. */
  readonly target: RawPath | undefined;
  /**
   * `target`: it is named itself, and no rule is asked. `no-rule`: none speaks against it. `no-target`: none holds it.
   * `link`: it lies behind one. `way`: something in it is named, and no rule is asked.
   */
  readonly reason:
    | Exclusion
    | { readonly by: "target" | "no-rule" | "no-target" | "socket" | "link" | "way" };
}

export interface ExplainOptions {
  readonly targets: readonly (string | Uint8Array)[];
  readonly rules: SelectionRules;
  readonly warn: (message: string) => void;
}

/**
 * Follows the path from each target that holds it, as the backup would, and asks the same rules.
 *
 * @throws the system's error when the path, or a directory on the way, cannot be looked at
 */
export async function explain(
  path: string | Uint8Array,
  { targets, rules, warn }: ExplainOptions,
): Promise<Explanation> {
  const scanner = createScanner();
  const selection = new Selection(rules, scanner, warn);
  const here = rawPath(workingFolder());
  const absolute = absoluteRaw(rawPath(path), here);
  const named = targets.map((target) => {
    const raw = rawPath(target);
    return { target: absoluteRaw(raw, here), root: rootOf(cleanRaw(raw)) };
  });
  await selection.prepare(named.map(({ target }) => target));
  let explanation: Explanation = {
    path: absolute,
    included: false,
    decidedAt: absolute,
    target: undefined,
    reason: { by: "no-target" },
  };
  for (const { target, root } of named.filter((one) => isWithin(absolute, one.target))) {
    const together = named.flatMap((one) => (one.root === root ? [one.target] : []));
    const { decidedAt, reason } = await follow(absolute, target, together);
    const included = reason.by === "target" || reason.by === "no-rule" || reason.by === "way";
    explanation = { path: absolute, included, decidedAt, target, reason };
    if (included) break;
  }
  return explanation;

  /** @param together the targets that share a place in the snapshot with this one */
  async function follow(
    to: RawPath,
    target: RawPath,
    together: readonly RawPath[],
  ): Promise<Pick<Explanation, "decidedAt" | "reason">> {
    /** A directory in which something is named is only passed through: the rules are asked about its entries alone. */
    const leadsToTarget = (at: RawPath) => together.some((one) => one !== at && isWithin(one, at));
    const steps: RawPath[] = [];
    for (let at = to; at !== target; at = parentRaw(at)) steps.unshift(joinRaw(parentRaw(at), baseRaw(at)));
    let stat = await look(target, leadsToTarget(target));
    let ignored: Pick<Explanation, "decidedAt" | "reason"> | undefined;
    for (const at of steps) {
      if (isSymlink(stat)) return { decidedAt: parentRaw(at), reason: { by: "link" } };
      const parentDevice = stat.dev;
      if (leadsToTarget(at) && !together.includes(at)) {
        if (at === to) return { decidedAt: at, reason: { by: "way" } };
        stat = await look(at, true);
        const reason = await selection.whyIgnored(at);
        if (reason) ignored ??= { decidedAt: at, reason };
        continue;
      }
      if (ignored) return ignored;
      const byPath = selection.whyPath(at);
      if (byPath) return { decidedAt: at, reason: byPath };
      stat = await look(at);
      const rulesHere = await selection.rulesIn(parentRaw(at));
      const byObject = selection.whyObject(at, stat, rulesHere, parentDevice);
      if (byObject) return { decidedAt: at, reason: byObject };
    }
    if (isSocket(stat)) return { decidedAt: to, reason: { by: "socket" } };
    return { decidedAt: to, reason: { by: to === target ? "target" : "no-rule" } };
  }

  async function look(at: RawPath, follow = false) {
    const entry = await scanner.statPath(at, { attributes: false, follow });
    if (isUnreadable(entry)) throw entry.error;
    return entry.stat;
  }
}

function isWithin(path: RawPath, folder: RawPath): boolean {
  return path === folder || folder === "/" || path.startsWith(`${folder}/`);
}
