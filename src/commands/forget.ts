import { UsageError } from "../errors.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import {
  applyForgetPolicy,
  type ForgetDecision,
  type ForgetPolicy,
  isEmptyPolicy,
} from "../maintenance/forget-policy.js";
import { timestampNow } from "../repository/clock.js";
import type { SnapshotFilter } from "../repository/snapshots.js";
import { type GroupBy, groupSnapshots } from "./group-snapshots.js";
import { type FailedRemoval, type RemoveProgress, removeFiles } from "./remove-files.js";
import { type IgnoredSnapshot, selectSnapshots } from "./select-snapshots.js";
import type { Session } from "./session.js";

export {
  type CalendarDuration,
  formatCalendarDuration,
  parseCalendarDuration,
} from "../maintenance/calendar-duration.js";
export type { ForgetPolicy, KeptSnapshot } from "../maintenance/forget-policy.js";

export interface ForgetOptions {
  /** Snapshot arguments: exactly these are removed, whatever the policy. Without any the policy decides. */
  readonly names: readonly string[];
  readonly filter: SnapshotFilter;
  readonly groupBy: GroupBy;
  readonly policy: ForgetPolicy;
  /** Without a rule in the policy, remove all that the filter lets through. */
  readonly allowRemoveAll: boolean;
  readonly dryRun: boolean;
}

/** What the snapshots of a group have in common, and what becomes of them. */
export interface ForgetGroup extends ForgetDecision {
  readonly host: string | undefined;
  readonly paths: readonly string[] | undefined;
  readonly tags: readonly string[] | undefined;
}

export interface ForgetPlan {
  /** Empty when snapshots were named. */
  readonly groups: readonly ForgetGroup[];
  readonly remove: readonly LoadedSnapshot[];
}

export interface ForgetWatch {
  readonly progress?: RemoveProgress;
  readonly onIgnored?: (ignored: IgnoredSnapshot) => void;
  /** Told what will happen before it does. */
  readonly onPlan?: (plan: ForgetPlan) => void;
  readonly onRemoved?: (snapshot: LoadedSnapshot["id"]) => void;
}

export interface ForgetResult extends ForgetPlan {
  readonly failed: readonly FailedRemoval[];
}

/** @throws {UsageError} for options that ask for nothing, or for too much */
export function checkForgetOptions({ names, policy, filter, allowRemoveAll }: ForgetOptions): void {
  if (names.length > 0 || !isEmptyPolicy(policy)) return;
  if (!allowRemoveAll) throw new UsageError("no policy was specified, no snapshots will be removed");
  if (filter.hosts.length + filter.tags.length + filter.paths.length === 0)
    throw new UsageError(
      "--unsafe-allow-remove-all is not allowed unless a snapshot filter option is specified",
    );
}

/**
 * Removes snapshots: the files only, what they refer to stays for `prune`.
 *
 * @throws {UsageError} if the policy has rules but none that keeps a snapshot of some group; nothing is removed then
 */
export async function runForget(
  session: Session,
  options: ForgetOptions,
  watch: ForgetWatch = {},
): Promise<ForgetResult> {
  checkForgetOptions(options);
  const { names, filter, dryRun } = options;
  const snapshots = await selectSnapshots(session.repository, names, filter, {
    signal: session.signal,
    ...watch,
  });
  const plan = names.length > 0 ? { groups: [], remove: snapshots } : applyPolicy(snapshots, options);
  watch.onPlan?.(plan);
  if (dryRun) return { ...plan, failed: [] };
  const ids = plan.remove.map(({ id }) => id);
  return { ...plan, failed: await removeFiles(session, "snapshot", ids, watch) };
}

function applyPolicy(snapshots: readonly LoadedSnapshot[], options: ForgetOptions): ForgetPlan {
  const { policy, groupBy } = options;
  const now = timestampNow();
  const groups = groupSnapshots(snapshots, groupBy).map(({ snapshots: members, ...group }) => {
    const decision = applyForgetPolicy(members, policy, now);
    if (decision.keep.length === 0 && !isEmptyPolicy(policy))
      throw new UsageError(`refusing to delete last snapshot of snapshot group "${groupName(group)}"`);
    return { ...group, ...decision };
  });
  return { groups, remove: groups.flatMap(({ remove }) => remove) };
}

function groupName({ host, paths, tags }: Pick<ForgetGroup, "host" | "paths" | "tags">): string {
  const parts = [
    ...(host === undefined ? [] : [`host ${host}`]),
    ...(tags === undefined ? [] : [`tags [${tags.join(" ")}]`]),
    ...(paths === undefined ? [] : [`path [${paths.join(" ")}]`]),
  ];
  return parts.join(", ");
}
