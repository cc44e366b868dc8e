import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { runProgram } from "../../src/cli/program.js";
import { FakeIo } from "../support/fake-io.js";
import { temporaryFolder } from "../support/temporary.js";

const variableOf = (flag: string) => `YORE_SERVE_${flag.slice(2).toUpperCase().replaceAll("-", "_")}`;

/** All flags of `serve`, those with a value apart. */
async function readFlags(): Promise<{ readonly switches: string[]; readonly withValue: string[] }> {
  const io = new FakeIo();
  await runProgram(["serve", "--help"], io);
  const own = /^Flags:\n([\s\S]*?)\n\n/m.exec(io.out)![1]!;
  const flags = [...own.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)( <)?/gm)].filter(
    ([, flag]) => flag !== "--help",
  );
  const names = (hasValue: boolean) =>
    flags.filter((match) => (match[2] !== undefined) === hasValue).map((match) => match[1]!);
  // Hidden from the help.
  return { switches: [...names(false), "--debug"], withValue: names(true) };
}

/** For each flag with a value, one that the server cannot begin with, and what it says then. */
const UNUSABLE: Readonly<Record<string, readonly [value: string, message: RegExp]>> = {
  "--path": ["/no/data", /Cannot read password file "\/no\/data\/.htpasswd"/],
  "--listen": ["nowhere", /nowhere/],
  "--tls-cert": ["cert.pem", /without --tls/],
  "--tls-key": ["key.pem", /without --tls/],
  "--tls-min-ver": ["1.1", /\$YORE_SERVE_TLS_MIN_VER: expected one of 1\.2, 1\.3/],
  "--htpasswd-file": ["/no/passwords", /Cannot read password file "\/no\/passwords"/],
  // Nobody's password is needed then, and what is missing next is told.
  "--proxy-auth-username": ["X-User", /policy/],
  "--max-size": ["foo", /\$YORE_SERVE_MAX_SIZE: .*"foo"/],
  "--log": ["/no/log", /Cannot write log "\/no\/log"/],
  "--keep-deleted": ["foo", /"foo" of --keep-deleted/],
  "--policy-file": ["/no/rules", /"\/no\/rules"/],
  "--shutdown-timeout": ["foo", /\$YORE_SERVE_SHUTDOWN_TIMEOUT: .*"foo"/],
};

describe("the environment of yore serve", () => {
  let folder: string;

  beforeEach(async () => {
    folder = join(await temporaryFolder(), "data");
    await mkdir(folder);
  });

  /** It never gets as far as to listen, for there is no such policy file. */
  async function serve(flag: string, value: string): Promise<string> {
    const isReadLater = flag === "--policy-file" || flag === "--log";
    const env = {
      YORE_SERVE_PATH: folder,
      YORE_SERVE_POLICY_FILE: "/does/not/exist",
      // The passwords are read before.
      YORE_SERVE_NO_AUTH: String(isReadLater),
      [variableOf(flag)]: value,
    };
    const io = new FakeIo({ env });
    expect(await runProgram(["serve"], io)).toBe(1);
    return io.err;
  }

  it("has each switch, as true or false and nothing else", async () => {
    const { switches } = await readFlags();
    expect(switches).toContain("--no-auth");
    for (const flag of switches) {
      expect(await serve(flag, "perhaps"), flag).toContain(
        `Cannot read $${variableOf(flag)}: "perhaps" is neither true nor false`,
      );
      expect(await serve(flag, "false"), flag).toContain("Cannot read password file");
    }
  });

  it("has each flag with a value", async () => {
    const { withValue } = await readFlags();
    expect(withValue.sort()).toEqual(Object.keys(UNUSABLE).sort());
    for (const [flag, [value, message]] of Object.entries(UNUSABLE))
      expect(await serve(flag, value), flag).toMatch(message);
  });

  it("asks nobody for a password with $YORE_SERVE_NO_AUTH", async () => {
    expect(await serve("--no-auth", "true")).toContain("/does/not/exist");
  });
});

describe("the help of yore serve", () => {
  it("tells each default once, as one would write it", async () => {
    const io = new FakeIo();
    await runProgram(["serve", "--help"], io);
    expect(io.out.replace(/\s+/g, " ")).toMatch(/at the end \(default: 30s\) --/);
    expect(io.out).not.toMatch(/\(default: [^)]*\)\s+\(default:/);
  });
});
