import type { Command } from "commander";
import { formatId } from "../../bytes/id.js";
import { runTag } from "../../commands/tag.js";
import { UsageError } from "../../errors.js";
import { action } from "../command-context.js";
import { collect } from "../global-options.js";
import type { Io } from "../output.js";
import {
  addSnapshotFilter,
  parseTagList,
  resolveSnapshotFilter,
  type SnapshotFilterFlags,
} from "../snapshot-filter.js";

interface TagFlags extends SnapshotFilterFlags {
  readonly set?: string[];
  readonly add?: string[];
  readonly remove?: string[];
}

export function registerTag(program: Command, io: Io): void {
  const command = program
    .command("tag")
    .description("change the tags of snapshots")
    .argument("[snapshotID...]", 'IDs, beginnings of IDs, or "latest"; all snapshots when left out')
    .option("--set <tags>", "put these tags in the place of all others (repeatable)", collect)
    .option("--add <tags>", "add these tags (repeatable)", collect)
    .option("--remove <tags>", "remove these tags (repeatable)", collect);
  addSnapshotFilter(command);
  command.action(
    action<TagFlags>(io, async (context, names, flags) => {
      const { set = [], add = [], remove = [] } = flags;
      if (set.length + add.length + remove.length === 0) throw new UsageError("nothing to do!");
      if (set.length > 0 && add.length + remove.length > 0)
        throw new UsageError("--set and --add/--remove cannot be given at the same time");
      const lists = (texts: readonly string[]) => texts.flatMap(parseTagList);
      const options = {
        names,
        filter: resolveSnapshotFilter(flags, io.env),
        change: { set: lists(set), add: lists(add), remove: lists(remove) },
      };
      context.print("create exclusive lock for repository");
      const changed = await context.withSession(
        { lock: "exclusive", lockAlways: true, ahead: { snapshots: "again" } },
        (session) =>
          runTag(session, options, {
            onIgnored: ({ name, reason }) => context.warn(`Ignoring "${name}": ${reason}`),
            onChanged: (oldId, newId) => {
              const [from, to] = [formatId(oldId), formatId(newId)];
              context.verbose(2, `old snapshot ID: ${from} -> new snapshot ID: ${to}`);
              if (context.global.json)
                context.json({ message_type: "changed", old_snapshot_id: from, new_snapshot_id: to });
            },
          }),
      );
      if (context.global.json) context.json({ message_type: "summary", changed_snapshots: changed });
      context.print(changed === 0 ? "no snapshots were modified" : `modified ${changed} snapshots`);
      return undefined;
    }),
  );
}
