import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { DriverName } from "../../src/fuse/mount.js";
import type { MountOptions } from "../../src/mount/mount.js";
import {
  backUp,
  eventually,
  type MountedRepository,
  mountRepository,
  output,
  restic,
  shell,
} from "../mount/mounting.js";
import { makeZoo } from "../support/make-zoo.js";
import { missingPeer } from "../support/run.js";
import { temporaryFolder, unpackFixture } from "../support/temporary.js";
import { itWhere } from "../support/where.js";

export interface MountSuiteOptions {
  /** Why the driver cannot be tried here; `undefined` when it can. */
  readonly problem: string | undefined;
  /** What the driver's library cannot do, so that nobody expects it. */
  readonly without?: readonly ("raw-names" | "old-times" | "seek")[];
}

/** What a mount must do, on real mounts of repositories that restic made, whichever driver serves it. */
export function mountSuite(driver: DriverName, { problem, without = [] }: MountSuiteOptions): void {
  if (problem !== undefined) console.warn(`SKIPPED: driver "${driver}": ${problem}`);
  describe.skipIf(problem !== undefined || missingPeer("restic"))(`mount with driver ${driver}`, () => {
    const can = (what: (typeof without)[number]) => !without.includes(what);
    const open: MountedRepository[] = [];
    const mounted = async (repositoryPath: string, options?: Partial<MountOptions>) => {
      const repository = await mountRepository(repositoryPath, driver, options);
      open.push(repository);
      return repository;
    };
    const closeAll = async () => {
      for (const repository of open.splice(0)) await repository.close();
    };

    describe("of a zoo of file system objects", () => {
      let zoo: string;
      let zooRepository: string;
      let seen: string;

      beforeAll(async () => {
        zoo = join(await temporaryFolder(), "zoo");
        await makeZoo(zoo);
        // Sockets are in no backup.
        await output('find "$1" -type s -delete', zoo);
        if (!can("raw-names"))
          await output(
            `find "$1" -depth \\( -name $'*[\\x80-\\xff]*' -o -lname $'*[\\x80-\\xff]*' \\) -delete`,
            zoo,
          );
        if (!can("old-times")) await output('find "$1" -depth ! -newermt 1970-01-02 -delete', zoo);
        zooRepository = await backUp(zoo);
        seen = join((await mounted(zooRepository)).path, "snapshots/latest", zoo);
      }, 120_000);

      afterAll(closeAll);

      it("rsync finds nothing to do", async () => {
        const line = 'rsync -aHAXn --delete --itemize-changes "$1/" "$2/"';
        expect(await output(line, seen, zoo)).toBe("");
        expect(await output(line, zoo, seen)).toBe("");
      });

      it("every file has the same bytes", async () => {
        const line = 'cd "$1" && find . -type f -exec sha256sum {} + | LC_ALL=C sort';
        expect(await output(line, seen)).toBe(await output(line, zoo));
      });

      it("stat agrees with the original in all that a backup keeps", async () => {
        const line = `cd "$1" && find . -printf '%p %y %m %n %U:%G %l %T@\\n' | LC_ALL=C sort`;
        const lineOfDriver = can("old-times") ? line : line.replace("%T@", "%Ts");
        expect(await output(lineOfDriver, seen)).toBe(await output(lineOfDriver, zoo));
      });

      it("device numbers are those of the original", async () => {
        const line = `cd "$1" && find . -type b -o -type c | LC_ALL=C sort | xargs -r stat -c '%n %t:%T'`;
        expect(await output(line, seen)).toBe(await output(line, zoo));
      });

      it("sizes in blocks are those of the original, holes aside", async () => {
        const line = `cd "$1" && find . -type f ! -name '*hole*' ! -name zeros ! -name islands ! -path './owned/*' -printf '%p %s %b\\n' | LC_ALL=C sort`;
        expect(await output(line, seen)).toBe(await output(line, zoo));
      });

      it("no file with content has no blocks, and holes take none", async () => {
        expect(await output(`find "$1" -type f -size +0c -printf '%b\\n' | grep -cx 0 || true`, seen)).toBe(
          "0",
        );
        const blocks = Number(await output('stat -c %b "$1/contents/all hole"', seen));
        expect(blocks * 512).toBeLessThan(1024 * 1024);
      });

      it("tar -S keeps the content of sparse files", async () => {
        const to = await temporaryFolder();
        await output('tar -C "$1/contents" -cSf - . | tar -C "$2" -xf -', seen, to);
        expect(await output('diff -r "$1/contents" "$2"', zoo, to)).toBe("");
      });

      it("cp --sparse=auto makes the same bytes", async () => {
        const to = await temporaryFolder();
        await output('cp --sparse=auto "$1/contents/islands" "$1/contents/all hole" "$2"', seen, to);
        expect(
          await output(
            'cmp "$1/contents/islands" "$2/islands" && cmp "$1/contents/all hole" "$2/all hole"',
            zoo,
            to,
          ),
        ).toBe("");
      });

      itWhere(can("seek"))("SEEK_HOLE never calls data a hole", async () => {
        const script = `
import os, sys
for path in sys.argv[1:]:
    with open(path, "rb") as f:
        at, size = 0, os.fstat(f.fileno()).st_size
        holes = 0
        while at < size:
            try: data = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError: data = size
            holes += data - at
            os.lseek(f.fileno(), at, os.SEEK_SET)
            if f.read(0) is None or any(os.pread(f.fileno(), data - at, at)): sys.exit("data in a hole at %d" % at)
            at = size if data >= size else os.lseek(f.fileno(), data, os.SEEK_HOLE)
        print(holes > 0)
`;
        const printed = await output(
          'python3 -c "$1" "$2/contents/islands" "$2/contents/all hole" "$2/contents/large"',
          script,
          seen,
        );
        expect(printed.split("\n")).toEqual(["True", "True", "False"]);
      });

      it("inode numbers are the same in the next mount", async () => {
        const line = `cd "$1" && find . -printf '%p %i\\n' | LC_ALL=C sort`;
        const again = join((await mounted(zooRepository)).path, "snapshots/latest", zoo);
        expect(await output(line, again)).toBe(await output(line, seen));
      });

      it("no two objects share an inode number, except hard links", async () => {
        const shared = await output(`find "$1" -printf '%i\\n' | sort | uniq -d | wc -l`, seen);
        const original = await output(`find "$1" -printf '%i\\n' | sort | uniq -d | wc -l`, zoo);
        expect(shared).toBe(original);
        expect(
          await output(
            'stat -c %i "$1/links/first" "$1/links/second" "$1/contents/third" | uniq | wc -l',
            seen,
          ),
        ).toBe("1");
      });

      it("a listing comes in the order of the names' bytes", async () => {
        const names = await output('ls -U "$1/contents/deep/er"', seen);
        expect(names).toBe(await output('LC_ALL=C ls "$1/contents/deep/er"', seen));
      });

      it("df shows what the repository holds", async () => {
        const [size, used, free] = (await output('df --output=size,used,avail -B1 "$1" | tail -1', seen))
          .trim()
          .split(/ +/)
          .map(Number);
        expect(size).toBeGreaterThan(1_000_000);
        expect(used).toBe(size);
        expect(free).toBe(0);
      });

      it("nothing can be written", async () => {
        expect((await shell('touch "$1/new"', seen)).stderr).toMatch(/Read-only/);
      });

      it("owners and modes can be overridden", async () => {
        const other = await mounted(zooRepository, { uid: 1234, gid: 4321, umask: 0o077 });
        const path = join(other.path, "snapshots/latest", zoo);
        expect(await output(`find "$1" -printf '%U:%G\\n' | sort -u`, path)).toBe("1234:4321");
        expect(await output(`find "$1" ! -type l -perm /077 | wc -l`, path)).toBe("0");
      });

      it("with windowsSafeNames no name has what Windows refuses, and every file is there", async () => {
        const other = await mounted(zooRepository, { windowsSafeNames: true });
        expect(await output(`find "$1" -name '*[<>:"|?*\\\\]*' | wc -l`, other.path)).toBe("0");
        const count = `find "$1" -type f -printf x | wc -c`;
        expect(await output(count, join(other.path, "snapshots/latest", zoo))).toBe(await output(count, zoo));
      });
    });

    describe("of several snapshots", () => {
      afterEach(closeAll);

      const small = async () => {
        const folder = join(await temporaryFolder(), "data");
        await output(
          'mkdir "$1" && echo one > "$1/file" && ln "$1/file" "$1/link" && head -c 300000 /dev/urandom > "$1/random"',
          folder,
        );
        return folder;
      };

      it("versions of a hard-linked file are different files", async () => {
        const folder = await small();
        const repositoryPath = await backUp(folder);
        await output('echo two > "$1/file"', folder);
        await restic(repositoryPath, "backup", "-q", folder);
        const { path } = await mounted(repositoryPath);
        const inos = (await output('stat -c %i "$1"/ids/*"$2/file" "$1"/ids/*"$2/link"', path, folder)).split(
          "\n",
        );
        expect(new Set(inos).size).toBe(2);
        expect(inos[0]).toBe(inos[2]);
        expect(await output('cat "$1"/ids/*"$2/link" | sort', path, folder)).toBe("one\ntwo");
      });

      it("a new snapshot appears, and latest moves to it", async () => {
        const folder = await small();
        const repositoryPath = await backUp(folder);
        const { path } = await mounted(repositoryPath);
        expect(
          await output('cat "$1/snapshots/latest$2/file"; ls "$1/snapshots" | wc -l', path, folder),
        ).toBe("one\n2");
        await output('echo new > "$1/file"', folder);
        await restic(repositoryPath, "backup", "-q", "--time", "2033-03-03 03:03:03", folder);
        await eventually('test "$(cat "$1/snapshots/latest$2/file")" = new', path, folder);
        expect(await output('ls "$1/snapshots" | wc -l', path)).toBe("3");
        expect(await output('readlink "$1/snapshots/latest"', path)).toMatch(/^2033-03-03T03:03:03/);
      });

      it("templates place snapshots, static folders exist without any", async () => {
        const folder = await small();
        const repositoryPath = await backUp(folder);
        await restic(repositoryPath, "backup", "-q", "--host", "a/b", "--tag", "x,..", folder);
        const { path } = await mounted(repositoryPath, {
          pathTemplates: ["by-host/%h/%i", "none/%t/%t", "times/%T"],
          timeTemplate: "2006/Jan/02-15.04",
        });
        expect(await output('ls "$1" "$1/by-host" "$1/none"', path)).toMatch(/a_b/);
        expect(await output('ls "$1/none"', path)).toBe("__\nx");
        expect(await output('cat "$1/times/latest$2/file"', path, folder)).toBe("one");
        const empty = await mounted(repositoryPath, { filter: { hosts: ["nobody"], tags: [], paths: [] } });
        expect(await output('ls "$1"', empty.path)).toBe("hosts\nids\nsnapshots\ntags");
      });

      it("a forgotten and pruned snapshot goes, the others stay readable, and nothing blocks the prune", async () => {
        const folder = await small();
        const repositoryPath = await backUp(folder);
        const first = (await restic(repositoryPath, "list", "snapshots", "-q")).trim().slice(0, 8);
        await output('head -c 400000 /dev/urandom > "$1/random"; echo kept > "$1/kept"', folder);
        await restic(repositoryPath, "backup", "-q", folder);
        const { path } = await mounted(repositoryPath);
        await output('ls -lR "$1/ids/$2" > /dev/null', path, first);
        await restic(repositoryPath, "forget", "-q", "--prune", "--max-unused", "0", "--repack-small", first);
        await eventually('! test -e "$1/ids/$2"', path, first);
        expect(
          await output(
            'cmp "$1/snapshots/latest$2/random" "$2/random"; cat "$1/snapshots/latest$2/kept"',
            path,
            folder,
          ),
        ).toBe("kept");
      });

      it("a file that was pruned away fails with a clear error, and is told once", async () => {
        const folder = await small();
        const repositoryPath = await backUp(folder);
        await output('rm "$1/random"; echo more > "$1/more"', folder);
        await restic(repositoryPath, "backup", "-q", folder);
        const first = (await restic(repositoryPath, "snapshots", "--json")).match(/"short_id":"(\w+)"/)![1]!;
        const { path, log } = await mounted(repositoryPath, {
          refreshMs: 60_000_000,
          localRepository: undefined,
        });
        await output('ls -lR "$1/ids/$2" > /dev/null', path, first);
        await restic(repositoryPath, "forget", "-q", "--prune", "--max-unused", "0", first);
        const { code, stderr } = await shell('cat "$1/ids/$2$3/random"', path, first, folder);
        expect(code).not.toBe(0);
        expect(stderr).toMatch(/Input\/output error/);
        expect(log.filter((line) => line.includes("random"))).toHaveLength(1);
        expect(await output('cat "$1/snapshots/latest$2/more"', path, folder)).toBe("more");
      });
    });

    describe("of repositories that restic made long ago or that are damaged", () => {
      afterEach(closeAll);

      const fixture = async (name: string) =>
        join(await unpackFixture(name, await temporaryFolder()), "repo");

      it("a missing pack makes an error, told with file and blob", async () => {
        const { path, log } = await mounted(await fixture("repo-data-missing"));
        const { stderr } = await shell(
          'cat "$1"/snapshots/latest/* > /dev/null; find "$1/snapshots" -type f -exec cat {} +',
          path,
        );
        expect(stderr).toMatch(/Input\/output error/);
        expect(log.length).toBeGreaterThan(0);
        for (const line of log) expect(line).toMatch(/^Cannot read .*"\/.*" *: .*blob [0-9a-f]{8}/);
      });

      it("a damaged index file is told, and not only what it alone knows", async () => {
        const folder = join(await temporaryFolder(), "data");
        await output('mkdir "$1" && echo one > "$1/file"', folder);
        const repositoryPath = await backUp(folder);
        await output('chmod u+w "$1"/index/* && truncate -s 100 "$1"/index/*', repositoryPath);
        const { path, log } = await mounted(repositoryPath);
        const { stderr } = await shell('ls "$1/snapshots/latest/"', path);
        expect(stderr).toMatch(/Input\/output error/);
        expect(log.filter((line) => line.startsWith("Cannot load index "))).toEqual([
          expect.stringMatching(/^Cannot load index [0-9a-f]{8}: .*; run `yore check`$/),
        ]);
      });

      it("a damaged pack hurts one range only, and no wrong byte comes out", async () => {
        const folder = join(await temporaryFolder(), "data");
        await output(
          'mkdir "$1" && head -c 30000000 /dev/urandom > "$1/large" && echo small > "$1/small"',
          folder,
        );
        const repositoryPath = await backUp(folder);
        await output(
          'largest=$(find "$1/data" -type f -printf "%s %p\n" | sort -n | tail -1 | cut -d" " -f2); chmod u+w "$largest"; printf XXXX | dd of="$largest" bs=1 seek=9000000 conv=notrunc status=none',
          repositoryPath,
        );
        const { path, log } = await mounted(repositoryPath);
        const script = `
import os, sys
bad = wrong = good = 0
with open(sys.argv[1], "rb") as original, open(sys.argv[2], "rb", buffering=0) as seen:
    for at in range(0, 30000000, 4096):
        want = os.pread(original.fileno(), 4096, at)
        try: got = os.pread(seen.fileno(), 4096, at)
        except OSError: bad += 1; continue
        if got == want: good += 1
        else: wrong += 1
print(bad > 0, bad < 2100, wrong, good > 5000)
`;
        expect(
          await output(
            'python3 -c "$1" "$2" "$3"',
            script,
            join(folder, "large"),
            join(path, "snapshots/latest", folder, "large"),
          ),
        ).toBe("True True 0 True");
        expect(log).toHaveLength(1);
        expect(log[0]).toMatch(/large": Cannot load data blob [0-9a-f]{8}: pack [0-9a-f]{8}/);
        expect(await output('cat "$1/snapshots/latest$2/small"', path, folder)).toBe("small");
      });

      it.each(["repo-mixed", "repo-obsolete-index", "small-repo"])(
        "%s is readable to the last byte",
        async (name) => {
          const { path, log } = await mounted(await fixture(name));
          expect(await output('find "$1/" -type f -exec cat {} + | wc -c', path)).not.toBe("0");
          expect(log).toEqual([]);
        },
      );
    });
  });
}
