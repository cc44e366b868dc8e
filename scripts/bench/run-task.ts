/** Measures one task: both programs in turn, and whether what each did is what it should have done. */
import type { Sample } from "./measure.js";
import { isNotSupported, type Program } from "./programs.js";
import type { Missing, Result } from "./table.js";
import { freshScratch, type Outcome, type Place, type Task } from "./task.js";

export interface Contest {
  readonly ours: Program;
  readonly rival: Program;
  readonly pairs: number;
}

/** A B A B, so that what else the machine does meets both alike. What fails is told in the result and on standard error. */
export async function runTask(task: Task, place: Place, { ours, rival, pairs }: Contest): Promise<Result> {
  const runs = [new Runs(task, place, ours), new Runs(task, place, rival)] as const;
  freshScratch(place);
  const limit = await task.limit?.(place);
  let expected = limit?.proof;
  for (let pair = 0; pair < pairs; pair++) {
    for (const program of runs) {
      await program.once((outcome) => {
        expected ??= outcome.proof;
        if (!agrees(outcome.proof, expected, task.tolerance)) {
          throw new Error(`it gave "${outcome.proof}", expected "${expected}"`);
        }
      });
    }
  }
  freshScratch(place);
  return {
    task: task.name,
    what: [task.what, ...runs.flatMap((program) => program.detail ?? [])].join("; "),
    ours: runs[0].result,
    theirs: runs[1].result,
    ...(limit ? { limit: limit.sample } : {}),
  };
}

/** The runs of one program; after the first that does not work there are no more. */
class Runs {
  readonly #samples: Sample[] = [];
  #missing: Missing | undefined;
  /** The last figure that the task gave beside the sample. */
  detail: string | undefined;

  constructor(
    private readonly task: Task,
    private readonly place: Place,
    private readonly program: Program,
  ) {}

  get result(): readonly Sample[] | Missing {
    return this.#missing ?? this.#samples;
  }

  async once(prove: (outcome: Outcome) => void): Promise<void> {
    if (this.#missing) return;
    freshScratch(this.place);
    try {
      const outcome = await this.task.run(this.program, this.place);
      prove(outcome);
      this.#samples.push(outcome.sample);
      if (outcome.detail) this.detail = `${this.program.name} ${outcome.detail}`;
      this.#tell(`${outcome.sample.seconds.toFixed(2)} s`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#missing = isNotSupported(error) ? { unsupported: true } : { failed: reason };
      this.#tell(isNotSupported(error) ? "not supported yet" : `FAILED: ${reason}`);
    }
  }

  #tell(text: string): void {
    console.error(`bench: ${this.task.name}: ${this.program.name}: ${text}`);
  }
}

/** Whether a proof is the expected one; within a tolerance if both are numbers. */
export function agrees(proof: string, expected: string, tolerance = 0): boolean {
  if (proof === expected) return proof !== "";
  return Math.abs(Number(proof) / Number(expected) - 1) <= tolerance;
}
