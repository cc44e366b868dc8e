/**
 * What every driver must make of a Filesystem, seen through a real mount. Programs that look at the mount are child
 * processes: the process of the test is the one that serves it, and must not wait for itself.
 */

import { createHash } from "node:crypto";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { DamagedError } from "../../src/errors.js";
import type { MountOptions } from "../../src/fuse/mount.js";
import {
  directory,
  file,
  forest,
  generatedByte,
  generatedFile,
  type ToyNode,
  toyTree,
} from "../fuse/toy-filesystem.js";
import { itWhere } from "../support/where.js";
import { type FilesystemSuiteOptions, mountsOver } from "./filesystem-support.js";
import { notificationSuite } from "./notification-suite.js";
import { unmountSuite } from "./unmount-suite.js";

export function filesystemSuite(options: FilesystemSuiteOptions): void {
  const { driver } = options;
  const { mounted, mountedWithSilentFile, started } = mountsOver(driver);

  describe.each([
    { answers: "at once", isAsync: false },
    { answers: "later", isAsync: true },
  ])(`filesystem over ${driver} that answers $answers`, ({ isAsync }) => {
    const tree = (mountOptions: Partial<MountOptions> = {}) =>
      mounted(toyTree().root, mountOptions, { isAsync });

    it("lists every node with its attributes", async () => {
      const { shell, log } = await tree();
      const { stdout, stderr } = await shell(
        "stat -c '%n|%A|%h|%u|%g|%s|%b|%t,%T' block char deep empty fifo hello huge link linked socket setuid sticky",
      );
      expect(stderr).toBe("");
      expect(stdout.trimEnd().split("\n")).toEqual([
        "block|brw-rw----|1|0|0|0|0|7,c8",
        "char|crw-rw-rw-|1|0|0|0|0|1,3",
        "deep|drwxr-xr-x|2|0|0|0|0|0,0",
        "empty|-rw-r--r--|1|0|0|0|0|0,0",
        "fifo|prw-------|1|0|0|0|0|0,0",
        "hello|-rw-r-----|1|1000|1001|13|1|0,0",
        "huge|drwxr-xr-x|2|0|0|0|0|0,0",
        "link|lrwxrwxrwx|1|0|0|5|1|0,0",
        "linked|-rw-r--r--|2|0|0|10|1|0,0",
        "socket|srwx------|1|0|0|0|0|0,0",
        "setuid|-rwsr-xr-x|1|0|0|2|1|0,0",
        "sticky|drwxrwxrwt|2|0|0|0|0|0,0",
      ]);
      expect(log).toEqual([]);
    });

    it("lists all names, those of the directory itself and of its parent included", async () => {
      const { shell } = await tree();
      const { stdout } = await shell("ls -aU deep; ls -aU deep/a; find deep | sort");
      expect(stdout).toBe(".\n..\na\n.\n..\nb\ndeep\ndeep/a\ndeep/a/b\ndeep/a/b/c\n");
    });

    it("lists 10,000 names once each", async () => {
      const { shell } = await tree();
      const { stdout } = await shell("ls -U huge");
      const names = stdout.trimEnd().split("\n");
      expect(new Set(names).size).toBe(10_000);
      expect(names.length).toBe(10_000);
      expect(names.every((name) => /^file-\d{6}\.dat$/.test(name))).toBe(true);
      const typed = await shell("find huge -type f -size 1c | wc -l");
      expect(typed.stdout.trim()).toBe("10000");
    });

    it("shows a deep tree to one who walks through it, and to several at once", async () => {
      const { root, names } = forest(4, 5);
      const { shell } = await mounted(root, {}, { isAsync });
      const walk = "find . -mindepth 1 -printf '%f\\n'";
      expect((await shell(walk)).stdout.split("\n").slice(0, -1)).toEqual(names);
      const others = await mounted(root, {}, { isAsync });
      const walkers = [
        walk,
        `${walk} -depth`,
        "ls -RU | grep file",
        "du -a | wc -l",
        "tar -cf - . | tar -t | wc -l",
      ];
      const [first, depthFirst, listed, counted, archived] = await Promise.all(walkers.map(others.shell));
      expect(first!.stdout.split("\n").slice(0, -1)).toEqual(names);
      expect(depthFirst!.stdout.split("\n").sort()).toEqual([...names, ""].sort());
      const files = names.filter((name) => name.endsWith("file"));
      expect(listed!.stdout.split("\n").sort()).toEqual([...files, ""].sort());
      expect(Number(counted!.stdout)).toBe(names.length + 1);
      expect(Number(archived!.stdout)).toBe(names.length + 1);
    });

    it("serves names of 255 bytes and of odd characters", async () => {
      const { shell } = await tree();
      const long = await shell(`cat ${"n".repeat(255)}`);
      expect(long.stdout).toBe("long name\n");
      const odd = await shell("cat sp*newline*");
      expect(odd.stdout).toBe("odd\n");
      const absent = await shell(`cat ${"n".repeat(254)}`);
      expect(absent.stderr).toContain("No such file or directory");
    });

    it("tells hard links by their inode number", async () => {
      const { shell } = await tree();
      const { stdout } = await shell("stat -c %i linked linkedToo; ls -i linked hello | sort -k 2");
      const [first, second, listed, other] = stdout.split("\n").map((line) => line.trim().split(" ")[0]);
      expect(second).toBe(first);
      expect(other).toBe(first);
      expect(listed).not.toBe(first);
    });

    it("reads links, short and as long as they can be", async () => {
      const { shell } = await tree();
      const { stdout } = await shell("readlink link; readlink longLink; cat link");
      expect(stdout).toBe(`hello\n${"a/".repeat(2047)}\nhello, world\n`);
    });

    it("reads files in whatever pieces they come", async () => {
      const { shell, filesystem } = await tree();
      const { stdout } = await shell("cat hello deep/a/b/c empty; sha256sum < medium");
      const expected = createHash("sha256");
      for (let offset = 0; offset < 3_000_001; offset++)
        expected.update(Uint8Array.of(generatedByte(offset)));
      expect(stdout).toBe(`hello, world\ndeep down\n${expected.digest("hex")}  -\n`);
      expect(filesystem.calls.get("read")).toBeGreaterThan(2);
    });

    it("reads at offsets beyond 4 GiB", async () => {
      const { shell } = await tree();
      const offset = 5 * 2 ** 30 + 12_345;
      const result = await shell(`dd if=big bs=64 skip=${offset} count=1 iflag=skip_bytes status=none`);
      expect([...result.stdoutBytes]).toEqual(
        Array.from({ length: 64 }, (_, i) => generatedByte(offset + i)),
      );
      const end = await shell(
        `dd if=big bs=4096 skip=${6 * 2 ** 30 - 10} iflag=skip_bytes status=none | wc -c`,
      );
      expect(end.stdout.trim()).toBe("10");
    });

    it("serves extended attributes", async () => {
      const { shell } = await tree();
      const { stdout } = await shell(
        "getfattr -d -m - -e hex xattrs | sort | cut -c 1-40; getfattr -n user.none hello 2>&1",
      );
      expect(stdout.split("\n").filter((line) => line !== "")).toEqual([
        "# file: xattrs",
        "user.binary=0x0001feff",
        "user.colour=0x626c7565",
        `user.long=0x${"61".repeat(14)}`,
        "hello: user.none: No such attribute",
      ]);
    });

    it("answers statfs", async () => {
      const { shell } = await tree();
      const { stdout } = await shell("stat -f -c '%S %b %f %c %l' .");
      expect(stdout.trim()).toBe("4096 123456 0 789 255");
    });

    it("refuses to be written", async () => {
      const { shell } = await tree();
      for (const command of ["touch new", "mkdir new", "rm hello", "chmod 777 hello", "echo x >> hello"]) {
        const { stdout } = await shell(`{ ${command}; } 2>&1`);
        expect(stdout, command).toContain("Read-only file system");
      }
    });
  });

  describe(`mount over ${driver}`, () => {
    itWhere(options.isExact)("keeps nanoseconds and moments before 1970", async () => {
      const { shell } = await mounted(toyTree().root);
      const { stdout } = await shell("find old exact -printf '%T@\\n'");
      expect(stdout).toBe("-100000000.0000000050\n5000000000.9876543210\n");
    });

    itWhere(options.isExact)("refuses names that no directory can have as other filesystems do", async () => {
      const { shell } = await mounted(toyTree().root);
      const { stderr } = await shell(`cat ${"n".repeat(256)}`);
      expect(stderr).toContain("File name too long");
    });

    itWhere(options.isExact)("serves names of any bytes, and inode numbers of 64 bits", async () => {
      const { root, nodes } = toyTree();
      const { shell } = await mounted(root);
      const { stdout } = await shell('ls | grep -ac sum; cat "$(printf "r\\351sum\\351")"; stat -c %i hello');
      expect(stdout).toBe(`2\nlatin1\n${nodes.hello.ino}\n`);
    });

    itWhere(!options.isExact)("leaves out names that are not UTF-8, and says so once", async () => {
      const { shell, log } = await mounted(toyTree().root);
      const { stdout } = await shell("ls | grep -c sum; ls | grep -c sum");
      expect(stdout).toBe("1\n1\n");
      expect(log.length).toBe(1);
      expect(log[0]).toContain("not UTF-8");
    });

    itWhere(options.canSeek)("shows holes", async () => {
      const { shell } = await mounted(toyTree().root);
      const script = `import os
fd = os.open("sparse", os.O_RDONLY)
print(os.lseek(fd, 0, os.SEEK_DATA), os.lseek(fd, 400000, os.SEEK_HOLE), os.lseek(fd, 0, os.SEEK_HOLE))
try: os.lseek(fd, 500000, os.SEEK_DATA)
except OSError as error: print(error.errno)`;
      const { stdout, stderr } = await shell(`python3 -c '${script}'`);
      expect(stderr).toBe("");
      expect(stdout).toBe("400000 500000 0\n6\n");
    });

    it("answers EIO for what the filesystem throws, goes on, and logs a line for it once", async () => {
      let isBroken = true;
      const { shell, log } = await mounted(
        directory({
          broken: file("content", {
            read: () => {
              if (isBroken) throw new DamagedError('Cannot read "broken": blob 1234 is damaged');
              return [Buffer.from("content")];
            },
          }),
          bug: file("content", { read: () => Promise.reject(new TypeError("undefined is not a function")) }),
          fine: file("fine\n"),
        }),
      );
      const { stdout } = await shell("cat broken 2>&1; cat broken 2>&1; cat bug 2>&1; cat fine");
      expect(stdout).toBe(
        "cat: broken: Input/output error\ncat: broken: Input/output error\ncat: bug: Input/output error\nfine\n",
      );
      expect(log.filter((line) => line.includes("blob 1234 is damaged")).length).toBe(1);
      expect(log.some((line) => line.includes("undefined is not a function"))).toBe(true);
      isBroken = false;
      expect((await shell("cat broken")).stdout).toBe("content");
    });

    it("lists a directory of which one entry is damaged", async () => {
      const damage = new DamagedError('Cannot show "two": it is damaged');
      const { shell } = await mounted(
        directory({ one: file("1"), two: file("2", { damage }), three: file("3") }),
      );
      const { stdout } = await shell("ls -U; cat one three; cat two 2>&1");
      expect(stdout).toBe("one\ntwo\nthree\n13cat: two: Input/output error\n");
    });

    it("gives up reads that get no answer, tells the filesystem, and recovers", async () => {
      let hangs = true;
      const content = Buffer.from("here after all\n");
      const { shell, log, filesystem } = await mounted(
        directory({
          slow: file(content, { read: () => (hangs ? new Promise(() => {}) : [content]) }),
        }),
        { readDeadlineMs: 400 },
      );
      const { stdout } = await shell("cat slow 2>&1");
      expect(stdout).toBe("cat: slow: Input/output error\n");
      expect(log.join("\n")).toMatch(/slow|node \d+/);
      expect(filesystem.signals[0]?.aborted).toBe(true);
      hangs = false;
      expect((await shell("cat slow")).stdout).toBe("here after all\n");
    });

    it("does not let thirty slow reads hold up another file", async () => {
      const waiting: (() => void)[] = [];
      const children: Record<string, ToyNode> = { quick: generatedFile(1_000_000) };
      for (let i = 0; i < 30; i++) {
        const read = () =>
          new Promise<Buffer[]>((resolve) => waiting.push(() => resolve([Buffer.from("slow")])));
        children[`slow-${i}`] = file("slow", { read });
      }
      const { shell } = await mounted(directory(children));
      // libfuse 2 keeps no more than ten threads busy.
      const readers = driver === "own" ? 30 : 8;
      const slow = shell(`for i in $(seq 0 ${readers - 1}); do cat slow-$i & done; wait`);
      while (waiting.length < readers) await new Promise((resolve) => setTimeout(resolve, 5));
      const { stdout } = await shell("wc -c < quick; ls | wc -l");
      expect(stdout).toBe("1000000\n31\n");
      for (const answer of waiting) answer();
      expect((await slow).stdout).toBe("slow".repeat(readers));
    });

    itWhere(options.canInterrupt)("lets a reader be killed that waits for an answer", async () => {
      const { mount, asked } = await mountedWithSilentFile();
      const reader = await started('echo ready; exec cat "$1/silent"', mount.mountpoint);
      await asked;
      const ended = once(reader, "exit");
      reader.kill("SIGKILL");
      expect((await ended)[1]).toBe("SIGKILL");
      // The kernel still waits for the page, and unmounting must not wait for the deadline because of it.
      await mount.unmount();
      await mount.done;
    });

    itWhere(options.canInterrupt)("tells the filesystem when a reader is interrupted", async () => {
      const { mount, asked, filesystem, log } = await mountedWithSilentFile();
      const reader = await started(
        'echo ready; exec dd if="$1/silent" iflag=direct bs=4096 count=1 status=none 2>&1',
        mount.mountpoint,
      );
      await asked;
      const ended = once(reader, "exit");
      reader.kill("SIGINT");
      expect((await ended)[1]).toBe("SIGINT");
      expect(filesystem.signals[0]?.aborted).toBe(true);
      expect(log).toEqual([]);
    });
  });

  if (options.canInvalidate || options.canStore) notificationSuite(options);
  unmountSuite(options);
}
