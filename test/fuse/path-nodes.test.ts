import { describe, expect, it } from "vitest";
import { NotFoundError } from "../../src/errors.js";
import { PathNodes } from "../../src/fuse/drivers/path-nodes.js";
import type { Absent, Answer, Entry, NodeId } from "../../src/fuse/filesystem.js";
import { directory, file, ToyFilesystem } from "./toy-filesystem.js";

const tree = () => directory({ a: directory({ b: directory({ c: file("c") }) }), d: file("d") });

describe("PathNodes", () => {
  it("resolves paths, and holds what it has resolved", async () => {
    const filesystem = new ToyFilesystem(tree());
    const nodes = new PathNodes(filesystem);
    expect(await nodes.use("/", (node) => node)).toBe(1);
    const first = await nodes.use("/a/b/c", (node) => node);
    expect(await nodes.use("/a/b/c", (node) => node)).toBe(first);
    expect(filesystem.calls.get("lookup")).toBe(3);
    expect(filesystem.handedOutInAll()).toBe(3);
    nodes.clear();
    expect(filesystem.handedOutInAll()).toBe(0);
  });

  it("rejects what is not there", async () => {
    const nodes = new PathNodes(new ToyFilesystem(tree()));
    await expect(nodes.use("/a/none/c", () => {})).rejects.toThrow(NotFoundError);
  });

  it("gives nothing back that is being used", async () => {
    const filesystem = new ToyFilesystem(tree());
    const nodes = new PathNodes(filesystem);
    await nodes.use("/d", () => {
      nodes.clear();
      expect(filesystem.handedOutInAll()).toBe(1);
    });
    expect(filesystem.handedOutInAll()).toBe(0);
  });

  it("stays within its bound, and gives back what it drops", async () => {
    const children = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${i}`, file("")]));
    const filesystem = new ToyFilesystem(directory(children));
    const nodes = new PathNodes(filesystem, 10);
    for (let i = 0; i < 50; i++) await nodes.use(`/${i}`, () => {});
    expect(filesystem.handedOutInAll()).toBe(10);
  });

  it("looks up again what may have changed, also when several ask at once", async () => {
    const filesystem = new ToyFilesystem(tree(), { ttlMs: 0, isAsync: true });
    const nodes = new PathNodes(filesystem);
    await Promise.all(Array.from({ length: 5 }, () => nodes.use("/a/b", () => {})));
    expect(filesystem.calls.get("lookup")).toBe(10);
    nodes.clear();
    expect(filesystem.handedOutInAll()).toBe(0);
  });

  it("does not keep what was looked up before a change, and comes after it", async () => {
    const [before, after] = [file("before"), file("after")];
    const root = directory({ a: directory({ b: before }) });
    class ChangingFilesystem extends ToyFilesystem {
      override lookup(parent: NodeId, name: Buffer): Answer<Entry | Absent> {
        const found = super.lookup(parent, name);
        if (name.toString() === "b" && root.children!.get("a")!.children!.get("b") === before) {
          root.children!.set("a", directory({ b: after }));
          nodes.clear();
        }
        return found;
      }
    }
    const filesystem = new ChangingFilesystem(root);
    const nodes = new PathNodes(filesystem);
    await nodes.use("/a/b", () => {});
    expect(filesystem.handedOutInAll()).toBe(0);
    expect(await nodes.use("/a/b", (node) => node)).toBe(filesystem.nodeIdOf(after));
  });
});
