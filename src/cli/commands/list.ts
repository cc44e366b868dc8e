import type { Command } from "commander";
import { formatId } from "../../bytes/id.js";
import { LIST_TYPES, type ListedObject, runList } from "../../commands/list.js";
import { UsageError } from "../../errors.js";
import { action } from "../command-context.js";
import type { Io } from "../output.js";

export function registerList(program: Command, io: Io): void {
  program
    .command("list")
    .description("list the objects of a type; with --json one object a line, with size or place")
    .argument("<type>", LIST_TYPES.join(", "))
    .action(
      action(io, async (context, [typed]) => {
        const type = LIST_TYPES.find((one) => one === typed);
        if (!type)
          throw new UsageError(`invalid argument "${typed}": wanted one of ${LIST_TYPES.join(", ")}`);
        const format = context.global.json ? jsonLine : textLine;
        // Locks are what one looks at when a repository cannot be locked.
        await context.withSession({ lock: type === "locks" ? "none" : "shared" }, async (session) => {
          for await (const object of runList(session, type)) {
            const full = io.stdout.line(format(object));
            if (full) await full;
          }
        });
        return undefined;
      }),
    );
}

function textLine(object: ListedObject): string {
  return "packId" in object ? `${object.type} ${formatId(object.id)}` : formatId(object.id);
}

/** Our own form: restic has none. */
function jsonLine(object: ListedObject): string {
  if (!("packId" in object)) {
    const { type, id, size } = object;
    return JSON.stringify({ message_type: "file", type, id: formatId(id), size });
  }
  return JSON.stringify({
    message_type: "blob",
    type: object.type,
    id: formatId(object.id),
    pack: formatId(object.packId),
    offset: object.offset,
    length: object.length,
    ...(object.uncompressedLength > 0 ? { uncompressed_length: object.uncompressedLength } : {}),
  });
}
