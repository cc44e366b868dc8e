import { createHash } from "node:crypto";
import { linkSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { hash as bcrypt } from "bcryptjs";
import { describe, expect, it, vi } from "vitest";
import { Authenticator } from "../../src/server/authenticator.js";
import { PasswordFile } from "../../src/server/password-file.js";
import { run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const sha1 = (password: string) => `{SHA}${createHash("sha1").update(password).digest("base64")}`;

/** How many threads the system will not give from now on; it does so where a process has as many as it may. */
const refusals = vi.hoisted(() => ({ left: 0 }));

vi.mock("node:worker_threads", async (original) => {
  const real = await original<typeof import("node:worker_threads")>();
  class Worker extends real.Worker {
    constructor(...args: ConstructorParameters<typeof real.Worker>) {
      if (refusals.left-- > 0) throw Object.assign(new Error("EAGAIN"), { code: "ERR_WORKER_INIT_FAILED" });
      super(...args);
    }
  }
  return { ...real, Worker };
});

describe("PasswordFile", () => {
  it("tells who is right after there was no thread to compare with", async () => {
    const path = join(await temporaryFolder(), ".htpasswd");
    writeFileSync(path, `ada:${await bcrypt("lovelace", 4)}\n`);
    const file = await PasswordFile.load(path, (problem) => expect.unreachable(problem));
    refusals.left = 1;
    await expect(file.verify("ada", "lovelace")).rejects.toThrow("EAGAIN");
    const answers = ["byron", "lovelace", "byron"].map((password) => file.verify("ada", password));
    for (const [i, isRight] of [false, true, false].entries()) expect(await answers[i]).toBe(isRight);
  });

  it("counts no guess for what could not be compared", async () => {
    const path = join(await temporaryFolder(), ".htpasswd");
    writeFileSync(path, `ada:${await bcrypt("lovelace", 4)}\n`);
    const file = await PasswordFile.load(path, (problem) => expect.unreachable(problem));
    const authenticator = new Authenticator({ kind: "passwords", file });
    const authorization = `Basic ${Buffer.from("ada:lovelace").toString("base64")}`;
    const request = { headers: { authorization }, socket: { remoteAddress: "::1" } } as IncomingMessage;
    // Each guess after the eighth would wait for two seconds.
    refusals.left = 100;
    for (let i = 0; i < 100; i++) await expect(authenticator.identify(request)).rejects.toThrow("EAGAIN");
    expect(await authenticator.identify(request)).toBe("ada");
  });

  it("does not believe again what it began to read earlier", async () => {
    const path = join(await temporaryFolder(), ".htpasswd");
    const ada = `ada:${await bcrypt("lovelace", 4)}\n`;
    const bob = `bob:${await bcrypt("builder", 4)}\n`;
    writeFileSync(path, ada);
    const file = await PasswordFile.load(path, (problem) => expect.unreachable(problem));
    // As a slow disk: it gives nothing until somebody writes into it.
    await run("mkfifo", [`${path}.slow`]);
    renameSync(path, `${path}.old`);
    linkSync(`${path}.slow`, path);
    const slow = file.reload({ ifChanged: false });
    const writer = await open(`${path}.slow`, "w");
    writeFileSync(`${path}.new`, bob);
    renameSync(`${path}.new`, path);
    await file.reload({ ifChanged: false });
    await writer.write(ada);
    await writer.close();
    await slow;
    expect([await file.verify("ada", "lovelace"), await file.verify("bob", "builder")]).toEqual([
      false,
      true,
    ]);
  });

  it("remembers no password that is taken back while it is compared", async () => {
    const path = join(await temporaryFolder(), ".htpasswd");
    writeFileSync(path, `ada:${await bcrypt("lovelace", 12)}\n`);
    const file = await PasswordFile.load(path, (problem) => expect.unreachable(problem));
    const underWay = file.verify("ada", "lovelace");
    writeFileSync(path, "");
    await file.reload({ ifChanged: false });
    await underWay;
    expect(file.remembers("ada", "lovelace")).toBe(false);
    expect(await file.verify("ada", "lovelace")).toBe(false);
  });

  it("remembers a right one for as long as the file says the same of this user", async () => {
    const path = join(await temporaryFolder(), ".htpasswd");
    const ada = `ada:${await bcrypt("lovelace", 4)}\n`;
    writeFileSync(path, ada);
    const file = await PasswordFile.load(path, (problem) => expect.unreachable(problem));
    expect(await file.verify("ada", "lovelace")).toBe(true);
    writeFileSync(path, `${ada}bob:${await bcrypt("builder", 4)}\n`);
    await file.reload({ ifChanged: true });
    expect(file.remembers("ada", "lovelace")).toBe(true);
    expect(file.remembers("ada", "builder")).toBe(false);
    writeFileSync(path, `ada:${await bcrypt("byron", 4)}\n`);
    await file.reload({ ifChanged: true });
    expect(file.remembers("ada", "lovelace")).toBe(false);
  });

  it.each([
    ["of another kind", "ada:$apr1$x$y"],
    ["that is empty", "ada:"],
  ])("lets nobody in by an earlier line of a user when the last one has a hash %s", async (_, last) => {
    const path = join(await temporaryFolder(), ".htpasswd");
    writeFileSync(path, `ada:${sha1("old")}\n${last}\n`);
    const problems: string[] = [];
    const file = await PasswordFile.load(path, (problem) => problems.push(problem));
    expect(problems).toEqual([expect.stringMatching(/line 2: user "ada" skipped/)]);
    expect(await file.verify("ada", "old")).toBe(false);
  });

  it("tells once what is wrong with the file, and anew after it was right", async () => {
    const path = join(await temporaryFolder(), ".htpasswd");
    const right = `ada:${sha1("lovelace")}\n`;
    writeFileSync(path, right);
    const problems: string[] = [];
    const file = await PasswordFile.load(path, (problem) => problems.push(problem));
    const stayValid = expect.stringMatching(/line 3 is no user:hash; the passwords loaded before stay valid/);
    for (let told = 1; told <= 2; told++) {
      writeFileSync(path, `${right}eve:$apr1$x$y\nno colon\n`);
      for (let i = 0; i < 3; i++) await file.reload({ ifChanged: true });
      expect(problems).toEqual(Array.from({ length: told }, () => stayValid));
      expect(await file.verify("ada", "lovelace")).toBe(true);
      writeFileSync(path, right);
      await file.reload({ ifChanged: true });
    }
    renameSync(path, `${path}.away`);
    for (let i = 0; i < 3; i++) await file.reload({ ifChanged: true });
    expect(problems.slice(2)).toEqual([expect.stringMatching(/ENOENT.*stay valid/)]);
    await file.reload({ ifChanged: false });
    expect(problems).toHaveLength(4);
  });

  it("keeps nobody waiting for a hash that takes days to compare", async () => {
    const path = join(await temporaryFolder(), ".htpasswd");
    const slow = `$2b$31$${(await bcrypt("slow", 4)).slice(7)}`;
    writeFileSync(path, `slow:${slow}\nada:${await bcrypt("lovelace", 4)}\n`);
    const problems: string[] = [];
    const file = await PasswordFile.load(path, (problem) => problems.push(problem));
    const anyone = file.verify("slow", "slow");
    expect(await file.verify("ada", "lovelace")).toBe(true);
    expect(await anyone).toBe(false);
    expect(problems).toEqual([
      expect.stringMatching(/line 1: user "slow" skipped, the cost of its hash is above 17/),
    ]);
  });

  it("sees a change by what gives the file the time of before", async () => {
    const path = join(await temporaryFolder(), ".htpasswd");
    writeFileSync(path, `ada:${sha1("old")}\n`);
    utimesSync(path, 1, 1);
    const file = await PasswordFile.load(path, (problem) => expect.unreachable(problem));
    writeFileSync(path, `ada:${sha1("new")}\n`);
    utimesSync(path, 1, 1);
    await file.reload({ ifChanged: true });
    expect([await file.verify("ada", "old"), await file.verify("ada", "new")]).toEqual([false, true]);
  });
});
