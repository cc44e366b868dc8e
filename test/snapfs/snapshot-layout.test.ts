/** Directories that are composed one at a time show what all places, taken one after the other, come to. */

import { describe, expect, it } from "vitest";
import { parseId } from "../../src/bytes/id.js";
import { UsageError } from "../../src/errors.js";
import type { LoadedSnapshot } from "../../src/format/snapshot.js";
import { PathTemplate, SnapshotTimes, staticPrefix } from "../../src/snapfs/path-template.js";
import { windowsSafeName } from "../../src/snapfs/safe-name.js";
import { SnapshotDirectories } from "../../src/snapfs/snapshot-directories.js";
import { RFC3339 } from "../../src/snapfs/time-layout.js";
import type { NamedEntry, VirtualDirectory } from "../../src/snapfs/virtual-directory.js";
import { randomNumbers } from "../support/random.js";

interface Options {
  readonly pathTemplates: readonly string[];
  readonly timeTemplate: string;
  readonly windowsSafeNames: boolean;
}

interface Folder extends Map<string, string | Folder> {}

/** Every place of every snapshot, one after the other, in folders that are all there at once. */
function placeByPlace(options: Options, snapshots: readonly LoadedSnapshot[]): string[] {
  const root: Folder = new Map();
  const safe = (name: string) =>
    options.windowsSafeNames ? windowsSafeName(Buffer.from(name)).toString() : name;
  const folderAt = (path: readonly string[]) =>
    path.map(safe).reduce<Folder | undefined>((folder, name) => {
      if (folder && !folder.has(name)) folder.set(name, new Map());
      const next = folder?.get(name);
      return typeof next === "string" ? undefined : next;
    }, root);
  for (const template of options.pathTemplates) folderAt(staticPrefix(template));
  const inOrder = snapshots.toSorted(
    (a, b) =>
      a.time.seconds - b.time.seconds ||
      a.time.nanoseconds - b.time.nanoseconds ||
      Buffer.compare(a.id, b.id),
  );
  for (const text of options.pathTemplates) {
    const template = new PathTemplate(text, new SnapshotTimes(options.timeTemplate));
    for (const snapshot of inOrder) {
      for (const tag of template.tags(snapshot)) {
        const path = template.path(snapshot, tag);
        const folder = path && folderAt(path.directory);
        if (!folder) continue;
        let name = safe(path.name);
        for (let i = 1; folder.has(name); i++) name = `${safe(path.name)}-${i}`;
        folder.set(name, ` = ${snapshot.id[0]}`);
        const above = path.latest && folderAt(path.latest.directory);
        const there = path.latest && above?.get(safe(path.latest.name));
        if (!path.latest || !above || (there !== undefined && !String(there).startsWith(" -> "))) continue;
        const target = [...path.directory.slice(path.latest.directory.length).map(safe), name].join("/");
        above.set(safe(path.latest.name), ` -> ${target}`);
      }
    }
  }
  return linesOf(root);
}

function linesOf(folder: Folder, prefix = ""): string[] {
  const names = [...folder.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return names.flatMap((name) => {
    const there = folder.get(name)!;
    if (typeof there === "string") return [`${prefix}${name}${there}`];
    const subdirectories = [...there.values()].filter((entry) => !String(entry).startsWith(" -> ")).length;
    return [`${prefix}${name}/ ${subdirectories}`, ...linesOf(there, `${prefix}${name}/`)];
  });
}

/** The same of directories that are looked at, how many subdirectories they say they have before they are. */
function shown(directory: VirtualDirectory, prefix = ""): string[] {
  return (directory.list() as readonly NamedEntry[]).flatMap(({ name, entry }) => {
    const path = `${prefix}${name}`;
    expect(directory.lookup(name)).toBe(entry);
    if (entry.kind === "link") return [`${path} -> ${entry.target}`];
    if (entry.kind === "snapshot") return [`${path} = ${entry.snapshot.id[0]}`];
    return [`${path}/ ${entry.directory.subdirectories}`, ...shown(entry.directory, `${path}/`)];
  });
}

function* allBelow(directory: VirtualDirectory): Generator<VirtualDirectory> {
  yield directory;
  for (const { entry } of directory.list() as readonly NamedEntry[])
    if (entry.kind === "directory") yield* allBelow(entry.directory);
}

const WORDS = ["a", "b", "latest", "a:b", "a-b", "..", ".", "", "x/y", "latest-1", "a-1", "é", "\u{1f600}"];
WORDS.push("\uff5e", "NUL", "c\0d", "2026", "01", "tags", "2026-01", "line\nfeed");
const PIECES = "a b %h %u %t %T %i %T %t / / / / . .. %% %z %/ %. latest 2026 - a: %".split(" ");
const TEMPLATES = [
  "tags/%t/%T",
  "snapshots/%T",
  "%t/%h/%T",
  "tags/%t",
  "%h",
  "%T",
  "%i",
  "%h/%T/%t",
  "%t-%T",
];
const LAYOUTS = [RFC3339, "2006-01", "2006/01/02", "2006/01", "01", ".999", ".9/2", "./2006", "2006/./.."];
LAYOUTS.push("...", "2006/.999", "latest", "2006/latest", "a:b");

function randomSnapshot(first: number, below: (bound: number) => number): LoadedSnapshot {
  const word = () => WORDS[below(WORDS.length)]!;
  const seconds = Date.UTC(2026, 0, 1) / 1000 + below(4) * 15 * 86_400;
  return {
    id: parseId(first.toString(16).padStart(2, "0").repeat(32))!,
    tree: parseId("ff".repeat(32))!,
    time: { seconds, nanoseconds: below(3) === 0 ? 500_000_000 : 0, zoneMinutes: 0 },
    paths: ["/"],
    hostname: word(),
    username: word(),
    uid: 0,
    gid: 0,
    excludes: [],
    tags: Array.from({ length: below(5) }, word),
    programVersion: "",
    unknown: {},
  };
}

function randomOptions(below: (bound: number) => number): Options {
  const pathTemplates = Array.from({ length: 1 + below(3) }, () =>
    below(2) === 0
      ? TEMPLATES[below(TEMPLATES.length)]!
      : Array.from({ length: 1 + below(7) }, () => PIECES[below(PIECES.length)]!).join(""),
  );
  return {
    pathTemplates,
    timeTemplate: LAYOUTS[below(LAYOUTS.length)]!,
    windowsSafeNames: below(3) === 0,
  };
}

function makeDirectories(options: Options): SnapshotDirectories | undefined {
  try {
    return new SnapshotDirectories(options);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return undefined;
  }
}

describe("SnapshotDirectories", () => {
  it("shows what its templates say, whatever they say and whenever somebody looks", () => {
    const below = randomNumbers(1);
    let looks = 0;
    while (looks < 600) {
      const options = randomOptions(below);
      const directories = makeDirectories(options);
      if (!directories) continue;
      const all = Array.from({ length: 12 }, (_, i) => randomSnapshot(i + 1, below));
      for (let step = 0; step < 3; step++) {
        const some = all.filter(() => below(3) > 0);
        directories.update(some);
        if (below(3) === 0) continue;
        looks++;
        expect(shown(directories.root), JSON.stringify(options)).toEqual(placeByPlace(options, some));
      }
    }
  });

  it("names each change of a directory that somebody has looked into, and keeps the directories", () => {
    const below = randomNumbers(2);
    for (let round = 0; round < 200; round++) {
      const directories = makeDirectories(randomOptions(below));
      if (!directories) continue;
      const all = Array.from({ length: 12 }, (_, i) => randomSnapshot(i + 1, below));
      directories.update(all.filter(() => below(3) > 0));
      const before = new Map(
        [...allBelow(directories.root)].map((one) => [one, one.list() as readonly NamedEntry[]]),
      );
      const changes = directories.update(all.filter(() => below(3) > 0));
      const stillThere = new Set(allBelow(directories.root));
      for (const [directory, list] of before) {
        const namesOf = (some: readonly NamedEntry[]) => some.map(({ name }) => name.toString());
        const told = changes.filter((change) => change.directory === directory);
        const after = directory.list() as readonly NamedEntry[];
        const names = new Set([...namesOf(list), ...namesOf(after)]);
        const different = [...names].filter((name) => {
          const [old, now] = [list, after].map(
            (some) => some.find((one) => one.name.toString() === name)?.entry,
          );
          return identity(old) !== identity(now);
        });
        expect(told.map(({ name }) => String(name)).sort()).toEqual(different.sort());
        if (!stillThere.has(directory)) expect(told).toEqual([]);
      }
    }
  });

  const at = (hour: number, tags: readonly string[] = []): LoadedSnapshot => ({
    ...randomSnapshot(hour, () => 0),
    hostname: "host",
    time: { seconds: Date.UTC(2026, 0, 1, hour) / 1000, nanoseconds: 0, zoneMinutes: 0 },
    tags,
  });
  const directory = (parent: VirtualDirectory, name: string): VirtualDirectory => {
    const entry = parent.lookup(Buffer.from(name));
    if (!entry || entry instanceof Promise || entry.kind !== "directory") throw new Error(`no ${name}`);
    return entry.directory;
  };
  const shownNames = (of: VirtualDirectory) =>
    (of.list() as readonly NamedEntry[]).map(({ name }) => name.toString());

  it("a list of the same snapshots changes nothing, in whatever order", () => {
    const directories = new SnapshotDirectories();
    directories.update([at(1, ["t"]), at(2)]);
    shown(directories.root);
    const { changed } = directories.root;
    expect(directories.update([at(2), at(1, ["t"])])).toEqual([]);
    expect(directories.root.changed).toBe(changed);
  });

  it("a directory that nobody has looked into changes when what comes to it does", () => {
    const directories = new SnapshotDirectories();
    directories.update([at(1, ["one"]), at(2, ["two"])]);
    const tags = directory(directories.root, "tags");
    const [one, two] = [directory(tags, "one"), directory(tags, "two")];
    const before = [tags.changed, one.changed, two.changed];
    const changes = directories.update([at(1, ["one"]), at(2, ["two"]), at(3, ["two"])]);
    expect(changes.filter((change) => [tags, one, two].includes(change.directory))).toEqual([
      { directory: two, name: undefined },
    ]);
    expect(directory(tags, "one")).toBe(one);
    expect(directory(tags, "two")).toBe(two);
    expect([tags.changed === before[0], one.changed === before[1], two.changed === before[2]]).toEqual([
      true,
      true,
      false,
    ]);
    expect(two.subdirectories).toBe(2);
    expect(shownNames(two)).toEqual(["2026-01-01T02:00:00Z", "2026-01-01T03:00:00Z", "latest"]);
  });

  it("a directory that went away keeps what it showed, also when nobody had looked", () => {
    const directories = new SnapshotDirectories();
    directories.update([at(1, ["t", "u"])]);
    const [t, u] = ["t", "u"].map((tag) => directory(directory(directories.root, "tags"), tag));
    shownNames(t!);
    directories.update([at(2)]);
    expect(shownNames(directory(directories.root, "tags"))).toEqual([]);
    expect(shownNames(t!)).toEqual(["2026-01-01T01:00:00Z", "latest"]);
    expect(shownNames(u!)).toEqual(["2026-01-01T01:00:00Z", "latest"]);
  });

  it("writes a time once for each snapshot, and none before somebody looks at times", () => {
    let reads = 0;
    const counted = (snapshot: LoadedSnapshot): LoadedSnapshot => {
      const { seconds } = snapshot.time;
      const time = { nanoseconds: 0, zoneMinutes: 0, seconds };
      // Once for each time that is written.
      Object.defineProperty(time, "zoneMinutes", {
        get: () => {
          reads++;
          return 0;
        },
      });
      return { ...snapshot, time };
    };
    const tags = Array.from({ length: 100 }, (_, i) => `tag-${i}`);
    const directories = new SnapshotDirectories();
    directories.update(Array.from({ length: 20 }, (_, i) => counted(at(i + 1, tags))));
    expect(shownNames(directory(directories.root, "tags"))).toHaveLength(100);
    for (const { entry } of directories.root.list() as readonly NamedEntry[])
      expect(entry.kind === "directory" && entry.directory.subdirectories).toBeGreaterThan(0);
    expect(reads).toBe(0);
    shown(directories.root);
    const written = reads;
    shownNames(directory(directory(directories.root, "tags"), "tag-7"));
    expect(reads).toBe(written);
    expect(written).toBeLessThanOrEqual(2 * 20);
  });

  it("numbers ten thousand snapshots of one name", () => {
    const directories = new SnapshotDirectories({ pathTemplates: ["%h"] });
    const ids = Array.from({ length: 10_000 }, (_, i) => parseId(i.toString(16).padStart(64, "0"))!);
    directories.update(ids.map((id) => ({ ...at(1), id })));
    expect(shownNames(directories.root)).toHaveLength(10_000);
    expect(directories.root.lookup(Buffer.from("host-9999"))).toMatchObject({ snapshot: { id: ids[9999] } });
  });
});

/** The same for what counts as the same. */
function identity(entry: NamedEntry["entry"] | undefined): unknown {
  if (entry?.kind === "directory") return entry.directory;
  return entry?.kind === "link" ? `link ${entry.target}` : entry && `snapshot ${entry.snapshot.id[0]}`;
}
