import { execFileSync } from "node:child_process";
import { createCipheriv } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

/** Bytes that look random and are the same in every run. */
export function noise(length: number, seed: number): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/**
 * Fills a folder with one of every kind of file system object that this user may make: names that are no
 * UTF-8, links, holes, old and odd times, special bits, and for root devices, other owners, attributes and
 * ACLs. A little more than 10 MiB.
 */
export async function makeZoo(folder: string): Promise<void> {
  const at = (...names: string[]) => join(folder, ...names);
  mkdirSync(folder, { recursive: true });
  makeContents(at);
  makeNames(folder);
  makeLinks(at);
  await makeSpecial(at);
  if (process.getuid?.() === 0) makeOwned(at);
  makeTimes(at);
}

type At = (...names: string[]) => string;

function makeContents(at: At): void {
  mkdirSync(at("contents", "deep", "er"), { recursive: true });
  mkdirSync(at("contents", "empty folder"));
  writeFileSync(at("contents", "empty"), "");
  writeFileSync(at("contents", "text"), "one line\n".repeat(10_000));
  writeFileSync(at("contents", "copy of text"), "one line\n".repeat(10_000));
  writeFileSync(at("contents", "large"), noise(5_000_000, 1));
  writeFileSync(at("contents", "smallest chunk"), noise(512 * 1024, 2));
  writeFileSync(at("contents", "one more"), noise(512 * 1024 + 1, 3));
  writeFileSync(at("contents", "zeros"), Buffer.alloc(1_048_581));
  for (let i = 0; i < 150; i++) writeFileSync(at("contents", "deep", "er", `small ${i}`), noise(i * 37, i));
  writeFileSync(at("contents", "all hole"), "");
  truncateSync(at("contents", "all hole"), 40 * 1024 * 1024 + 77);
  const islands = openSync(at("contents", "islands"), "w");
  for (const [i, offset] of [0, 3_000_000, 9_437_184, 20_000_001].entries())
    writeSync(islands, noise(70_000, 10 + i), 0, 70_000, offset);
  closeSync(islands);
  truncateSync(at("contents", "islands"), 30_000_000);
}

function makeNames(folder: string): void {
  mkdirSync(join(folder, "names"));
  const names: (string | Buffer)[] = [
    "space and ünïcödé",
    "emoji 😀",
    "new\nline",
    "tab\t",
    'quote"',
    "back\\slash",
    "<html>&",
    "\u2028",
    "\u00a0",
    "\u{e0041}",
    "-dash",
    "*",
    "[brackets]",
    "$HOME",
    ".hidden",
    "decomposed e\u0301",
    "bell\x07 esc\x1b del\x7f",
    Buffer.from("bad\xff\xfe", "latin1"),
    Buffer.from("half\xc3", "latin1"),
    "n".repeat(255),
  ];
  const prefix = Buffer.from(`${join(folder, "names")}/`);
  for (const name of names) writeFileSync(Buffer.concat([prefix, Buffer.from(name as string)]), "named");
}

function makeLinks(at: At): void {
  mkdirSync(at("links"));
  writeFileSync(at("links", "first"), "linked");
  linkSync(at("links", "first"), at("links", "second"));
  linkSync(at("links", "first"), at("contents", "third"));
  symlinkSync("first", at("links", "symlink"));
  symlinkSync("/nowhere/at/all", at("links", "broken"));
  symlinkSync("../contents", at("links", "folder"));
  symlinkSync(Buffer.from("target\xff", "latin1"), at("links", "odd target"));
}

async function makeSpecial(at: At): Promise<void> {
  mkdirSync(at("special"));
  execFileSync("mkfifo", [at("special", "fifo")]);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(at("special", "socket"), resolve));
  // The socket's name must outlive the server, which removes it when it closes properly.
  execFileSync("mv", [at("special", "socket"), at("special", "left socket")]);
  await new Promise((resolve) => server.close(resolve));
  for (const [name, mode] of [
    ["none", 0o000],
    ["setuid", 0o4755],
    ["setgid", 0o2755],
    ["all", 0o777],
  ] as const) {
    writeFileSync(at("special", name), name);
    chmodSync(at("special", name), mode);
  }
  mkdirSync(at("special", "sticky"));
  chmodSync(at("special", "sticky"), 0o1777);
}

function makeOwned(at: At): void {
  execFileSync("mknod", [at("special", "null"), "c", "1", "3"]);
  execFileSync("mknod", [at("special", "block"), "b", "7", "300"]);
  mkdirSync(at("owned"));
  for (const [name, uid, gid] of [
    ["daemon", 1, 1],
    ["nobody knows", 54_321, 65_432],
  ] as const) {
    writeFileSync(at("owned", name), name);
    chownSync(at("owned", name), uid, gid);
  }
  const attributes = (...args: string[]) => execFileSync("setfattr", args, { stdio: "ignore" });
  try {
    writeFileSync(at("owned", "attributes"), "a");
    for (const [name, value] of [
      ["user.z", "last"],
      ["user.a", "first"],
      ["user.empty", ""],
      ["trusted.t", "t"],
    ] as const)
      attributes("-n", name, "-v", value, at("owned", "attributes"));
    attributes("-h", "-n", "trusted.link", "-v", "l", at("links", "symlink"));
    attributes("-n", "user.folder", "-v", "f", at("owned"));
    writeFileSync(at("owned", "acl"), "a");
    execFileSync("setfacl", ["-m", "u:1:r,g:2:rw", at("owned", "acl")]);
    execFileSync("setfacl", ["-d", "-m", "u:1:rx", at("owned")]);
  } catch {
    // A file system without attributes, or a machine without the tools, has a smaller zoo.
  }
}

function makeTimes(at: At): void {
  mkdirSync(at("times"));
  for (const [name, seconds] of [
    ["epoch", 0],
    ["before", -86_400.5],
    ["far", 4_102_444_800.25],
    ["summer", 1_783_123_456.789],
  ] as const) {
    writeFileSync(at("times", name), name);
    utimesSync(at("times", name), seconds, seconds + 1);
  }
  lutimesSync(at("links", "symlink"), 1_000_000_000, 1_000_000_001);
  utimesSync(at("times"), 1_111_111_111, 1_222_222_222);
}
