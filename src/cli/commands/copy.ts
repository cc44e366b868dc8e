import type { Command } from "commander";
import { formatId, formatShortId } from "../../bytes/id.js";
import { READING, WRITING } from "../../commands/ask-ahead.js";
import { runCopy } from "../../commands/copy.js";
import { UsageError } from "../../errors.js";
import { type CopyEvent, type CopyProgress, type CopyResult, newCopyProgress } from "../../mod.js";
import { action, type CommandContext } from "../command-context.js";
import type { Io } from "../output.js";
import { type PhaseState, PhaseView } from "../phase-progress.js";
import { addSnapshotFilter, resolveSnapshotFilter, type SnapshotFilterFlags } from "../snapshot-filter.js";
import { snapshotTitle } from "../snapshot-title.js";
import { addSourceOptions, resolveSourceOptions, type SourceFlags } from "../source-options.js";
import { terminalText } from "../terminal-text.js";
import { formatBytes } from "../units.js";

interface CopyFlags extends SourceFlags, SnapshotFilterFlags {}

export function registerCopy(program: Command, io: Io): void {
  const command = program
    .command("copy")
    .description("copy snapshots from another repository to this one")
    .argument("[snapshotID...]", 'IDs, beginnings of IDs, or "latest"; all snapshots when left out');
  addSourceOptions(command, io, "source repository to copy snapshots from");
  addSnapshotFilter(command);
  command.action(
    action<CopyFlags>(io, async (context, names, flags) => {
      const filter = resolveSnapshotFilter(flags, io.env);
      const named = resolveSourceOptions(flags, context.global.access, io);
      if (!named)
        throw new UsageError(
          "Please specify a source repository location (--from-repo or --from-repository-file)",
        );
      // How it is reached, and where it is cached, is the same for both.
      const first = context.global.repository();
      const second = { ...first, keyHint: undefined, ...named.options };
      const [from, to] = named.isTarget ? [first, second] : [second, first];
      const progress = newCopyProgress();
      const view = new CopyView(context, progress);
      const result = await context.withSession(
        { lock: "shared", ahead: READING, repository: from },
        (source) =>
          context.withSession(
            { lock: "shared", lockAlways: true, ahead: WRITING, repository: to },
            async (target) => {
              const renderer = context.startProgress(
                (seconds) => view.lines(seconds),
                (seconds) => view.status(seconds),
              );
              try {
                return await runCopy(
                  source,
                  target,
                  { names, filter },
                  {
                    progress,
                    on: (event) => view.show(event),
                    onIgnored: ({ name, reason }) => context.warn(`Ignoring "${name}": ${reason}`),
                  },
                );
              } finally {
                renderer.stop();
              }
            },
          ),
      );
      view.finish(result);
      return undefined;
    }),
  );
}

class CopyView {
  readonly #context: CommandContext;
  readonly #progress: CopyProgress;
  readonly #phases = new PhaseView(() => this.#state());
  /** Snapshots that were saved together stand together. */
  #isFirstOfBatch = true;

  constructor(context: CommandContext, progress: CopyProgress) {
    this.#context = context;
    this.#progress = progress;
  }

  show(event: CopyEvent): void {
    const context = this.#context;
    if (event.type === "blobs") {
      const { blobs, bytes, packs } = event;
      context.verbose(2, `  copy ${blobs} blobs with disk size ${formatBytes(bytes)} in ${packs} packfiles`);
      return;
    }
    const { snapshot } = event;
    const old = formatShortId(snapshot.id);
    const ids = { source_snapshot_id: formatId(snapshot.id) };
    const title = `\n${terminalText(snapshotTitle(snapshot))}`;
    switch (event.type) {
      case "skipped":
        context.verbose(2, title);
        context.verbose(
          2,
          `skipping source snapshot ${old}, was already copied to snapshot ${formatShortId(event.copy)}`,
        );
        if (context.global.json)
          context.json({ message_type: "skipped", ...ids, snapshot_id: formatId(event.copy) });
        return;
      case "copying":
        context.print(title);
        context.print("  copy started, this may take a while...");
        this.#isFirstOfBatch = true;
        return;
      case "saved":
        if (this.#isFirstOfBatch) context.print();
        this.#isFirstOfBatch = false;
        context.print(`snapshot ${formatShortId(event.copy)} saved, copied from source snapshot ${old}`);
        if (context.global.json)
          context.json({ message_type: "copied", ...ids, snapshot_id: formatId(event.copy) });
    }
  }

  finish({ copied, skipped, blobs, bytes }: CopyResult): void {
    if (!this.#context.global.json) return;
    this.#context.json({
      message_type: "summary",
      snapshots_copied: copied,
      snapshots_skipped: skipped,
      blobs_copied: blobs,
      bytes_copied: bytes,
    });
  }

  lines(seconds: number): readonly string[] {
    return this.#phases.lines(seconds);
  }

  status(seconds: number): unknown {
    const { snapshots, snapshotsTotal, trees, packs, packsTotal, bytes, bytesTotal } = this.#progress;
    const status = this.#phases.status(seconds);
    return {
      message_type: "status",
      seconds_elapsed: Math.floor(seconds),
      seconds_remaining: status?.seconds_remaining,
      snapshots_done: snapshots,
      total_snapshots: snapshotsTotal,
      trees,
      packs_done: packs,
      total_packs: packsTotal,
      bytes_done: bytes,
      total_bytes: bytesTotal,
    };
  }

  #state(): PhaseState {
    const { snapshots, snapshotsTotal, trees, treesTotal, packs, packsTotal, bytes, bytesTotal } =
      this.#progress;
    if (packsTotal > 0)
      return {
        phase: "packs",
        done: packs,
        total: packsTotal,
        what: `packs copied, ${formatBytes(bytes)} of ${formatBytes(bytesTotal)}`,
        work: { done: bytes, total: bytesTotal },
      };
    return {
      phase: "snapshots",
      done: snapshots,
      total: snapshotsTotal,
      what: `snapshots, ${trees} trees`,
      work: { done: trees, total: treesTotal },
    };
  }
}
