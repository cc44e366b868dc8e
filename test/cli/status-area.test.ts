import { describe, expect, it } from "vitest";
import { FakeIo } from "../support/fake-io.js";

/** What a terminal shows in the end: enough of it for lines, carriage returns and the sequences that we use. */
function screen(written: string): string[] {
  const lines: string[][] = [[]];
  let row = 0;
  let column = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is parsed
  for (const token of written.match(/\x1b\[\d*[A-Z]|[\s\S]/g) ?? []) {
    if (token === "\n") {
      row++;
      column = 0;
      lines[row] ??= [];
    } else if (token === "\r") column = 0;
    else if (token === "\x1b[2K") lines[row] = [];
    else if (token === "\x1b[0J") {
      lines.splice(row + 1);
      lines[row]!.splice(column);
    } else if (token.startsWith("\x1b[")) row -= Number(token.slice(2, -1));
    else lines[row]![column++] = token;
  }
  return lines.map((line) => line.join(""));
}

describe("StatusArea", () => {
  it("is drawn again below every line that is written", () => {
    const io = new FakeIo({ terminalColumns: 40 });
    io.status.show(["one", "two"]);
    io.stdout.line("output");
    expect(screen(io.out)).toEqual(["output", "one", "two"]);
    io.status.show(["three"]);
    io.stdout.line("more");
    expect(screen(io.out)).toEqual(["output", "more", "three"]);
    io.status.hide();
    expect(screen(io.out)).toEqual(["output", "more", ""]);
  });

  it("stays away while a line is unfinished", () => {
    const io = new FakeIo({ terminalColumns: 40 });
    io.status.show(["status"]);
    io.stdout.write("half ");
    expect(screen(io.out)).toEqual(["half "]);
    io.stdout.write("line\n");
    io.status.show(["status"]);
    expect(screen(io.out)).toEqual(["half line", "status"]);
  });

  it("cuts lines to the width of the terminal", () => {
    const io = new FakeIo({ terminalColumns: 10 });
    io.status.show(["0123456789012"]);
    expect(screen(io.out)).toEqual(["012345678"]);
  });

  it("does nothing without a terminal", async () => {
    const io = new FakeIo();
    io.status.show(["status"]);
    io.stdout.line("output");
    await io.stdout.flush();
    expect(io.out).toBe("output\n");
  });
});
