import { type Command, Option } from "commander";
import { absolutePath } from "../bytes/system-path.js";
import { bytesOfText, textForPeople } from "../bytes/utf8.js";
import type { SnapshotFilter } from "../mod.js";
import { describeEnvironment, type Environment, readEnvironment } from "./environment.js";
import { collectForOne } from "./global-options.js";

/** The flags that choose snapshots. */
export interface SnapshotFilterFlags {
  readonly host?: string[];
  readonly tag?: string[];
  readonly path?: string[];
}

/**
 * Declares `--host`, `--tag` and `--path`.
 *
 * @param when added to the help where the flags count for `latest` only
 * @param options `shortHost: false` where `-H` means something else
 */
export function addSnapshotFilter(command: Command, when = "", options: { shortHost?: boolean } = {}): void {
  const short = options.shortHost === false ? "" : "-H, ";
  const flag = (flags: string, description: string) =>
    command.addOption(new Option(flags, `${description}${when}`).argParser(collectForOne()));
  flag(
    `${short}--host <host>`,
    `only snapshots of this host (repeatable; default: ${describeEnvironment("HOST")})`,
  );
  flag(
    "--tag <tag[,tag...]>",
    'only snapshots with all of these tags (repeatable: any of them; "" for no tags)',
  );
  flag("--path <path>", "only snapshots of this absolute path (repeatable: all of them)");
}

export function resolveSnapshotFilter(flags: SnapshotFilterFlags, env: Environment): SnapshotFilter {
  const fromEnvironment = readEnvironment(env, "HOST");
  // An empty --host takes the default from the environment away.
  const hosts = flags.host ?? (fromEnvironment ? [fromEnvironment.value] : []);
  return {
    hosts: hosts.filter((host) => host !== ""),
    tags: (flags.tag ?? []).map(parseTagList),
    paths: (flags.path ?? []).map((path) => (/^([A-Za-z]:)?[/\\]/.test(path) ? path : snapshotPath(path))),
  };
}

/** As snapshots have their paths. */
function snapshotPath(path: string): string {
  return textForPeople(bytesOfText(absolutePath(path)));
}

/** "a,b" */
export function parseTagList(text: string): string[] {
  return text.split(",").map((tag) => tag.trim());
}
