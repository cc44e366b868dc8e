import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { missingPeer } from "../support/run.js";
import { SharedRepository } from "../support/same-backup.js";
import { temporaryFolder } from "../support/temporary.js";

/** Arguments whose tree must be the one that restic makes of them; `{root}` is the absolute path of the folder, `{base}` its name. */
const ARGUMENTS: readonly (readonly string[])[] = [
  ["."],
  ["a", "b"],
  ["a/sub/x.o"],
  ["../{base}/a", "a"],
  ["a", "a/sub", "a/sub/x.o"],
  ["link", "a/"],
  ["a", "-e", "*.o"],
  ["a", "-e", "a"],
  [".", "-e", "a"],
  [".", "-e", "sub", "-e", "!sub"],
  [".", "-e", "*.o", "-e", "!X.O"],
  [".", "-e", "/**/sub/*.o"],
  [".", "-e", "{root}/a/sub"],
  [".", "-e", "a/**/x.o"],
  [".", "-e", "**.o"],
  [".", "-e", "{root}/**.o", "-e", "***brackets]"],
  [".", "-e", "[a-b]"],
  [".", "-e", "n?n", "--iexclude", "x.o"],
  [".", "--exclude-file", "patterns"],
  [".", "--iexclude-file", "patterns"],
  [".", "--exclude-caches"],
  ["b/cache", "b/cache/c", "--exclude-caches"],
  [".", "--exclude-if-present", ".skip", "--exclude-if-present", "mark:yes"],
  [".", "--exclude-larger-than", "3k"],
  [".", "--one-file-system"],
  ["--files-from", "globs"],
  ["--files-from-verbatim", "verbatim", "b"],
  ["--files-from-raw", "raw"],
];

describe.skipIf(missingPeer("restic"))("backup's choice of files", () => {
  let root: string;
  let repository: SharedRepository;

  beforeAll(async () => {
    root = await temporaryFolder();
    repository = await SharedRepository.create();
    const file = (path: string, content: string | Buffer = path) => {
      mkdirSync(join(root, path, ".."), { recursive: true });
      writeFileSync(join(root, path), content);
    };
    for (const path of ["a/one", "a/sub/x.o", "a/sub/X.O", "a/nün", "b/[brackets]", "b/plain"]) file(path);
    // Their last bytes, and those of Cyrillic letters, are white space in Latin-1.
    for (const path of ["b/voilà", "b/Å", "b/успех", "b/spaced"]) file(path);
    file("a/large", Buffer.alloc(5000));
    file("b/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\nrest");
    for (const path of ["b/cache/c", "b/cache/d/e", "b/false/c", "b/skipped/sub/f", "b/skipped/g"])
      file(path);
    file("b/false/CACHEDIR.TAG", "Signature: nothing of the kind, but as long as the true one");
    for (const path of ["b/skipped/.skip", "b/marked/h", "b/unmarked/h"]) file(path);
    file("b/marked/mark", "yes, really");
    file("b/unmarked/mark", "no");
    symlinkSync("a", join(root, "link"));
    file("patterns", "\ufeff# a comment\n\n  *.O  \r\n$NAME/plain\n!b/pl$$ain\n[[]*\n");
    file(
      "globs",
      "# comment\n  a/s*  \nb/p*n\nb/no*\n**/n**n\nb/voilà\nb/Å \r\nb/успех\n\u2003b/spaced\u00a0\nb/*/\n./b/../b/fal*\n",
    );
    file("verbatim", "a/nün\n\nb/[brackets]\n");
    file("raw", "a/one\0b/plain\0");
  });

  for (const template of ARGUMENTS) {
    it(`is restic's: ${template.join(" ")}`, async () => {
      const base = root.slice(root.lastIndexOf("/") + 1);
      const args = template.map((arg) => arg.replace("{root}", root).replace("{base}", base));
      const options = { cwd: root, env: { NAME: "b" } };
      const [expected, actual] = await Promise.all([
        repository.backup("restic", ["--force", ...args], options),
        repository.backup("yore", ["--force", ...args], options),
      ]);
      const list = async (id?: string) => (await repository.succeed("restic", ["ls", id!])).stdout;
      if (actual.tree !== expected.tree)
        expect(await list(actual.snapshot_id)).toBe(await list(expected.snapshot_id));
      expect(actual.tree).toBe(expected.tree);
      expect(actual["total_files_processed"]).toBe(expected["total_files_processed"]);
    });
  }

  // restic waits for who writes to it.
  it("does not wait for a pipe that bears the name of a tag", async () => {
    const folder = join(root, "piped");
    mkdirSync(folder);
    execFileSync("mkfifo", [join(folder, "CACHEDIR.TAG")]);
    try {
      const saved = await repository.backup("yore", ["--force", "--exclude-caches", folder]);
      const { stdout } = await repository.succeed("restic", ["ls", saved.snapshot_id!]);
      expect(stdout).toContain("piped/CACHEDIR.TAG");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("keeps the whole path of an absolute target, with the metadata of the folders above it", async () => {
    const trees = (["restic", "yore"] as const).map(async (program) => {
      const args = ["--force", join(root, "a/sub"), join(root, "b")];
      const { snapshot_id } = await repository.backup(program, args);
      // The folders above the test's own change all the time.
      return (await repository.succeed("restic", ["cat", "tree", `${snapshot_id}:${join(root, "..")}`]))
        .stdout;
    });
    const [expected, actual] = await Promise.all(trees);
    expect(actual).toBe(expected);
  });

  it.runIf(process.getuid?.() === 0)(
    "stays on one file system as restic does, and keeps the mount point",
    async () => {
      const mounted = join(root, "b/mounted");
      mkdirSync(mounted);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", mounted]);
      try {
        mkdirSync(join(mounted, "folder"));
        writeFileSync(join(mounted, "folder/file"), "elsewhere");
        for (const targets of [["."], ["b"], ["a", "b/mounted"], [".", "b/mounted/folder"]]) {
          const args = ["--force", "-x", ...targets];
          const expected = await repository.backup("restic", args, { cwd: root });
          const actual = await repository.backup("yore", args, { cwd: root });
          expect(actual.tree, targets.join()).toBe(expected.tree);
        }
      } finally {
        execFileSync("umount", [mounted]);
      }
    },
  );

  it("is kept in the snapshot as restic keeps it", async () => {
    const args = [".", "b", "-e", "*.o", "--iexclude", "Y", "--tag", "one, two", "--tag", "three"];
    const more = ["--time", "2021-02-03 04:05:06", "--host", "elsewhere"];
    const [expected, actual] = await Promise.all(
      (["restic", "yore"] as const).map(async (program) => {
        const { snapshot_id } = await repository.backup(program, [...args, ...more], { cwd: root });
        const cat = await repository.succeed("restic", ["cat", "snapshot", snapshot_id!]);
        const { program_version, summary, parent, ...rest } = JSON.parse(cat.stdout) as Record<
          string,
          unknown
        >;
        return rest;
      }),
    );
    expect(actual).toEqual(expected);
  });
});
