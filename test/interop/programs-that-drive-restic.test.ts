import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { RESTIC_VERSION } from "../../src/commands/program-version.js";
import { openRepository } from "../../src/mod.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { linkYore, missingPeer, peer, type RunResult, run, runRestic } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/**
 * What programs that drive restic look for in its output, as their sources say it: each row is what such a program would
 * read, and a link named `restic` to yore must let it read the same. Only the facts are theirs: a command line, a phrase,
 * a field. Where several look for the same, one or two are named.
 */
interface Row {
  readonly by: string;
  readonly args: readonly string[];
  /** What it reads. `undefined`, `null` and `false` stand for "not found", which fails the row. */
  readonly reads: (result: RunResult) => unknown;
  /** Of what it reads, only whether it is there is the same with both: IDs, sizes on disk. */
  readonly varies?: true;
}

const PASSWORD = "geheim";
let folder: string;
let repository: string;
let cache: string;

const WRITING = new Set(["backup", "forget"]);

/** Runs both programs. OWN stands for a folder that each has for itself; those that write have a repository of their own. */
async function both(
  args: readonly string[],
  env: Record<string, string> = {},
  from: string | null = repository,
) {
  const runOne = async (program: string): Promise<RunResult> => {
    const own = await temporaryFolder();
    const copy = join(own, "repository");
    const isCopied = from !== null && args.some((word) => WRITING.has(word));
    if (isCopied) await cp(from, copy, { recursive: true });
    const RESTIC_REPOSITORY = from && !isCopied ? from : copy;
    const words = args.map((word) => (word === "OWN" ? join(own, "target") : word));
    return run(program, words, {
      cwd: folder,
      env: { RESTIC_REPOSITORY, RESTIC_PASSWORD: PASSWORD, RESTIC_CACHE_DIR: cache, ...env },
    });
  };
  return { yore: await runOne(join(folder, "restic")), restic: await runOne(peer("restic")!) };
}

const all = ({ stdout, stderr }: RunResult) => stdout + stderr;
const found = (pattern: RegExp) => (result: RunResult) => pattern.exec(all(result))?.slice(1);
const says = (phrase: string) => (result: RunResult) => all(result).includes(phrase);

function messages(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The kinds of the fields that it names, of an object that a test of JSON picks; a missing one is "undefined". */
function kinds(
  object: Record<string, unknown> | undefined,
  ...fields: readonly string[]
): string[] | undefined {
  const kind = (value: unknown) => (Array.isArray(value) ? "array" : typeof value);
  return object && fields.map((field) => `${field}: ${kind(object[field])}`);
}

const ofType = (type: string, ...fields: readonly string[]) => {
  return ({ stdout }: RunResult) =>
    kinds(
      messages(stdout).find((message) => message["message_type"] === type),
      ...fields,
    );
};

const listed = (result: RunResult) => JSON.parse(result.stdout) as Record<string, unknown>[];

function expectSame(row: Row, { yore, restic }: { yore: RunResult; restic: RunResult }): void {
  expect(yore.code).toBe(restic.code);
  const [ours, theirs] = [row.reads(yore), row.reads(restic)];
  for (const read of [ours, theirs]) expect(read ?? false).not.toBe(false);
  if (!row.varies) expect(ours).toEqual(theirs);
}

describe.skipIf(missingPeer("restic"))("a program that drives restic reads the same from yore", () => {
  beforeAll(async () => {
    folder = await temporaryFolder();
    cache = join(folder, "cache");
    await linkYore(join(folder, "restic"));
    await mkdir(join(folder, "data"));
    await writeFile(join(folder, "data", "file"), "content\n");
    repository = join(folder, "repository");
    const env = { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: PASSWORD };
    await runRestic(["init", "-q"], { env });
    await makeKeyCheap(repository, PASSWORD);
    for (const tag of ["one", "two"])
      await runRestic(["backup", "-q", "--no-cache", "--tag", tag, "data"], { env, cwd: folder });
  });

  it("which restic it is", async () => {
    const { yore, restic } = await both(["version"]);
    if (!restic.stdout.startsWith(`restic ${RESTIC_VERSION} `)) return; // Another restic is installed here.
    const readings: readonly ((text: string) => unknown)[] = [
      (text) => /restic\s+([^\s]+)/.exec(text)?.[1], // backrest
      (text) => text.split(" ")[1]?.split(".").map(Number), // restic-browser; scripts with awk and cut
      (text) => /^restic (\d+\.\d+\.\d+)(?:\s|$)/.exec(text)?.[1],
    ];
    for (const read of readings) {
      expect(read(restic.stdout)).toBeDefined();
      expect(read(yore.stdout)).toEqual(read(restic.stdout));
    }
    const json = await both(["version", "--json"]);
    const versionOf = ({ stdout }: RunResult) => (JSON.parse(stdout) as { version: string }).version;
    expect(versionOf(json.yore)).toBe(versionOf(json.restic));
    expect(JSON.parse(json.yore.stdout)).toMatchObject({
      yore_version: expect.not.stringMatching(/^0\.19\./),
    });
  });

  it.each<Row>([
    {
      by: "velero, volsync",
      args: ["snapshots"],
      reads: says("Is there a repository at the following location?"),
    },
    { by: "volsync", args: ["unlock"], reads: says("Is there a repository at the following location") },
    {
      by: "scripts",
      args: ["cat", "config"],
      reads: says("Fatal: repository does not exist: unable to open config file"),
    },
    {
      by: "backrest, scripts with --json",
      args: ["cat", "config", "--json"],
      reads: ({ stderr }) =>
        messages(stderr).map(({ message, ...rest }) => [rest, `${message}`.split(":").slice(0, 3)]),
    },
    {
      by: "resticpy",
      args: ["init"],
      reads: ({ stdout }) => /^created restic repository ([a-z0-9]+) at .+/.exec(stdout),
      varies: true,
    },
    {
      by: "backrest",
      args: ["init", "--json"],
      reads: ({ stdout }) => kinds(messages(stdout)[0], "id", "repository"),
    },
  ])("where there is no repository ($by: $args)", async (row) => {
    expectSame(row, await both(row.args, {}, null));
  });

  it.each<Row>([
    { by: "backrest, runrestic", args: ["init"], reads: says("config file already exists") },
    { by: "npbackup", args: ["init", "--repository-version", "2"], reads: found(/.*(already exists)/i) },
    {
      by: "restic-exporter",
      args: ["--no-lock", "list", "locks"],
      reads: ({ stdout, code }) => [stdout, code],
    },
    {
      by: "restic-exporter",
      args: ["--no-lock", "snapshots", "--json", "--latest", "1"],
      reads: (result) =>
        listed(result).map((snapshot) => [
          kinds(
            snapshot,
            "time",
            "hostname",
            "username",
            "paths",
            "id",
            "short_id",
            "tags",
            "program_version",
          ),
          kinds(
            snapshot["summary"] as Record<string, unknown>,
            ...["backup_start", "backup_end", "files_new", "files_changed", "files_unmodified", "dirs_new"],
            ...[
              "dirs_changed",
              "dirs_unmodified",
              "data_added",
              "total_files_processed",
              "total_bytes_processed",
            ],
          ),
        ]),
    },
    {
      by: "restic-exporter, backrest",
      args: ["--no-lock", "stats", "--json", "--mode", "raw-data"],
      reads: ({ stdout }) =>
        kinds(
          JSON.parse(stdout) as Record<string, unknown>,
          ...["total_size", "total_uncompressed_size", "compression_ratio", "compression_progress"],
          ...["compression_space_saving", "total_blob_count", "snapshots_count"],
        ),
    },
    {
      by: "volsync",
      args: ["snapshots"],
      reads: found(/^([0-9a-f]{8}) +(\d{4}-\d\d-\d\d) +(\d\d:\d\d:\d\d) .*\/data /m),
    },
    {
      by: "velero",
      args: ["snapshots", "--json", "--latest=1", "--tag", "one"],
      reads: (result) => listed(result)[0]?.["short_id"],
    },
    {
      by: "stash",
      args: ["snapshots", "--json", "--quiet", "--no-lock", "--no-cache"],
      reads: (result) => listed(result).length,
    },
    {
      by: "restic-browser, k8up",
      args: ["ls", "--json", "latest", "--option", "rclone.program=rclone"],
      reads: ({ stdout }) =>
        messages(stdout).map((line) =>
          kinds(
            line,
            "id",
            "hostname",
            "paths",
            "name",
            "type",
            "path",
            "uid",
            "gid",
            "size",
            "mode",
            "mtime",
            "struct_type",
          ),
        ),
    },
    {
      by: "stash",
      args: ["check", "--no-cache"],
      reads: ({ stdout }) => stdout.split("\n").includes("no errors were found"),
    },
    { by: "runrestic", args: ["check", "--check-unused", "--no-cache"], reads: ({ code }) => code },
    {
      by: "autorestic",
      args: ["backup", "data"],
      reads: found(/^(Added to the repo(?:sitory)?: )[\d.]+ \w+(?:\s+\([\d.]+[\w\s]+\))?/im),
    },
    { by: "autorestic", args: ["backup", "data"], reads: found(/^(using parent snapshot \w+)/m) },
    { by: "autorestic", args: ["backup", "data"], reads: found(/^snapshot \w+ (saved)/m) },
    {
      by: "runrestic, resticprofile",
      args: ["backup", "data"],
      reads: found(
        /Files:\s+(\d+) new,\s+(\d+) changed,\s+(\d+) unmodified\s+Dirs:\s+(\d+) new,\s+(\d+) changed,\s+(\d+) unmodified[\s\S]+processed (\d+) files, (-?[0-9.]+ [a-zA-Z]*B) in [0-9]+:+[0-9]+/,
      ),
    },
    {
      by: "resticprofile",
      args: ["backup", "--json", "--verbose=2", "data"],
      reads: ({ stdout }) =>
        ["verbose_status", "summary"].every((type) => stdout.includes(`{"message_type":"${type}",`)) &&
        ofType(
          "verbose_status",
          "action",
          "item",
          "duration",
          "data_size",
          "metadata_size_in_repo",
          "total_files",
        )({
          stdout,
        } as RunResult),
    },
    {
      by: "backrest, k8up, stash, velero",
      args: ["backup", "--json", "--exclude-caches", "data"],
      reads: ofType(
        "summary",
        ...[
          "files_new",
          "files_changed",
          "files_unmodified",
          "dirs_new",
          "dirs_changed",
          "dirs_unmodified",
          "data_blobs",
        ],
        ...[
          "tree_blobs",
          "data_added",
          "total_files_processed",
          "total_bytes_processed",
          "total_duration",
          "snapshot_id",
        ],
      ),
    },
    {
      by: "backrest",
      args: ["restore", "--json", "latest", "--target", "OWN"],
      reads: ofType("summary", "total_files", "files_restored", "total_bytes", "bytes_restored"),
    },
    {
      by: "backrest",
      args: ["forget", "--json", "--keep-last", "1", "--group-by", ""],
      reads: (result) =>
        listed(result).map(({ keep, remove }) => [keep, remove].map((of) => (of as unknown[]).length)),
    },
    {
      by: "stash",
      args: ["forget", "--quiet", "--json", "--keep-last", "1", "--prune"],
      reads: found(/(\[{).*}]/),
    },
    {
      by: "runrestic",
      args: ["forget", "--keep-last", "1", "--group-by", "host"],
      reads: found(/remove ([0-9]+) snapshots/),
    },
    { by: "stash", args: ["unlock", "--remove-all", "--no-cache"], reads: ({ code }) => code },
    {
      by: "scripts",
      args: ["restore", "latest", "--host", "nobody", "--target", "OWN"],
      reads: says("no snapshot found"),
    },
    { by: "scripts", args: ["ls", "ffffffff"], reads: found(/(no matching ID found for prefix "ffffffff")/) },
    { by: "scripts", args: ["backup", "--json", "nowhere"], reads: ({ stderr }) => messages(stderr) },
  ])("from a repository ($by: $args)", async (row) => {
    expectSame(row, await both(row.args));
  });

  it.each<Row>([
    { by: "scripts", args: ["snapshots"], reads: says("Fatal: wrong password or no key found") },
    {
      by: "scripts with --json",
      args: ["snapshots", "--json"],
      reads: ({ stderr }) => messages(stderr)[0]?.["code"],
    },
  ])("with a wrong password ($by: $args)", async (row) => {
    expectSame(row, await both(row.args, { RESTIC_PASSWORD: "wrong" }));
  });

  it.each<Row>([
    {
      by: "resticprofile",
      args: ["check"],
      reads: found(/unable to create lock.+already locked.+?by (.+)$/m),
    },
    { by: "resticprofile", args: ["check"], reads: found(/lock was created at.+\([\d.]+(?:ms|s)(\s+ago)\)/) },
    {
      by: "resticprofile",
      args: ["check"],
      reads: found(/(the\W+unlock\W+command can be used to remove stale locks)/),
    },
    {
      by: "resticprofile",
      args: ["check", "--retry-lock", "10ms"],
      reads: found(/repo already locked, waiting up to (\S+) for the lock/),
    },
    {
      by: "scripts",
      args: ["check"],
      reads: says("unable to create lock in backend: repository is already locked"),
    },
    { by: "k8up", args: ["list", "locks", "--no-lock"], reads: ({ stdout }) => stdout },
  ])("while somebody else holds the lock ($by: $args)", async (row) => {
    const session = await openRepository(repository, { password: PASSWORD, lock: "exclusive" });
    try {
      expectSame(row, await both(row.args));
    } finally {
      await session.close();
    }
  });
});
