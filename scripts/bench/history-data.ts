/** A tree that changes a little from one backup to the next, the same on every machine. */
import { mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { randomNumbers } from "./random-numbers.js";

export interface HistorySize {
  readonly files: number;
  readonly snapshots: number;
}

export const HISTORY: HistorySize = { files: 5_000, snapshots: 30 };
export const SMALL_HISTORY: HistorySize = { files: 200, snapshots: 5 };

const FIRST_DAY = Date.UTC(2026, 0, 1, 12) / 1000;
const DAY = 86_400;
const FILES_PER_FOLDER = 25;

/**
 * Builds the tree at `path` as it stands day after day, and yields after each change. In a day about one file in a hundred
 * is written anew, a tenth of that removed, and as many come.
 * @yields the time of the day, in seconds since 1970
 */
export function* changeDayByDay(path: string, size: HistorySize): Generator<number> {
  const random = randomNumbers(30);
  const files: number[] = [];
  let made = 0;
  const write = (file: number, time: number) => {
    const name = join(path, `folder-${Math.floor(file / FILES_PER_FOLDER)}`, `file-${file}.txt`);
    mkdirSync(dirname(name), { recursive: true });
    writeFileSync(
      name,
      Array.from({ length: 1 + random(200) }, () => `${random(2 ** 32)} ${file}\n`).join(""),
    );
    utimesSync(name, time, time);
  };
  const add = (time: number) => {
    files.push(made);
    write(made++, time);
  };
  rmSync(path, { recursive: true, force: true });
  for (let day = 0; day < size.snapshots; day++) {
    const time = FIRST_DAY + day * DAY;
    if (day === 0) {
      while (made < size.files) add(time);
    } else {
      for (let i = 0; i < size.files / 100; i++) write(files[random(files.length)]!, time);
      for (let i = 0; i < size.files / 1000; i++) {
        const [file] = files.splice(random(files.length), 1);
        rmSync(join(path, `folder-${Math.floor(file! / FILES_PER_FOLDER)}`, `file-${file}.txt`));
        add(time);
      }
    }
    yield time;
  }
}
