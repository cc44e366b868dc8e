import { once } from "node:events";
import { expect, it, onTestFinished, vi } from "vitest";
import { Gate } from "../support/gate.js";
import { spawnYore } from "../support/run.js";

it.each(["init", "init --json", "snapshots", "snapshots --json"])(
  "yore %s says that it tries again",
  async (words) => {
    const gate = await Gate.open("http://127.0.0.1:1/");
    onTestFinished(() => gate.close());
    gate.rule = () => ({ status: 503 });
    const child = spawnYore([
      "-r",
      `rest:${gate.url}`,
      "--no-cache",
      "--insecure-no-password",
      ...words.split(" "),
    ]);
    onTestFinished(() => void child.kill("SIGKILL"));
    const said: Buffer[] = [];
    const printed: Buffer[] = [];
    child.stderr!.on("data", (piece: Buffer) => said.push(piece));
    child.stdout!.on("data", (piece: Buffer) => printed.push(piece));
    const ended = once(child, "close");
    await vi.waitFor(() => {
      expect(Buffer.concat(said).toString()).toMatch(
        /Cannot \w+ .* at "rest:.*": the server answered 503 \(Service Unavailable\); trying again in \d/,
      );
    }, 30_000);
    child.kill("SIGINT");
    expect(await ended).toEqual([130, null]);
    expect(Buffer.concat(printed).toString()).toBe("");
  },
);
