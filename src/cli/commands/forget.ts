import { type Command, Option } from "commander";
import { formatId, formatShortId } from "../../bytes/id.js";
import {
  type CalendarDuration,
  checkForgetOptions,
  type ForgetGroup,
  type ForgetOptions,
  type ForgetPlan,
  type ForgetPolicy,
  formatCalendarDuration,
  parseCalendarDuration,
  runForget,
} from "../../commands/forget.js";
import { compareBytes, type GroupBy } from "../../commands/group-snapshots.js";
import { messageOf, UsageError, YoreError } from "../../errors.js";
import { goJsonValue } from "../../format/go-json.js";
import type { LoadedSnapshot } from "../../format/snapshot.js";
import { action, type CommandContext } from "../command-context.js";
import { addDeprecatedOption } from "../deprecated-option.js";
import { describePolicy, forgetCalendar } from "../forget-report.js";
import { collect, collectForOne } from "../global-options.js";
import { parseGroupBy } from "../group-by.js";
import { invalidArgument } from "../invalid-argument.js";
import type { Io } from "../output.js";
import { PhaseView } from "../phase-progress.js";
import { formatProgress } from "../progress-renderer.js";
import { addPruneOptions, type PruneFlags, resolvePruneOptions } from "../prune-options.js";
import { runShownPrune } from "../run-shown-prune.js";
import {
  addSnapshotFilter,
  parseTagList,
  resolveSnapshotFilter,
  type SnapshotFilterFlags,
} from "../snapshot-filter.js";
import { snapshotJson } from "../snapshot-json.js";
import { groupHeader, renderSnapshots } from "../snapshot-table.js";
import { terminalText } from "../terminal-text.js";
import { localZoneTitle } from "../times.js";

interface ForgetFlags extends SnapshotFilterFlags, PruneFlags {
  readonly keepLast?: number;
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly keepYearly?: number;
  readonly keepWithin?: CalendarDuration;
  readonly keepWithinHourly?: CalendarDuration;
  readonly keepWithinDaily?: CalendarDuration;
  readonly keepWithinWeekly?: CalendarDuration;
  readonly keepWithinMonthly?: CalendarDuration;
  readonly keepWithinYearly?: CalendarDuration;
  readonly keepTag?: string[];
  readonly unsafeAllowRemoveAll?: boolean;
  readonly compact?: boolean;
  readonly groupBy: GroupBy;
  readonly dryRun?: boolean;
  readonly prune?: boolean;
}

export function registerForget(program: Command, io: Io): void {
  const command = program
    .command("forget")
    .description("remove snapshots: those that are named, or those that no rule keeps")
    .argument("[snapshotID...]", 'IDs, beginnings of IDs, or "latest": remove exactly these');
  addPolicyFlags(command);
  addSnapshotFilter(command, "", { shortHost: false });
  command
    .option("-c, --compact", "use a compact output format")
    .addOption(
      new Option(
        "-g, --group-by <group>",
        "apply the policy to each group by host, paths and/or tags; '' for one",
      )
        .default(parseGroupBy("host,paths"), "host,paths")
        .argParser(parseGroupBy),
    )
    .option("-n, --dry-run", "remove nothing, show what would be, and what each rule keeps as a calendar")
    .option("--prune", "run prune afterwards if snapshots were removed");
  addPruneOptions(command, io);
  addDeprecatedOption(command, io, {
    flags: "--hostname <host>",
    instead: "use --host",
    sameAs: "host",
    collect: collectForOne(),
  });
  command.action(
    action<ForgetFlags>(io, async (context, names, flags) => {
      const options = resolveOptions(context, names, flags);
      if (context.global.noLock && !options.dryRun)
        throw new UsageError("--no-lock is only applicable in combination with --dry-run for forget command");
      checkForgetOptions(options);
      const pruneOptions = resolvePruneOptions(flags);
      await context.withSession(
        { lock: "exclusive", lockAlways: !options.dryRun, ahead: { snapshots: "again" } },
        async (session) => {
          if (names.length === 0) context.print(`Applying Policy: ${describePolicy(options.policy)}`);
          const view = new ForgetView(context, options, flags.compact === true);
          const progress = { files: 0, filesTotal: 0 };
          const { lines } = new PhaseView(() => ({
            phase: "remove",
            done: progress.files,
            total: progress.filesTotal,
            what: "files deleted",
          }));
          const renderer = context.startProgress(lines);
          const started = performance.now();
          const result = await runForget(session, options, {
            progress,
            onIgnored: ({ name, reason }) => context.warn(`Ignoring "${name}": ${reason}`),
            onPlan: (plan) => view.plan(plan),
            onRemoved: (id) => context.verbose(3, `removed snapshot/${formatId(id)}`),
          }).finally(() => renderer.stop());
          const seconds = (performance.now() - started) / 1000;
          if (progress.filesTotal > 0)
            context.print(formatProgress(seconds, progress.files, progress.filesTotal, "files deleted"));
          for (const { id, error } of result.failed)
            context.warn(`Cannot remove snapshot ${formatShortId(id)}: ${messageOf(error)}`);
          view.finish(result);
          if (flags.prune && result.remove.length > 0) {
            const what = options.dryRun
              ? "would be removed, running prune dry run"
              : "have been removed, running prune";
            context.print(`${result.remove.length} snapshots ${what}`);
            const ignoreSnapshots = options.dryRun ? result.remove.map(({ id }) => id) : [];
            const prune = { ...pruneOptions, dryRun: options.dryRun, ignoreSnapshots };
            await runShownPrune(context, session, prune, { withJson: false });
          }
          if (result.failed.length > 0)
            throw new YoreError("incomplete", "failed to remove one or more snapshots");
        },
      );
      return undefined;
    }),
  );
}

const PERIODS = ["hourly", "daily", "weekly", "monthly", "yearly"] as const;

function addPolicyFlags(command: Command): void {
  for (const [short, period] of [
    ["l", "last"],
    ["H", "hourly"],
    ["d", "daily"],
    ["w", "weekly"],
    ["m", "monthly"],
    ["y", "yearly"],
  ] as const) {
    const flag = `-${short}, --keep-${period}`;
    const what =
      period === "last"
        ? "the newest n snapshots"
        : `the newest snapshot of each of the last n ${UNIT[period]}`;
    command.option(`${flag} <n>`, `keep ${what} ("unlimited" for all)`, (text: string) =>
      parseKeepCount(flag, text),
    );
  }
  const duration = (flag: string, what: string) =>
    command.option(
      `${flag} <duration>`,
      `keep ${what} that are newer than a duration before the newest, like 1y5m7d2h`,
      (text: string) => parseKeepDuration(flag, text),
    );
  duration("--keep-within", "all snapshots");
  for (const period of PERIODS) duration(`--keep-within-${period}`, `${period} snapshots`);
  command
    .option(
      "--keep-tag <tag[,tag...]>",
      "keep snapshots with all of these tags (repeatable: any of them)",
      collect,
    )
    .option("--unsafe-allow-remove-all", "without a rule, remove all snapshots that the filter lets through");
}

const UNIT = { hourly: "hours", daily: "days", weekly: "weeks", monthly: "months", yearly: "years" } as const;

function parseKeepCount(flag: string, text: string): number {
  if (text === "unlimited") return Infinity;
  const wrong = (reason: string) => invalidArgument(flag, text, reason);
  if (/^-\d+$/.test(text)) throw wrong("negative values not allowed, use 'unlimited' instead");
  if (!/^\+?\d{1,15}$/.test(text)) throw wrong('wanted a whole number or "unlimited"');
  return Number(text);
}

function parseKeepDuration(flag: string, text: string): CalendarDuration {
  let duration: CalendarDuration;
  try {
    duration = parseCalendarDuration(text);
  } catch (error) {
    throw invalidArgument(flag, text, messageOf(error));
  }
  if (Object.values(duration).some((part) => part < 0))
    throw new UsageError("durations containing negative values are not allowed for --keep-within*");
  return duration;
}

/** No time at all is no rule. A flag's parser cannot say so: commander makes "" of `undefined`. */
function withinRule(duration: CalendarDuration | undefined): CalendarDuration | undefined {
  return duration && formatCalendarDuration(duration) !== "" ? duration : undefined;
}

function resolveOptions(
  context: CommandContext,
  names: readonly string[],
  flags: ForgetFlags,
): ForgetOptions {
  const policy: ForgetPolicy = {
    counts: {
      last: flags.keepLast ?? 0,
      hourly: flags.keepHourly ?? 0,
      daily: flags.keepDaily ?? 0,
      weekly: flags.keepWeekly ?? 0,
      monthly: flags.keepMonthly ?? 0,
      yearly: flags.keepYearly ?? 0,
    },
    within: {
      all: withinRule(flags.keepWithin),
      hourly: withinRule(flags.keepWithinHourly),
      daily: withinRule(flags.keepWithinDaily),
      weekly: withinRule(flags.keepWithinWeekly),
      monthly: withinRule(flags.keepWithinMonthly),
      yearly: withinRule(flags.keepWithinYearly),
    },
    tags: (flags.keepTag ?? []).map(parseTagList),
  };
  return {
    names,
    policy,
    filter: resolveSnapshotFilter(flags, context.io.env),
    groupBy: flags.groupBy,
    allowRemoveAll: flags.unsafeAllowRemoveAll === true,
    dryRun: flags.dryRun === true,
  };
}

/** Shows what is going to happen, and what has. */
class ForgetView {
  readonly #context: CommandContext;
  readonly #options: ForgetOptions;
  readonly #compact: boolean;

  constructor(context: CommandContext, options: ForgetOptions, compact: boolean) {
    this.#context = context;
    this.#options = options;
    this.#compact = compact;
  }

  plan({ groups, remove }: ForgetPlan): void {
    const context = this.#context;
    const { dryRun } = this.#options;
    for (const group of groups) this.#group(group);
    if (!dryRun || remove.length === 0) return;
    context.print("Would have removed the following snapshots:");
    context.print(
      `{${remove
        .map(({ id }) => formatShortId(id))
        .sort()
        .join(" ")}}`,
    );
    context.print();
  }

  finish({ groups }: ForgetPlan): void {
    if (this.#context.global.json && groups.length > 0)
      this.#context.io.stdout.line(`[${groups.map(groupJson).join(",")}]`);
  }

  #group(group: ForgetGroup): void {
    const context = this.#context;
    const text = context.io.stdout.isTTY ? terminalText : (raw: string) => raw;
    const options = { compact: this.#compact, text, zone: localZoneTitle(context.io.env) };
    const table = (
      title: string,
      snapshots: readonly LoadedSnapshot[],
      reasons?: ReadonlyMap<LoadedSnapshot, readonly string[]>,
    ) => {
      if (snapshots.length === 0) return;
      const oldestFirst = [...snapshots].reverse();
      const lines = renderSnapshots(oldestFirst, { ...options, ...(reasons ? { reasons } : {}) });
      for (const line of [`${title} ${snapshots.length} snapshots:`, ...lines, ""]) context.print(line);
    };
    for (const line of groupHeader(group, text)) context.verbose(2, line);
    const reasons = new Map(group.keep.map((kept) => [kept.snapshot, kept.reasons]));
    table("keep", [...reasons.keys()], reasons);
    table("remove", group.remove);
    if (!this.#options.dryRun) return;
    for (const line of [...forgetCalendar(group), ""]) context.print(line);
  }
}

function groupJson({ host, paths, tags, keep, remove }: ForgetGroup): string {
  const listOrNull = (list: readonly string[] | undefined) => (list && list.length > 0 ? list : null);
  const arrayOrNull = (items: readonly string[]) => (items.length > 0 ? `[${items.join(",")}]` : "null");
  const key = goJsonValue({ tags: listOrNull(tags), host: host ?? "", paths: listOrNull(paths) });
  // restic sorts what it groups by, and prints it so.
  const json = (snapshot: LoadedSnapshot) =>
    snapshotJson({
      ...snapshot,
      paths: [...snapshot.paths].sort(compareBytes),
      tags: tags ? [...snapshot.tags].sort(compareBytes) : snapshot.tags,
    });
  const kept = arrayOrNull(keep.map(({ snapshot }) => json(snapshot)));
  const removed = arrayOrNull(remove.map(json));
  const reasons = arrayOrNull(
    keep.map(
      ({ snapshot, reasons: matches }) => `{"snapshot":${json(snapshot)},"matches":${goJsonValue(matches)}}`,
    ),
  );
  return `${key.slice(0, -1)},"keep":${kept},"remove":${removed},"reasons":${reasons}}`;
}
