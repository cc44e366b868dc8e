import { describe, expect, it } from "vitest";
import { findMount, isFuse, parseMountTable } from "../../src/fuse/mount-table.js";

describe("parseMountTable", () => {
  it("reads each field, and undoes the kernel's escapes", () => {
    const text = [
      "26 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw",
      "41 26 0:39 / /mnt/with\\040space\\011tab\\012line\\134back ro,nosuid,nodev,relatime shared:7 master:2 - fuse.yore my\\040backup ro,user_id=0",
      "42 26 0:40 / /mnt/r\xc3\xa9sum\xc3\xa9 rw - fuse.sshfs - rw",
      "43 26 0:41 / /sys/fs/fuse/connections rw - fusectl fusectl rw",
      "",
    ].join("\n");
    const table = parseMountTable(text);
    expect(table).toHaveLength(4);
    expect(table[1]).toEqual({
      id: 41,
      device: "0:39",
      mountpoint: "/mnt/with space\ttab\nline\\back",
      type: "fuse.yore",
      source: "my backup",
      options: ["ro", "nosuid", "nodev", "relatime"],
    });
    expect(table[2]?.mountpoint).toBe("/mnt/résumé");
    expect(table.map(isFuse)).toEqual([false, true, true, false]);
  });

  it("skips what it does not understand", () => {
    expect(parseMountTable("nonsense\n1 2 3\n - \n")).toEqual([]);
  });
});

describe("findMount", () => {
  it("finds what is mounted at exactly a path", async () => {
    expect((await findMount("/proc"))?.type).toBe("proc");
    expect(await findMount("/proc/self")).toBeUndefined();
  });
});
