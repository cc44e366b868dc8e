/** Every task, in the order of the table. */
import { backupAgain, firstBackup, restoreAgain, restoreOf } from "./backup-tasks.js";
import { COMMANDS } from "./command-tasks.js";
import { indexLoad } from "./index-task.js";
import { firstListing, READINGS, readingTask } from "./mount-tasks.js";
import { SERVING } from "./server-tasks.js";
import type { Task } from "./task.js";

export const TASKS: readonly Task[] = [
  firstBackup("linux"),
  firstBackup("big"),
  backupAgain("cold"),
  backupAgain("warm"),
  backupAgain("warm", 50),
  restoreOf("linux"),
  restoreOf("big"),
  restoreAgain,
  firstListing,
  ...READINGS.map(readingTask),
  ...COMMANDS,
  indexLoad,
  ...SERVING,
];

/** @param names separated by commas; all tasks when left out @throws {RangeError} of a name that no task has */
export function chooseTasks(names: string | undefined): readonly Task[] {
  if (names === undefined) return TASKS;
  return names.split(",").map((name) => {
    const task = TASKS.find((candidate) => candidate.name === name);
    if (!task) throw new RangeError(`there is no task "${name}": --list names them`);
    return task;
  });
}
