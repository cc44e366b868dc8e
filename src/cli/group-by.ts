import type { GroupBy } from "../commands/group-snapshots.js";
import { invalidArgument } from "./invalid-argument.js";

/** "host,paths,tags", each of them in the singular or plural, in any order; "" for none. @throws {UsageError} */
export function parseGroupBy(text: string): GroupBy {
  const by = { host: false, paths: false, tags: false };
  for (const word of text.split(",")) {
    if (word === "host" || word === "hosts") by.host = true;
    else if (word === "path" || word === "paths") by.paths = true;
    else if (word === "tag" || word === "tags") by.tags = true;
    else if (word !== "") throw invalidArgument("-g, --group-by", text, `unknown grouping option: "${word}"`);
  }
  return by;
}
