/** What every driver must tell the kernel unasked: that something has changed, and contents before they are asked for. */

import { createHash, randomBytes } from "node:crypto";
import { describe, expect } from "vitest";
import { DamagedError } from "../../src/errors.js";
import type { NodeId } from "../../src/fuse/filesystem.js";
import { directory, file } from "../fuse/toy-filesystem.js";
import { itWhere } from "../support/where.js";
import { eventually, type FilesystemSuiteOptions, mountsOver, until } from "./filesystem-support.js";

export function notificationSuite(options: FilesystemSuiteOptions): void {
  const { driver } = options;
  const { mounted, mountedWithSilentFile } = mountsOver(driver);

  describe(`notifications over ${driver}`, () => {
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
  });
}
