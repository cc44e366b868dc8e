import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { changeDayByDay } from "../../scripts/bench/history-data.js";
import { randomNumbers } from "../../scripts/bench/random-numbers.js";
import { temporaryFolder } from "../support/temporary.js";

const SIZE = { files: 1_000, snapshots: 4 };

function filesOf(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  return new Map(
    names
      .filter((name) => statSync(join(folder, name)).isFile())
      .map((name) => {
        const content = createHash("sha256")
          .update(readFileSync(join(folder, name)))
          .digest("hex");
        return [name, `${content} ${statSync(join(folder, name)).mtimeMs}`];
      }),
  );
}

describe("changeDayByDay", () => {
  it("makes the same trees each time, a little different from day to day", async () => {
    const [one, two] = [join(await temporaryFolder(), "tree"), join(await temporaryFolder(), "tree")];
    const other = changeDayByDay(two, SIZE);
    let last: Map<string, string> | undefined;
    for (const time of changeDayByDay(one, SIZE)) {
      expect(other.next().value).toBe(time);
      const files = filesOf(one);
      expect(filesOf(two)).toEqual(files);
      expect(files.size).toBe(SIZE.files);
      const changed = [...files].filter(([name, content]) => last && last.get(name) !== content);
      if (last) {
        expect(changed.length).toBeGreaterThanOrEqual(5);
        expect(changed.length).toBeLessThanOrEqual(11);
      }
      last = files;
    }
  });
});

describe("randomNumbers", () => {
  it("fills its range evenly", () => {
    const next = randomNumbers(7);
    const counts = new Array<number>(16).fill(0);
    for (let i = 0; i < 16_000; i++) counts[next(16)]!++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  it("differs from seed to seed", () => {
    const [a, b] = [randomNumbers(1), randomNumbers(2)];
    expect(Array.from({ length: 8 }, () => a(1000))).not.toEqual(Array.from({ length: 8 }, () => b(1000)));
  });
});
