/**
 * yore side by side with restic, on the same data, in one run:
 *
 *   npm run bench                        every task, three pairs each
 *   npm run bench -- --task tar,find     some of them        --list     names them
 *   npm run bench -- --short             small data, one pair: only asks whether everything works
 *   npm run bench -- --against MAIN_JS   another build of yore in restic's place
 *   --pairs N    --json FILE    --data FOLDER (kept from run to run, default .yore/bench)
 *
 * Runs alternate (A B A B), so that what else the machine does hits both alike; read the ratio, not the seconds.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Sample } from "./measure.js";
import { type Program, restic, yore } from "./programs.js";
import { formatRow, HEADER, type Measured } from "./table.js";
import { freshScratch, type Place, TASKS, type Task } from "./tasks.js";

const { values } = parseArgs({
  options: {
    task: { type: "string" },
    list: { type: "boolean", default: false },
    short: { type: "boolean", default: false },
    against: { type: "string" },
    pairs: { type: "string" },
    json: { type: "string" },
    data: { type: "string", default: join(import.meta.dirname, "../../../.yore/bench") },
  },
});

if (values.list) {
  for (const task of TASKS) console.log(`${task.name.padEnd(20)} ${task.what}`);
} else {
  await main();
}

async function main(): Promise<void> {
  const data = resolve(values.data);
  mkdirSync(data, { recursive: true });
  const place: Place = { data, scratch: join(data, "scratch") };
  const rival = values.against === undefined ? restic() : { ...yore(resolve(values.against)), name: "other" };
  const pairs = Number(values.pairs ?? (values.short ? 1 : 3));
  const results: Measured[] = [];
  console.log(HEADER(rival.name));
  for (const task of chosen()) {
    const measured = await measureTask(task, place, yore(), rival, pairs);
    results.push(measured);
    console.log(formatRow(measured));
    if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
  }
  freshScratch(place);
}

function chosen(): readonly Task[] {
  if (values.short) return TASKS.filter((task) => task.short);
  if (values.task === undefined) return TASKS.filter((task) => !task.short);
  return values.task.split(",").map((name) => {
    const task = TASKS.find((candidate) => candidate.name === name);
    if (!task) throw new Error(`there is no task "${name}": --list names them`);
    return task;
  });
}

async function measureTask(
  task: Task,
  place: Place,
  ours: Program,
  rival: Program,
  pairs: number,
): Promise<Measured> {
  const samples: { ours: Sample[]; theirs: Sample[] } = { ours: [], theirs: [] };
  for (let pair = 0; pair < pairs; pair++) {
    freshScratch(place);
    samples.ours.push(await task.run(ours, place));
    freshScratch(place);
    samples.theirs.push(await task.run(rival, place));
  }
  freshScratch(place);
  const limit = await task.limit?.(place);
  return { task: task.name, what: task.what, ...samples, ...(limit ? { limit } : {}) };
}
