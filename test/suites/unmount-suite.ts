/** How every driver mounts, and what is left when a mount ends. */

import { describe, expect, it } from "vitest";
import { findMount } from "../../src/fuse/mount-table.js";
import { forest, toyTree } from "../fuse/toy-filesystem.js";
import { type FilesystemSuiteOptions, mountsOver, tool, until } from "./filesystem-support.js";

export function unmountSuite({ driver }: FilesystemSuiteOptions): void {
  const { mounted, started } = mountsOver(driver);

  describe(`mounting and unmounting over ${driver}`, () => {
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
