import { describe, expect, it } from "vitest";
import { commandWords, EXIT_NO_PROGRAM } from "../../src/bytes/command-words.js";
import { textKeepingBytes } from "../../src/bytes/utf8.js";
import { run } from "../support/run.js";

const ODD = textKeepingBytes(Buffer.of(0x61, 0xff, 0x27, 0x24, 0x5c, 0x0a));

describe("commandWords", () => {
  it("leaves words that are UTF-8 as they are", () => {
    const words = ["printf", "%s", "日本"];
    expect(commandWords(words)).toBe(words);
  });

  it("lets a program have other bytes, whatever they mean to a shell", async () => {
    const [program = "", ...args] = commandWords(["printf", "%s|", ODD, "", "*", "日本 x\n\n"]);
    const { stdoutBytes } = await run(program, args);
    expect(stdoutBytes.toString("latin1")).toBe(
      `a\xff'$\\\n||*|${Buffer.from("日本").toString("latin1")} x\n\n|`,
    );
  });

  it("tells by the exit status that there is no such program", async () => {
    const [program = "", ...args] = commandWords(["no-such-program-of-yore", ODD]);
    expect((await run(program, args)).code).toBe(EXIT_NO_PROGRAM);
  });
});
