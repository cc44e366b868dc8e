/**
 * What every driver must make of a Filesystem, seen through a real mount. Programs that look at the mount are child
 * processes: the process of the test is the one that serves it, and must not wait for itself.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { DamagedError } from "../../src/errors.js";
import type { NodeId } from "../../src/fuse/filesystem.js";
import {
  type DriverName,
  type MountHandle,
  type MountOptions,
  mountFilesystem,
} from "../../src/fuse/mount.js";
import { findMount } from "../../src/fuse/mount-table.js";
import {
  directory,
  file,
  forest,
  generatedByte,
  generatedFile,
  ToyFilesystem,
  type ToyFilesystemOptions,
  type ToyNode,
  toyTree,
} from "../fuse/toy-filesystem.js";
import { type RunResult, run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { itWhere } from "../support/where.js";

/** When the addon runs under a sanitizer, the programs that look at the mount do not. */
const TOOLS = { LD_PRELOAD: undefined };
const tool = (program: string, args: readonly string[]) => run(program, args, { env: TOOLS });

/** What a driver cannot do is said here, and its tests are left out. */
export interface FilesystemSuiteOptions {
  readonly driver: DriverName;
  /** Names of any bytes, exact times, all 64 bits of inode numbers. */
  readonly isExact: boolean;
  /** SEEK_DATA and SEEK_HOLE. */
  readonly canSeek: boolean;
  /** Interrupted reads end at once. */
  readonly canInterrupt: boolean;
  /** Notifications reach the kernel, and it may believe answers for ever. */
  readonly canInvalidate: boolean;
  /** Contents can be given to the kernel before they are asked for. */
  readonly canStore: boolean;
}

interface Mounted {
  readonly filesystem: ToyFilesystem;
  readonly mount: MountHandle;
  readonly log: string[];
  /** Runs a shell script inside the mount; it begins there by itself, and not by `cwd`. */
  readonly shell: (script: string) => Promise<RunResult>;
}

export function filesystemSuite(options: FilesystemSuiteOptions): void {
  const { driver } = options;
  const mounts: MountHandle[] = [];
  const children: ChildProcess[] = [];

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    for (const mount of mounts.splice(0)) {
      await mount.unmount({ lazyIfBusy: true, graceMs: 2_000 });
      await mount.done;
    }
  });

  async function mounted(
    root: ToyNode,
    mountOptions: Partial<MountOptions> = {},
    toyOptions: ToyFilesystemOptions = {},
  ): Promise<Mounted> {
    const filesystem = new ToyFilesystem(root, toyOptions);
    const log: string[] = [];
    const mountpoint = await temporaryFolder();
    const mount = await mountFilesystem(filesystem, {
      mountpoint,
      driver,
      onLog: (line) => log.push(line),
      ...mountOptions,
    });
    mounts.push(mount);
    const shell = (script: string) =>
      run("sh", ["-c", `cd "$1" && ${script}`, "sh", mountpoint], { env: TOOLS });
    return { filesystem, mount, log, shell };
  }

  /** A mount with one file whose reads get no answer, and a promise of the first such read. */
  async function mountedWithSilentFile(): Promise<Mounted & { readonly asked: Promise<void> }> {
    let isAsked = () => {};
    const asked = new Promise<void>((resolve) => {
      isAsked = resolve;
    });
    const read = () => {
      isAsked();
      return new Promise<Buffer[]>(() => {});
    };
    return { ...(await mounted(directory({ silent: file("silent", { read }) }))), asked };
  }

  /** A child that says on its standard output when it has come so far. */
  async function started(script: string, ...args: string[]): Promise<ChildProcess> {
    const child = spawn("sh", ["-c", script, "sh", ...args], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...TOOLS },
    });
    children.push(child);
    await once(child.stdout!, "data");
    return child;
  }

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

    itWhere(options.canInvalidate)("shows what has changed after a notification", async () => {
      const before = directory({ old: file("old\n") }, { changeable: true });
      const root = directory({ snapshots: before }, { changeable: true });
      const { shell, filesystem } = await mounted(root);
      expect((await shell("ls snapshots; cat snapshots/new 2>&1; cat snapshots/old")).stdout).toBe(
        "old\ncat: snapshots/new: No such file or directory\nold\n",
      );
      before.children!.set("new", file("new\n"));
      before.children!.delete("old");
      const id = filesystem.nodeIdOf(before);
      filesystem.notifier!.invalidateEntry(id, Buffer.from("new"));
      filesystem.notifier!.invalidateEntry(id, Buffer.from("old"));
      filesystem.notifier!.invalidateNode(id);
      await eventually(async () => {
        const { stdout } = await shell("ls snapshots; cat snapshots/new; cat snapshots/old 2>&1");
        expect(stdout).toBe("new\nnew\ncat: snapshots/old: No such file or directory\n");
      });
    });

    itWhere(options.canInvalidate)(
      "does not stand still when it notifies of a directory that is being read",
      async () => {
        const names = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`${i}`, file(`${i}`)]));
        const busy = directory(names, { changeable: true });
        const { shell, filesystem } = await mounted(directory({ busy }), {}, { isAsync: true, ttlMs: 0 });
        await shell("ls busy");
        const id = filesystem.nodeIdOf(busy);
        let isOver = false;
        const reading = shell(
          "for i in $(seq 3); do ls -l busy; cat busy/7 busy/none; done > /dev/null 2>&1; echo end",
        );
        void reading.then(() => {
          isOver = true;
        });
        for (let i = 0; !isOver; i++) {
          filesystem.notifier!.invalidateEntry(id, Buffer.from(`${i % 300}`));
          filesystem.notifier!.invalidateNode(id);
          await new Promise((resolve) => setImmediate(resolve));
        }
        expect((await reading).stdout).toBe("end\n");
      },
    );

    itWhere(options.canStore)("reads what was stored ahead without asking for it", async () => {
      const contents = [0, 1, 4095, 4096, 4097, 70_000, 524_288].map((size) => randomBytes(size));
      const unreadable = (content: Buffer) =>
        file(content, {
          read: () => {
            throw new DamagedError("asked for");
          },
        });
      const nodes = contents.map(unreadable);
      const names = nodes.map((_, i) => `f${i}`);
      const { shell, filesystem } = await mounted(
        directory(Object.fromEntries(nodes.map((node, i) => [`f${i}`, node]))),
      );
      await shell("ls -l");
      const ids = nodes.map((node) => filesystem.nodeIdOf(node));
      expect(filesystem.notifier!.store!({ nodes: ids, offsets: ids.map(() => 0), contents })).toBe(
        contents.length,
      );
      // Nobody tells when the kernel has it all.
      await eventually(async () => {
        const { stdout } = await shell("sha256sum *");
        const sums = contents.map((content, i) => {
          const hash = createHash("sha256").update(content);
          return `${hash.digest("hex")}  ${names[i]}\n`;
        });
        expect(stdout).toBe(sums.join(""));
      });
      expect((await shell("stat -c %s *")).stdout).toBe(contents.map(({ length }) => `${length}\n`).join(""));
    });

    itWhere(options.canStore)("gives a walk the contents with the listings that it prepared", async () => {
      const directories = Array.from({ length: 100 }, (_, i) => {
        const files = Array.from({ length: 10 }, (_, j) => [`f${j}`, file(`${i} ${j}\n`)]);
        return [`d${String(i).padStart(3, "0")}`, directory(Object.fromEntries(files))];
      });
      const root = directory(Object.fromEntries(directories));
      const { shell, filesystem } = await mounted(root, {}, { givesContents: true });
      const lines = directories.flatMap(([name], i) =>
        Array.from({ length: 10 }, (_, j) => `${name as string}/f${j}:${i} ${j}\n`),
      );
      expect((await shell('grep -r "" *')).stdout).toBe(lines.join(""));
      // The first directories are read before there is a walk.
      expect(filesystem.calls.get("read") ?? 0).toBeLessThan(500);
    });

    itWhere(options.canStore)("stores nothing for nodes that the kernel does not know", async () => {
      const { shell, filesystem } = await mounted(directory({ known: file("known\n") }));
      const strangers = Array.from({ length: 16 }, (_, i) => (1_000_000 + i) as NodeId);
      const contents = strangers.map(() => Buffer.alloc(2 ** 20));
      const store = (nodes: NodeId[], of: Buffer[]) =>
        filesystem.notifier!.store!({ nodes, offsets: nodes.map(() => 0), contents: of });
      expect(store(strangers, contents)).toBeGreaterThan(0);
      expect(() => store(strangers, contents.slice(1))).toThrow(RangeError);
      expect(() => store(strangers.slice(0, 1), [Buffer.alloc(2 ** 21 + 1)])).toThrow(RangeError);
      expect((await shell("cat known")).stdout).toBe("known\n");
    });

    itWhere(options.canStore)(
      "does not stand still when it stores what is just being read, and takes no more than fits",
      async () => {
        const content = Buffer.alloc(100_000, "x");
        const waiting: (() => void)[] = [];
        const slow = file(content, {
          read: (offset, size) =>
            new Promise((resolve) => {
              waiting.push(() => resolve([content.subarray(offset, offset + size)]));
            }),
        });
        const { shell, filesystem } = await mounted(directory({ slow, other: file("other\n") }));
        await shell("ls -l");
        const reading = shell("sha256sum < slow");
        await until(() => waiting.length > 0);
        // The kernel keeps the pages locked for the reader, and who stores waits for them.
        const stored = { nodes: [filesystem.nodeIdOf(slow)], offsets: [0], contents: [content] };
        expect(filesystem.notifier!.store!(stored)).toBe(1);
        const nodes = Array.from({ length: 16 }, (_, i) => (1_000_000 + i) as NodeId);
        const contents = nodes.map(() => Buffer.alloc(2 ** 20));
        expect(filesystem.notifier!.store!({ nodes, offsets: nodes.map(() => 0), contents })).toBe(3);
        expect((await shell("cat other; ls")).stdout).toBe("other\nother\nslow\n");
        let isRead = false;
        void reading.then(() => {
          isRead = true;
        });
        await until(() => {
          for (const answer of waiting.splice(0)) answer();
          return isRead;
        });
        const hash = createHash("sha256").update(content).digest("hex");
        expect((await reading).stdout).toBe(`${hash}  -\n`);
      },
    );

    itWhere(options.canStore)("ends while what it stores waits for a read that gets no answer", async () => {
      const { filesystem, mount, shell, asked } = await mountedWithSilentFile();
      const reading = shell("cat silent");
      await asked;
      const silent = filesystem.nodeIdOf(filesystem.root.children!.get("silent")!);
      filesystem.notifier!.store!({ nodes: [silent], offsets: [0], contents: [Buffer.from("silent")] });
      await mount.unmount({ lazyIfBusy: true, graceMs: 100 });
      await mount.done;
      // What was stored may still have come in time.
      expect(["", "silent"]).toContain((await reading).stdout);
    });

    it("gets every entry back that it was handed", async () => {
      const { root } = toyTree();
      root.children!.set("forest", forest(4, 4).root);
      const { shell, filesystem, mount } = await mounted(root);
      await shell("find . -ls; cat hello linked; ls -lR; find forest | head -n 50");
      expect(filesystem.handedOutInAll()).toBeGreaterThan(10_000);
      if (driver === "own") {
        // Remounting makes the kernel drop the names of this mount that nobody uses, and so forget their nodes.
        const remounted = await tool("mount", ["-i", "-o", "remount,ro", mount.mountpoint]);
        expect(remounted.stderr).toBe("");
      } else {
        await mount.unmount();
        await mount.done;
      }
      await until(() => filesystem.handedOutInAll() === 0);
    });

    it("unmounts, and closes the filesystem when the kernel has let go", async () => {
      const { mount, filesystem, shell } = await mounted(toyTree().root);
      await shell("ls -l");
      await mount.unmount();
      expect(await findMount(mount.mountpoint)).toBeUndefined();
      await mount.done;
      expect(filesystem.isClosed).toBe(true);
      expect((await shell("ls -A")).stdout).toBe("");
      await mount.unmount();
    });

    it("notices that somebody else has unmounted", async () => {
      const { mount, filesystem } = await mounted(toyTree().root);
      expect((await tool("umount", [mount.mountpoint])).code).toBe(0);
      await mount.done;
      expect(filesystem.isClosed).toBe(true);
    });

    it("refuses to unmount what is in use, and goes on serving what is open when told to all the same", async () => {
      const { mount, shell, filesystem } = await mounted(toyTree().root);
      const user = await started('cd "$1"; echo ready; sleep 1000 & wait', mount.mountpoint);
      await expect(mount.unmount()).rejects.toThrow(/in use/);
      expect((await shell("cat hello")).stdout).toBe("hello, world\n");
      await mount.unmount({ lazyIfBusy: true, graceMs: 20_000 });
      expect(await findMount(mount.mountpoint)).toBeUndefined();
      expect((await shell("pwd && ls -A")).stderr).toBe("");
      // Through the working directory of the program that is still inside.
      const inside = await tool("cat", [`/proc/${user.pid}/cwd/deep/a/b/c`]);
      expect(inside.stdout).toBe("deep down\n");
      // Longer than a driver needs to look whether it is still wanted.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      expect(filesystem.isClosed).toBe(false);
      const left = await tool("pkill", ["-KILL", "-P", `${user.pid}`]);
      expect(left.code).toBe(0);
      user.kill("SIGKILL");
      await mount.done;
      expect(filesystem.isClosed).toBe(true);
    });

    it("ends a lazily unmounted connection when the grace is over", async () => {
      const { mount } = await mounted(toyTree().root);
      const user = await started('exec 3< "$1/hello"; echo ready; exec sleep 1000', mount.mountpoint);
      await mount.unmount({ lazyIfBusy: true, graceMs: 100 });
      await mount.done;
      expect(user.exitCode).toBeNull();
      expect((await tool("ls", ["-A", mount.mountpoint])).stderr).toBe("");
    });

    it("mounts read-only, without devices and set-user-ID bits, under the names given", async () => {
      const { mount } = await mounted(toyTree().root, { fsname: "backup, of\\all", subtype: "toy" });
      const entry = await findMount(mount.mountpoint);
      expect(entry).toMatchObject({ type: "fuse.toy", source: "backup, of\\all" });
      expect(entry?.options).toEqual(expect.arrayContaining(["ro", "nosuid", "nodev"]));
      expect(mount.driver).toBe(driver);
    });
  });
}

/** Waits for something that comes by itself; the test's own time limit is the limit. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Tries again until it succeeds; the last failure is thrown after five seconds. */
async function eventually(attempt: () => Promise<void>): Promise<void> {
  const giveUpAt = Date.now() + 5_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
    }
  }
}
