import { beforeAll, describe, expect, it } from "vitest";
import { missingPeer, type RunResult } from "../../support/run.js";
import { differences } from "../../support/same-backup.js";
import { Playground, type Use } from "./playground.js";

/**
 * One line a use of the command line: both programs do it to copies of the same repository. Exit code, what is said, what
 * is written beside it and what has become of the repository, as restic sees it, must be the same. What differs on purpose
 * is in docs/restic.md and is not asked here.
 */
export function compareUses(title: string, uses: readonly Use[]): void {
  describe.skipIf(missingPeer("restic"))(title, () => {
    let playground: Playground;

    beforeAll(async () => {
      playground = await Playground.create();
    }, 120_000);

    async function same(use: Use, number: number): Promise<void> {
      const [yore, restic] = await Promise.all([
        playground.once("yore", use, number),
        playground.once("restic", use, number),
      ]);
      const [ours, theirs] = [yore.result, restic.result];
      expect(ours.code, `${ours.stderr}${theirs.stderr}`).toBe(theirs.code);
      expect(said(use, ours, yore.name)).toEqual(said(use, theirs, restic.name));
      expect(await differingFiles(yore.target, restic.target, comparedBy(use))).toEqual([]);
      if (/SECOND/.test(JSON.stringify(use)))
        expect(await playground.second(yore)).toEqual(await playground.second(restic));
      const untouched = await Promise.all([yore, restic].map((one) => playground.isUntouched(one, use)));
      if (!untouched.every(Boolean))
        expect(await playground.seen(yore, use)).toEqual(await playground.seen(restic, use));
      await Promise.all([yore, restic].map((one) => playground.clear(one)));
    }

    const rows = uses.map((use, i) => [titleOf(use), use, i] as const);
    it.each(rows)("%s", (_, use, i) => same(use, i), 60_000);
  });
}

/** The flags with which `rsync` finds what differs in the files that both wrote. */
function comparedBy({ line, unpack }: Use): string {
  // A file that is dumped is of now and for nobody else, and times in archives are finer than restic's.
  if (line.startsWith("dump")) return `-rlgoDHXOnc${unpack ? "p" : ""}`;
  // The copies of packs are of now.
  if (line.startsWith("repair packs")) return "-rlpgoDHAXOnc";
  return "-aHAXOnc";
}

function titleOf({ line, state, env }: Use): string {
  const variables = Object.entries(env ?? {}).map(([name, value]) => `${name}=${value ?? ""} `);
  return variables.join("") + line + (state ? ` (${state})` : "");
}

/** The standard output in the form in which it is compared. */
function said({ line, output }: Use, { stdout, code }: RunResult, name: string): unknown {
  if (output === "nothing" || code !== 0) return undefined;
  if (output === "lines") return stdout.split("\n").sort();
  if (output === "text") return stdout;
  if (line.includes("--json")) return json(stdout);
  return stdout
    .replaceAll(name, "NAME")
    .replace(/\b[0-9a-f]{64}\b/g, "ID")
    .replace(/\b[0-9a-f]{8,10}\b/g, "ID")
    .replace(/\d+:\d\d\b/g, "TIME")
    .split("\n")
    .filter((text) => text !== "" && !OF_RESTIC_ALONE.test(text))
    .sort();
}

/** The last state of a progress, which restic prints also where nobody watches; and its throw-away cache. */
const OF_RESTIC_ALONE = /^\[TIME\] |^using temporary cache in|^created new cache in/;

/** Lines or one value, groups in any order; how long something took is left out. */
function json(stdout: string): unknown {
  const values = stdout
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as unknown);
  const told = values.filter((value) => (value as { message_type?: string }).message_type !== "status");
  return told.map((value) => (Array.isArray(value) ? value.map((one) => JSON.stringify(one)).sort() : value));
}

/** What was put into a folder, with its metadata; the folder itself and the times of folders are of now. */
async function differingFiles(one: string, other: string, flags: string): Promise<string[]> {
  const listed = await differences(one, other, flags);
  return listed.split("\n").filter((line) => line !== "" && !/ \.\/$/.test(line));
}
