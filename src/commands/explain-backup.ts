import {
  displayPath,
  type Explanation,
  explain,
  matchablePath,
  type SelectionRules,
} from "../archiver/mod.js";
import { messageOf, YoreError } from "../errors.js";
import type { PreparedBackup } from "./backup.js";

/** What decides whether a backup saves a path. */
export interface ExplainedPath {
  readonly path: string;
  readonly included: boolean;
  /** Which rule, as people read it. */
  readonly rule: string;
  /** The path, or the directory on the way to it that the rule is about. */
  readonly decided_at: string;
}

/** Asks the rules of a backup about a path, and saves nothing. @throws {YoreError} when it cannot be looked at */
export async function explainBackup(path: string, prepared: PreparedBackup): Promise<ExplainedPath> {
  const { options, patternSources, rules, surroundings } = prepared;
  let explanation: Explanation;
  try {
    explanation = await explain(path, { targets: options.targets, rules, warn: surroundings.warn });
  } catch (cause) {
    throw new YoreError("not-found", `Cannot explain "${path}": ${messageOf(cause)}`, { cause });
  }
  return {
    path: displayPath(explanation.path),
    included: explanation.included,
    rule: describe(explanation, rules, patternSources),
    decided_at: displayPath(explanation.decidedAt),
  };
}

function describe(
  { decidedAt, target, reason }: Explanation,
  rules: SelectionRules,
  patternSources: readonly (readonly string[])[],
): string {
  switch (reason.by) {
    case "target":
      return "it is named itself; no rule is asked about what is named";
    case "no-rule":
      return `it lies in "${displayPath(target!)}", and no rule leaves it out`;
    case "no-target":
      return "it lies in nothing that is to be saved";
    case "socket":
      return "sockets are never saved";
    case "way":
      return "something in it is named itself; no rule is asked about what leads there";
    case "link":
      return "a symbolic link is saved as it is, and not what lies behind it";
    case "cache-folder":
      return `the program's own cache "${displayPath(reason.folder)}" is never saved`;
    case "file-system":
      return "--one-file-system: it lies on another file system";
    case "size":
      return `--exclude-larger-than: it has ${reason.bytes} bytes`;
    case "tag-file":
      return `--exclude-caches or --exclude-if-present: "${reason.name}" lies beside it`;
    case "gitignore": {
      const { file, rule } = reason.decision;
      return `--exclude-gitignore: "${rule.text}" in ${displayPath(file)}, line ${rule.line}`;
    }
    case "pattern": {
      const at = rules.patterns[reason.list]!.deciding(matchablePath(decidedAt));
      return patternSources[reason.list]![at ?? 0]!;
    }
  }
}
