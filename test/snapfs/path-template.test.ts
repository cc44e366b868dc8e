import { describe, expect, it } from "vitest";
import { parseId } from "../../src/bytes/id.js";
import type { LoadedSnapshot } from "../../src/format/snapshot.js";
import { parseTimestamp } from "../../src/format/timestamp.js";
import {
  checkPathTemplate,
  checkTimeTemplate,
  PathTemplate,
  SnapshotTimes,
  staticPrefix,
} from "../../src/snapfs/path-template.js";
import { safeComponent, windowsSafeName } from "../../src/snapfs/safe-name.js";
import {
  SnapshotDirectories,
  type SnapshotDirectoriesOptions,
} from "../../src/snapfs/snapshot-directories.js";
import { RFC3339 } from "../../src/snapfs/time-layout.js";
import type { NamedEntry, VirtualDirectory } from "../../src/snapfs/virtual-directory.js";

function snapshot(first: number, fields: Partial<LoadedSnapshot> = {}): LoadedSnapshot {
  return {
    id: parseId(first.toString(16).padStart(2, "0").repeat(32))!,
    tree: parseId("ff".repeat(32))!,
    time: parseTimestamp(`2026-01-0${first}T00:00:00Z`),
    paths: ["/x"],
    hostname: "host",
    username: "user",
    uid: 0,
    gid: 0,
    excludes: [],
    tags: [],
    programVersion: "",
    unknown: {},
    ...fields,
  };
}

/** All paths below a directory, links with their targets. */
function paths(directory: VirtualDirectory, prefix = ""): string[] {
  return (directory.list() as readonly NamedEntry[]).flatMap(({ name, entry }) => {
    const path = `${prefix}${name}`;
    if (entry.kind === "link") return [`${path} -> ${entry.target}`];
    if (entry.kind === "snapshot") return [`${path} = ${entry.snapshot.id[0]}`];
    return [`${path}/`, ...paths(entry.directory, `${path}/`)];
  });
}

function shown(options: SnapshotDirectoriesOptions, ...snapshots: LoadedSnapshot[]): string[] {
  const directories = new SnapshotDirectories(options);
  directories.update(snapshots);
  return paths(directories.root);
}

describe("PathTemplate", () => {
  const place = (template: string, fields?: Partial<LoadedSnapshot>) => {
    const parsed = new PathTemplate(template, new SnapshotTimes(RFC3339));
    const one = snapshot(1, fields);
    return parsed.tags(one).flatMap((tag) => {
      const path = parsed.path(one, tag);
      return path ? [[...path.directory, path.name].join("/")] : [];
    });
  };

  it.each([
    ["ids/%i", ["ids/01010101"]],
    ["%I", ["01".repeat(32)]],
    ["%u at %h/%z100%%", ["user at host/z100%"]],
    ["a/%T/b", ["a/2026-01-01T00:00:00Z/b"]],
    ["tags/%t/%T", []],
    ["//a//./../%i/", ["a/01010101"]],
    ["", []],
    ["odd%", ["odd"]],
  ])("%s", (template, expected) => {
    expect(place(template)).toEqual(expected);
  });

  it("makes a path for each tag, and every field safe", () => {
    expect(place("%t/%i", { tags: ["a/b", "..", "a/b"] })).toEqual(["a_b/01010101", "__/01010101"]);
    expect(place("%h/%u", { hostname: "", username: "../x" })).toEqual(["_/.._x"]);
  });

  it("staticPrefix is what stands before the first placeholder", () => {
    expect(staticPrefix("a/b/%h/%T")).toEqual(["a", "b"]);
    expect(staticPrefix("a/b%h")).toEqual(["a"]);
    expect(staticPrefix("%T")).toEqual([]);
    expect(staticPrefix("snapshot")).toEqual([]);
  });

  it("cuts fields that are too long for a file name, at a character", () => {
    expect(place("%h/%i", { hostname: `a${"\u20ac".repeat(200)}` })).toEqual([
      `a${"\u20ac".repeat(79)}/01010101`,
    ]);
  });

  it("checkTimeTemplate refuses what names nothing", () => {
    for (const layout of ["", "/2006", "2006/", "..", "./.."])
      expect(() => checkTimeTemplate(layout)).toThrow(/Cannot use time/);
    checkTimeTemplate("2006/01/02");
  });

  it("checkPathTemplate refuses what names nothing", () => {
    for (const template of ["", "/", "..", "../..", "%"])
      expect(() => checkPathTemplate(template)).toThrow(/Cannot use path template/);
    for (const template of ["%T", "latest", "%%", "../%h", "%z"]) checkPathTemplate(template);
  });
});

describe("SnapshotDirectories", () => {
  it("shows restic's default directories, without snapshots too", () => {
    expect(shown({})).toEqual(["hosts/", "ids/", "snapshots/", "tags/"]);
    expect(shown({}, snapshot(1, { tags: ["t"] }), snapshot(2))).toEqual([
      "hosts/",
      "hosts/host/",
      "hosts/host/2026-01-01T00:00:00Z = 1",
      "hosts/host/2026-01-02T00:00:00Z = 2",
      "hosts/host/latest -> 2026-01-02T00:00:00Z",
      "ids/",
      "ids/01010101 = 1",
      "ids/02020202 = 2",
      "snapshots/",
      "snapshots/2026-01-01T00:00:00Z = 1",
      "snapshots/2026-01-02T00:00:00Z = 2",
      "snapshots/latest -> 2026-01-02T00:00:00Z",
      "tags/",
      "tags/t/",
      "tags/t/2026-01-01T00:00:00Z = 1",
      "tags/t/latest -> 2026-01-01T00:00:00Z",
    ]);
  });

  it("numbers what collides by time and ID, and latest is the last of them", () => {
    const time = parseTimestamp("2026-01-01T00:00:00Z");
    expect(
      shown({ pathTemplates: ["%T"] }, snapshot(3, { time }), snapshot(1, { time }), snapshot(2, { time })),
    ).toEqual([
      "2026-01-01T00:00:00Z = 1",
      "2026-01-01T00:00:00Z-1 = 2",
      "2026-01-01T00:00:00Z-2 = 3",
      "latest -> 2026-01-01T00:00:00Z-2",
    ]);
    expect(shown({ pathTemplates: ["%h"] }, snapshot(2), snapshot(1))).toEqual(["host = 1", "host-1 = 2"]);
  });

  it("times may make folders of their own, and latest leads into them", () => {
    expect(shown({ pathTemplates: ["s/%T"], timeTemplate: "2006/01/02" }, snapshot(1))).toEqual([
      "s/",
      "s/2026/",
      "s/2026/01/",
      "s/2026/01/01 = 1",
      "s/latest -> 2026/01/01",
    ]);
  });

  it("windowsSafeNames leaves no colon, in link targets either", () => {
    const all = shown({ windowsSafeNames: true }, snapshot(1, { hostname: "a:b" }));
    expect(all.join()).not.toContain(":");
    expect(all).toContain("hosts/a-b/latest -> 2026-01-01T00-00-00Z");
    const named = { windowsSafeNames: true, pathTemplates: ["c:/%i"] };
    expect(shown(named)).toEqual(["c-/"]);
    expect(shown(named, snapshot(1))).toEqual(["c-/", "c-/01010101 = 1"]);
  });

  it("update keeps the objects of directories that stay, and names what has changed", () => {
    const directories = new SnapshotDirectories();
    directories.update([snapshot(1)]);
    paths(directories.root);
    const entry = directories.root.lookup(Buffer.from("snapshots"));
    expect(directories.update([snapshot(1)])).toEqual([]);
    const changes = directories.update([snapshot(1), snapshot(2)]);
    expect(directories.root.lookup(Buffer.from("snapshots"))).toEqual(entry);
    expect(changes.map(({ name }) => String(name)).toSorted()).toEqual([
      "02020202",
      "2026-01-02T00:00:00Z",
      "2026-01-02T00:00:00Z",
      "latest",
      "latest",
    ]);
  });
});

describe("safeComponent and windowsSafeName", () => {
  it.each([
    ["", "_"],
    [".", "_"],
    ["..", "__"],
    ["a/b", "a_b"],
    ["...", "..."],
  ])("safeComponent(%j) is %j", (field, name) => {
    expect(safeComponent(field)).toBe(name);
  });

  it.each([
    ["plain", "plain"],
    ["12:30:00", "12-30-00"],
    ['a<b>c"d|e?f*g\\h', "a_b_c_d_e_f_g_h"],
    ["dot.", "dot_"],
    ["space ", "space_"],
    ["con", "con_"],
    ["NUL.txt", "NUL_.txt"],
    ["aux.tar.gz", "aux_.tar.gz"],
    ["com0", "com0_"],
    ["LPT¹.x", "LPT¹_.x"],
    ["con .", "con_ _"],
    ["com10.txt", "com10.txt"],
    ["console", "console"],
    ["line\nfeed", "line_feed"],
  ])("windowsSafeName(%j) is %j", (name, safe) => {
    expect(windowsSafeName(Buffer.from(name)).toString()).toBe(safe);
  });
});
