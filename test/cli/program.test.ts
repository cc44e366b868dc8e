import { describe, expect, it } from "vitest";
import * as exitCodes from "../../src/cli/exit-code.js";
import { runProgram } from "../../src/cli/program.js";
import { FakeIo, type FakeIoOptions } from "../support/fake-io.js";

async function run(args: readonly string[], options?: FakeIoOptions) {
  const io = new FakeIo(options);
  const code = await runProgram(args, io);
  return { code, out: io.out, err: io.err };
}

describe("runProgram", () => {
  it("shows the commands when there are no arguments", async () => {
    const { code, out, err } = await run([]);
    expect(code).toBe(0);
    expect(err).toBe("");
    expect(out).toMatch(/^Usage: yore \[command\] \[flags\]\n/);
    expect(out).toMatch(/^ {2}snapshots {2,}list the snapshots/m);
    expect(out.indexOf("Commands:")).toBeLessThan(out.indexOf("Flags:"));
  });

  it("shows its help where there are flags and no command, but not for a flag that it does not know", async () => {
    const help = await run(["--help"]);
    expect(await run(["-q", "--json"])).toEqual(help);
    expect(await run(["-q", "--nonsense"])).toMatchObject({ code: 1, out: "" });
  });

  it("shows the help of a command, by flag and by `help`", async () => {
    const flag = await run(["ls", "--help"]);
    expect(await run(["help", "ls"])).toEqual(flag);
    expect(flag).toMatchObject({ code: 0, err: "" });
    expect(flag.out).toContain("--ncdu");
    expect(flag.out).toContain("Global flags:");
    expect(flag.out).toContain("$YORE_REPOSITORY, $RESTIC_REPOSITORY");
  });

  it("names every exit code in its help", async () => {
    const section = (await run(["--help"])).out.split("Exit codes:\n")[1]!;
    const named = [...section.matchAll(/^ {2}(\d+) /gm)].map(([, code]) => Number(code));
    expect(named).toEqual(Object.values(exitCodes).filter((code) => typeof code === "number"));
  });

  it("shows help and does nothing, whatever stands behind `--`", async () => {
    for (const command of ["backup", "key add"]) {
      const words = command.split(" ");
      const help = await run([...words, "--help"]);
      expect(help.out).toContain(`yore ${command}`);
      expect(await run(["help", "--", ...words])).toEqual(help);
      expect(await run(["help", ...words, "--", "x", "-y"])).toEqual(help);
    }
    expect(await run(["help", "--", "snapshts"])).toMatchObject({ code: 1, out: "" });
  });

  it("says its version, as text and as JSON", async () => {
    expect((await run(["version"])).out).toMatch(
      /^yore \d+\.\d+\.\d+ speaks restic \d+\.\d+\.\d+ on Node\.js .+ engine, /,
    );
    expect(JSON.parse((await run(["version", "--json"])).out)).toMatchObject({
      message_type: "version",
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    });
    expect((await run(["--version"])).out).toBe((await run(["version"])).out);
  });

  it("says the version of restic first where it is called by that name", async () => {
    const calledAs = "restic";
    expect((await run(["version"], { calledAs })).out).toMatch(
      /^restic 0\.19\.\d+ spoken by yore \d+\.\d+\.\d+ on Node\.js /,
    );
    const own = JSON.parse((await run(["version", "--json"])).out);
    const asRestic = JSON.parse((await run(["version", "--json"], { calledAs })).out);
    expect(own).toMatchObject({
      version: own.yore_version,
      restic_version: expect.stringMatching(/^0\.19\.\d+$/),
    });
    expect(asRestic).toEqual({ ...own, version: own.restic_version });
  });

  it("says one sentence about an unknown command, and which one was meant", async () => {
    expect(await run(["snapshts"])).toEqual({
      code: 1,
      out: "",
      err: 'Fatal: unknown command "snapshts" for "yore"\nDid you mean "snapshots"?\n',
    });
  });

  it("says how it was installed and what updates it", async () => {
    const { code, out, err } = await run(["self-update"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("runs from a git checkout");
    expect(out).toMatch(/^ {2}git -C .+ pull$/m);
    expect(JSON.parse((await run(["self-update", "--json"])).out)).toMatchObject({
      message_type: "self_update",
      kind: "git",
    });
    expect((await run(["self-update", "--output", "x"])).code).toBe(1);
  });

  it("reads feature flags as restic does", async () => {
    const version = (RESTIC_FEATURES: string) => run(["version"], { env: { RESTIC_FEATURES } });
    expect(await version("backend-error-redesign=true,safe-forget-keep-tags")).toMatchObject({
      code: 0,
      err: "",
    });
    expect(await version("safe-forget-keep-tags=false")).toMatchObject({
      code: 0,
      err: expect.stringContaining("always enabled"),
    });
    expect(await version("foo=true")).toMatchObject({ code: 1, err: expect.stringContaining('"foo"') });
    expect(await version("s3-restore=x")).toMatchObject({ code: 1, err: expect.stringContaining('"x"') });
    expect(await version("s3-restore=true")).toMatchObject({
      code: 1,
      err: expect.stringContaining("not supported yet"),
    });
  });

  it("writes failures as JSON on stderr when asked for JSON", async () => {
    const { code, out, err } = await run(["snapshots", "--json", "--repo", "/nowhere/at/all"], {
      env: { RESTIC_PASSWORD: "x" },
    });
    expect(code).toBe(10);
    expect(out).toBe("");
    expect(JSON.parse(err)).toEqual({
      message_type: "exit_error",
      code: 10,
      message: expect.stringContaining("/nowhere/at/all"),
    });
  });

  it("names both ways to name a repository when there is none", async () => {
    const { code, err } = await run(["snapshots"], { env: { HOME: "/nowhere", YORE_PASSWORD: "x" } });
    expect(code).toBe(1);
    expect(err).toContain("--repo");
    expect(err).toContain("YORE_REPOSITORY");
    expect(err).toContain("yore init");
  });

  it.each([
    [["snapshots", "-q", "-v"], {}, "--quiet and --verbose"],
    [["snapshots", "--compression", "foo"], {}, '"foo"'],
    [["snapshots"], { RESTIC_COMPRESSION: "foo" }, "RESTIC_COMPRESSION"],
    [["snapshots"], { YORE_PACK_SIZE: "abc" }, "YORE_PACK_SIZE"],
    [["snapshots", "--pack-size", "200"], {}, "128 MiB"],
    [["snapshots", "--pack-size", "2"], {}, "4 MiB"],
    [["snapshots", "-r", "a", "--repository-file", "b"], {}, "mutually exclusive"],
    [["snapshots", "-r", "a", "-o", "=x"], {}, "key is empty"],
    [["snapshots", "-r", "a", "-o", "k=1", "-o", "k=2"], {}, "given twice"],
    [["snapshots", "-r", "a", "-o", "local.foo=1"], { RESTIC_PASSWORD: "x" }, '"local.foo" is not known'],
    [["snapshots", "-r", "a", "-o", "local.connections=0"], { RESTIC_PASSWORD: "x" }, "local.connections"],
    [["snapshots", "-r", "a", "-p", "f", "--password-command", "c"], {}, "mutually exclusive"],
    [["snapshots", "-r", "a", "--insecure-no-password"], { RESTIC_PASSWORD: "x" }, "--insecure-no-password"],
    [["snapshots", "-g", "foo"], {}, 'unknown grouping option: "foo"'],
    [["init", "extra"], {}, "too many arguments"],
    [["init", "--repository-version", "3"], {}, "only versions 1 and 2"],
    [["init", "--copy-chunker-params"], {}, "--from-repo"],
    [["list"], {}, "missing required argument"],
    [["mount"], {}, "missing required argument 'mountpoint'"],
    [["list", "foo"], {}, '"foo"'],
    [["cat"], {}, "type not specified"],
    [["cat", "foo"], {}, '"foo"'],
    [["cat", "pack"], {}, "ID not specified"],
    [["ls", "latest", "--ncdu", "--json=1"], {}, "--ncdu"],
    [["ls", "latest", "--ncdu", "--reverse"], {}, "--reverse"],
    [["ls", "latest", "--sort", "foo"], {}, '"foo"'],
    ...["", "/", "//", ".", "..", "a/.."].flatMap((name) =>
      ["--stdin", "--stdin-from-command"].map(
        (stream) =>
          [
            ["backup", stream, "--stdin-filename", name, ...(stream === "--stdin" ? [] : ["true"])],
            { YORE_PASSWORD: "x", YORE_REPOSITORY: "/nowhere" },
            `invalid argument "${name}" for "--stdin-filename" flag: it names no file`,
          ] as const,
      ),
    ),
    [["forget", "--keep-within", ""], {}, "no policy was specified"],
    [["forget", "--keep-within=0d", "--keep-within-weekly=0y0h"], {}, "no policy was specified"],
    ...[
      ["snapshots", "--retry-lock", "foo"],
      ["snapshots", "--stuck-request-timeout", "foo"],
      ["snapshots", "--cache-limit", "foo"],
      ["snapshots", "--compression", "foo"],
      ["snapshots", "--latest", "foo"],
      ["backup", ".", "--exclude-larger-than", "foo"],
      ["prune", "--max-repack-size", "foo"],
      ["mount", ".", "--read-timeout", "foo"],
      ["mount", ".", "--refresh-interval", "foo"],
      ["mount", ".", "--cache-size", "foo"],
      ["serve", "--max-size", "foo"],
      ["serve", "--shutdown-timeout", "foo"],
      ["restore", "latest", "--overwrite", "foo"],
    ].map((args) => [args, {}, `invalid argument "foo" for "${args.at(-2)}" flag: `] as const),
    [["snapshots"], { YORE_CACHE_LIMIT: "foo" }, 'invalid argument "foo" for $YORE_CACHE_LIMIT: '],
    ...["--exclude", "--iexclude", "--include", "--iinclude", "--exclude-xattr", "--include-xattr"].map(
      (flag) => [["restore", "latest", "-t", "/nowhere", flag, "["], {}, `Cannot use ${flag} "[" (`] as const,
    ),
  ] as const)("refuses %j with %j", async (args, env, message) => {
    const { code, out, err } = await run(args, { env: { HOME: "/nowhere", ...env } });
    expect(code).toBe(1);
    expect(out).toBe("");
    expect(err).toMatch(/^(Fatal: |{"message_type":"exit_error","code":1,"message":"Fatal: )/);
    expect(err).toContain(message);
    expect(err).not.toMatch(/^ {4}at /m);
  });

  it("lets a flag beat a senseless variable", async () => {
    const { err } = await run(["snapshots", "-r", "/nowhere", "--compression", "max", "--pack-size", "8"], {
      env: { RESTIC_COMPRESSION: "foo", RESTIC_PACK_SIZE: "abc", RESTIC_PASSWORD: "x" },
    });
    expect(err).toContain("/nowhere");
  });

  it("shows a stack only with YORE_DEBUG", async () => {
    const { err } = await run(["snapshots", "-r", "/nowhere"], {
      env: { RESTIC_PASSWORD: "x", YORE_DEBUG: "1" },
    });
    expect(err).toMatch(/^ {4}at /m);
  });
});
