/** yore side by side with restic, on the same data, in one run: see `HELP`. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine } from "./machine.js";
import { dropPageCache } from "./measure.js";
import { restic, versionOf, yore } from "./programs.js";
import { runTask } from "./run-task.js";
import { formatHead, formatReport, formatRow, hasFailed, type Report, type Result } from "./table.js";
import { type Place, removeAside } from "./task.js";
import { chooseTasks, TASKS } from "./tasks.js";

const HELP = `yore side by side with restic, on the same data, in one run:

  npm run bench                        every task, three pairs each: the table of the README
  npm run bench -- --task tar,find     some of them        --list     names them
  npm run bench -- --short             small data, one pair: only asks whether everything works
  npm run bench -- --against MAIN_JS   another build of yore in restic's place
  npm run bench -- --from FILE         the table of an earlier run, from its JSON
  --pairs N    --json FILE    --data FOLDER (kept from run to run, default .yore/bench)

Read the ratio, not the seconds. The exit code is 1 if anything did not work; time decides nothing.`;

const values = readFlags();

if (values.help) {
  console.log(HELP);
} else if (values.list) {
  for (const task of TASKS) console.log(`${task.name.padEnd(20)} ${task.what}`);
} else if (values.from !== undefined) {
  console.log(formatReport(JSON.parse(readFileSync(values.from, "utf8")) as Report));
} else {
  await main();
}

function readFlags() {
  try {
    return parseArgs({
      options: {
        help: { type: "boolean", short: "h", default: false },
        task: { type: "string" },
        list: { type: "boolean", default: false },
        short: { type: "boolean", default: false },
        against: { type: "string" },
        from: { type: "string" },
        pairs: { type: "string" },
        json: { type: "string" },
        data: { type: "string", default: join(import.meta.dirname, "../../../.yore/bench") },
      },
    }).values;
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n\n${HELP}`);
    process.exit(1);
  }
}

async function main(): Promise<void> {
  const data = values.short ? join(resolve(values.data), "short") : resolve(values.data);
  const place: Place = { data, scratch: join(data, "scratch"), short: values.short };
  mkdirSync(data, { recursive: true });
  removeAside(place);
  const ours = yore();
  const rival = values.against === undefined ? restic() : { ...yore(resolve(values.against)), name: "other" };
  const pairs = Number(values.pairs ?? (values.short ? 1 : 3));
  const machine = [
    describeMachine(data),
    await versionOf(rival),
    values.short ? "small data" : "full data",
    `${pairs} pair${pairs === 1 ? "" : "s"}`,
    dropPageCache() ? "cold page cache" : "warm page cache (only root may drop it)",
  ].join(", ");

  const results: Result[] = [];
  console.log(formatHead(machine, rival.name));
  for (const task of chooseTasks(values.task)) {
    const result = await runTask(task, place, { ours, rival, pairs });
    results.push(result);
    console.log(formatRow(result));
    const report: Report = { machine, rival: rival.name, results };
    if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  }
  rmSync(place.scratch, { recursive: true, force: true });
  removeAside(place);
  if (results.some(hasFailed)) process.exitCode = 1;
}
