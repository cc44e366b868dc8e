import type { Command } from "commander";
import { CAT_TYPES, type CatResult, runCat } from "../../commands/cat.js";
import { FormatError, messageOf, UsageError } from "../../errors.js";
import { action } from "../command-context.js";
import type { Io } from "../output.js";

export function registerCat(program: Command, io: Io): void {
  program
    .command("cat")
    .description("print objects of the repository, decrypted")
    .argument("[type]", CAT_TYPES.join(", "))
    .argument("[ID]", 'ID of the object; for a tree the snapshot, with ":folder" behind it if that is meant')
    .action(
      action(io, async (context, [typed, name]) => {
        if (!typed) throw new UsageError("type not specified");
        const type = CAT_TYPES.find((one) => one === typed);
        if (!type) throw new UsageError(`invalid type "${typed}", must be one of [${CAT_TYPES.join("|")}]`);
        if (!name && type !== "config" && type !== "masterkey") throw new UsageError("ID not specified");
        const result = await context.withSession({ lock: "shared" }, (session) =>
          runCat(session, type, name),
        );
        if (result.type === "bytes" && result.warning) context.warn(`Warning: ${result.warning}`);
        await io.stdout.write(outputOf(result));
        return undefined;
      }),
    );
}

const NEWLINE = 0x0a;

function outputOf(result: CatResult): string | Uint8Array {
  switch (result.type) {
    case "bytes":
      return result.bytes;
    case "line":
      // Some writers end the line themselves.
      return result.json.at(-1) === NEWLINE ? result.json : Buffer.concat([result.json, Buffer.of(NEWLINE)]);
    case "document":
      return `${indented(result.json)}\n`;
  }
}

// What Go escapes, and JSON.stringify does not.
const ESCAPED_BY_GO = /[<>&\u2028\u2029]/g;

/** JSON over several lines, as restic shows it. @throws {FormatError} */
function indented(json: Uint8Array): string {
  try {
    const value: unknown = JSON.parse(Buffer.from(json).toString());
    return JSON.stringify(value, undefined, 2).replace(
      ESCAPED_BY_GO,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
  } catch (cause) {
    throw new FormatError(`Cannot show the object: ${messageOf(cause)}`, { cause });
  }
}
