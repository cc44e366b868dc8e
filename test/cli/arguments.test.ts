import { Command, Option } from "commander";
import { describe, expect, it } from "vitest";
import { normaliseArguments, ONE_MORE } from "../../src/cli/arguments.js";
import { UsageError } from "../../src/errors.js";

function program(): Command {
  const root = new Command("yore")
    .option("-r, --repo <repository>")
    .option("--json")
    .option("-q, --quiet")
    .option("--no-lock")
    .option("-o, --option <key=value>")
    .addOption(new Option("-v, --verbose [n]").preset(ONE_MORE));
  root
    .command("ls")
    .argument("<snapshot>")
    .argument("[dir...]")
    .option("-l, --long")
    .option("-s, --sort <mode>");
  root.command("backup").argument("[path...]").option("--stdin-from-command");
  const key = root.command("key");
  key.command("add").option("--user <name>");
  return root;
}

const normalise = (...argv: string[]) => normaliseArguments(program(), argv);

describe("normaliseArguments", () => {
  it("puts flags before arguments, wherever they stood", () => {
    expect(normalise("ls", "latest", "-l", "/a", "--sort", "size")).toEqual([
      "ls",
      "--sort=size",
      "--long",
      "--",
      "latest",
      "/a",
    ]);
  });

  it("takes flags before the command, with their values", () => {
    expect(normalise("-r", "repo", "--json", "ls", "latest")).toEqual([
      "ls",
      "--repo=repo",
      "--json",
      "--",
      "latest",
    ]);
  });

  it.each([["-rrepo"], ["-r=repo"], ["--repo=repo"], ["-r", "repo"]])("reads %s as pflag does", (...flag) => {
    expect(normalise(...flag, "ls", "x")).toEqual(["ls", "--repo=repo", "--", "x"]);
  });

  it("takes a value that starts with a dash", () => {
    expect(normalise("ls", "x", "--sort", "-name")).toEqual(["ls", "--sort=-name", "--", "x"]);
  });

  it("keeps an empty value", () => {
    expect(normalise("ls", "x", "--sort=", "-o", "")).toEqual(["ls", "--sort=", "--option=", "--", "x"]);
  });

  it("reads clusters of short flags, the last of which may have a value", () => {
    expect(normalise("ls", "-qlssize", "x")).toEqual(["ls", "--sort=size", "--quiet", "--long", "--", "x"]);
  });

  it("finds the command behind a cluster that ends with a flag that wants a value", () => {
    expect(normalise("-qr", "ls", "ls", "x")).toEqual(["ls", "--repo=ls", "--quiet", "--", "x"]);
  });

  it("counts -v, and lets a number stand only behind an equals sign", () => {
    expect(normalise("-vv", "ls", "2")).toEqual(["ls", "--verbose=+1", "--verbose=+1", "--", "2"]);
    expect(normalise("--verbose", "ls", "2")).toEqual(["ls", "--verbose=+1", "--", "2"]);
    expect(normalise("-v=2", "ls", "x")).toEqual(["ls", "--verbose=2", "--", "x"]);
  });

  it("switches off what is said to be false, and lets the last word count", () => {
    expect(normalise("ls", "--json=false", "x")).toEqual(["ls", "--", "x"]);
    expect(normalise("ls", "--json=false", "--json", "x")).toEqual(["ls", "--json", "--", "x"]);
    expect(normalise("ls", "--no-lock=0", "x")).toEqual(["ls", "--", "x"]);
    expect(() => normalise("ls", "--json=maybe", "x")).toThrow(UsageError);
  });

  it("leaves what stands behind -- alone", () => {
    expect(normalise("backup", "--stdin-from-command", "--", "tar", "-c", "--json")).toEqual([
      "backup",
      "--stdin-from-command",
      "--",
      "tar",
      "-c",
      "--json",
    ]);
  });

  it("takes a single dash as an argument", () => {
    expect(normalise("backup", "-")).toEqual(["backup", "--", "-"]);
  });

  it("finds commands of commands", () => {
    expect(normalise("key", "add", "--user", "me")).toEqual(["key", "add", "--user=me", "--"]);
  });

  it("asks for help wherever that stands", () => {
    expect(normalise("ls", "-h")).toEqual(["ls", "--help"]);
    expect(normalise("--help")).toEqual(["--help"]);
    expect(normalise("key", "--help")).toEqual(["key", "--help"]);
  });

  it.each([
    [["lss"], 'unknown command "lss" for "yore"', 'Did you mean "ls"?'],
    [["key", "ad"], 'unknown command "ad" for "yore key"', 'Did you mean "add"?'],
    [["ls", "--lon"], "unknown flag: --lon", 'Did you mean "--long"?'],
    [["ls", "--xyzzy"], "unknown flag: --xyzzy", '"yore ls --help" lists the flags'],
    [["ls", "-lx"], "unknown flag: -x in -lx", '"yore ls --help" lists the flags'],
    [["ls", "-s"], "flag needs an argument: -s", undefined],
  ])("refuses %j", (argv, message, hint) => {
    let thrown: unknown;
    try {
      normalise(...argv);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(UsageError);
    expect(thrown).toMatchObject({ message, hint });
  });
});
