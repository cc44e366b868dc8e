/** What a task is: something that each program does in turn on the same data, and that proves what it did. */
import { mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Sample } from "./measure.js";
import type { Program } from "./programs.js";

export interface Place {
  /** Where data sets and repositories are kept from run to run. */
  readonly data: string;
  /** Emptied before each run of a task. */
  readonly scratch: string;
  /** Small data sets, which only ask whether everything works. */
  readonly short: boolean;
}

export interface Outcome {
  readonly sample: Sample;
  /**
   * What shows that the work was done: counts, checksums, IDs. It must be the same for both programs, in every run, and on
   * the plain data where the limit does the same work: an error must never look fast.
   */
  readonly proof: string;
  /** One more figure, for the first cell of the row. */
  readonly detail?: string;
}

/** Its proof is left out where it does other work than the task. */
export type Limit = Pick<Outcome, "sample"> & Partial<Outcome>;

export interface Task {
  readonly name: string;
  /** The row's first cell. */
  readonly what: string;
  run(program: Program, place: Place): Promise<Outcome>;
  /** What the hardware and the kernel take with no backup program at all. */
  limit?(place: Place): Promise<Limit>;
  /** How far from the expected a number that proves something may be, as a part of it; must be equal when left out. */
  readonly tolerance?: number;
}

/**
 * Puts away what a run made, to be removed when all is measured. ext4 makes new files with inodes that were not freed in
 * the last minutes, and looks at those one by one: where 79,000 files were just removed, a restore of as many took 12 s of
 * the kernel's processor time instead of 3.
 */
export function setAside(place: Place, path: string): void {
  mkdirSync(asideFolder(place), { recursive: true });
  renameSync(path, join(mkdtempSync(join(asideFolder(place), "run-")), "files"));
}

export function removeAside(place: Place): void {
  rmSync(asideFolder(place), { recursive: true, force: true });
}

function asideFolder(place: Place): string {
  return join(place.data, "aside");
}

/** An empty folder for one run of one task. */
export function freshScratch(place: Place): void {
  rmSync(place.scratch, { recursive: true, force: true });
  mkdirSync(place.scratch, { recursive: true });
}
