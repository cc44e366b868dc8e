import { UsageError, YoreError } from "../errors.js";
import { type Environment, parseBoolean, readEnvironment } from "./environment.js";

/** What restic can be told to do in another way, and which of both yore does. */
export interface FeatureFlag {
  readonly name: string;
  /** `stable` ones are always on; `alpha` ones are not there yet. */
  readonly state: "alpha" | "stable";
  readonly description: string;
}

/** Under restic's names, so that $RESTIC_FEATURES means the same in both programs. */
export const FEATURE_FLAGS: readonly FeatureFlag[] = [
  { name: "backend-error-redesign", state: "stable", description: "retry HTTP requests that stand still" },
  {
    name: "deprecate-legacy-index",
    state: "stable",
    description: "do not read the index format of restic 0.1.0; `restic repair index` replaces it",
  },
  {
    name: "deprecate-s3-legacy-layout",
    state: "stable",
    description: "do not read the S3 layout of restic before 0.7.0",
  },
  {
    name: "device-id-for-hardlinks",
    state: "alpha",
    description: "store device IDs of hard links only: not supported yet",
  },
  {
    name: "explicit-s3-anonymous-auth",
    state: "stable",
    description: "no anonymous S3 requests unless `-o s3.unsafe-anonymous-auth=true` is set",
  },
  {
    name: "s3-restore",
    state: "alpha",
    description: "fetch objects from cold S3 storage classes: not supported yet",
  },
  {
    name: "safe-forget-keep-tags",
    state: "stable",
    description: "`forget --keep-tag` never removes all snapshots of a group",
  },
];

/**
 * Checks "name=true,other=false" as $YORE_FEATURES and $RESTIC_FEATURES have it.
 *
 * @returns what to warn about: features that cannot be switched off
 * @throws {UsageError} for unknown names and values
 * @throws {YoreError} `not-supported` for features that are not there yet
 */
export function checkFeatureFlags(env: Environment): string[] {
  const warnings: string[] = [];
  const found = readEnvironment(env, "FEATURES");
  for (const part of found?.value.split(",") ?? []) {
    const [, name = "", value = "true"] = /^([^=]*)(?:=(.*))?$/s.exec(part.trim()) ?? [];
    if (name === "") continue;
    const flag = FEATURE_FLAGS.find((one) => one.name === name.trim());
    if (!flag) throw new UsageError(`unknown feature flag "${name}" in $${found!.name}`);
    const on = parseBoolean(value.trim());
    if (on === undefined)
      throw new UsageError(`invalid value "${value}" for feature flag ${name} in $${found!.name}`);
    if (flag.state === "stable" && !on) warnings.push(`feature flag "${name}" is always enabled`);
    if (flag.state === "alpha" && on)
      throw new YoreError("not-supported", `Cannot enable the feature "${name}": it is not supported yet`);
  }
  return warnings;
}
