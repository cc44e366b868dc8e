import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { Output } from "../../src/cli/output.js";

/** A reader that takes what it gets when it is told to. */
class SlowReader extends Writable {
  readonly taken: Buffer[] = [];
  readonly #waiting: (() => void)[] = [];

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#waiting.push(() => {
      this.taken.push(Buffer.from(bytes));
      done();
    });
  }

  async takeAll(): Promise<void> {
    for (let idle = 0; idle < 3; idle++) {
      for (let take = this.#waiting.shift(); take; take = this.#waiting.shift()) {
        take();
        idle = 0;
      }
      await new Promise(setImmediate);
    }
  }
}

const LARGE = 300_000;

describe("Output", () => {
  it("passes much on as it is when the reader takes it, in order with what it gathers", async () => {
    const reader = new SlowReader();
    const output = new Output(reader);
    const bytes = Buffer.alloc(LARGE, "a");
    let isFree = false;
    expect(output.write("before\n")).toBeUndefined();
    const passed = output.pass(bytes)!.then(() => {
      isFree = true;
    });
    expect(output.pass(Buffer.from("between\n"))).toBeUndefined();
    await new Promise(setImmediate);
    expect(isFree).toBe(false);
    // Nobody has copied them.
    bytes.fill("b");
    await reader.takeAll();
    await passed;
    bytes.fill("c");
    output.line("behind");
    const flushed = output.flush();
    await reader.takeAll();
    await flushed;
    expect(Buffer.concat(reader.taken).toString()).toBe(`before\n${"b".repeat(LARGE)}between\nbehind\n`);
  });

  it("copies what goes to a terminal, where nobody says when it is free", async () => {
    const reader = Object.assign(new SlowReader(), { isTTY: true });
    const output = new Output(reader);
    const bytes = Buffer.alloc(LARGE, "a");
    expect(output.pass(bytes)).toBeUndefined();
    bytes.fill("b");
    await reader.takeAll();
    expect(Buffer.concat(reader.taken).toString()).toBe("a".repeat(LARGE));
  });

  it("lets those who write much wait for a slow reader", async () => {
    const reader = new SlowReader();
    const output = new Output(reader);
    const line = "x".repeat(50_000);
    let waits: Promise<void> | undefined;
    let lines = 0;
    for (; !waits && lines < 1_000; lines++) waits = output.line(line);
    expect(lines).toBeLessThan(50);
    expect(output.line(line)).toBe(waits);
    await reader.takeAll();
    await waits;
    await reader.takeAll();
    expect(output.line("end")).toBeUndefined();
  });

  it("keeps nobody waiting when the reader has gone", async () => {
    const failures: Error[] = [];
    const gone = new Writable({ write: (_bytes, _encoding, done) => done(new Error("gone")) });
    const output = new Output(gone, undefined, (error) => failures.push(error));
    await Promise.all([output.pass(Buffer.alloc(LARGE)), output.pass(Buffer.alloc(LARGE)), output.flush()]);
    expect(failures.map(({ message }) => message)).toEqual(["gone"]);
    expect(output.failure?.message).toBe("gone");
    expect(output.pass(Buffer.alloc(LARGE))).toBeUndefined();
    await output.flush();
  });
});
