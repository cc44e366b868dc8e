import type { Backend } from "../../src/backend/backend.js";
import { LocalBackend } from "../../src/backend/local-backend.js";
import type { Repository } from "../../src/repository/repository.js";
import { openRepository, wrapBackend } from "../repository/support.js";
import { copyOfRepository } from "./temporary.js";

/** What a program that is gone would have thrown, had it still been there. */
export class Died extends Error {}

export interface DyingBackend {
  readonly backend: Backend;
  /** Files saved and removed so far. */
  readonly changes: number;
  readonly isDead: boolean;
}

/** A backend that does as another until so many files were saved or removed, and then nothing any more, for nobody. */
export function dyingBackend(inner: Backend, lastChange: number): DyingBackend {
  const state = { changes: 0, isDead: false };
  const change = async (work: () => Promise<void>) => {
    if (state.changes >= lastChange) state.isDead = true;
    if (state.isDead) throw new Died("killed");
    state.changes++;
    await work();
  };
  const alive = async <T>(work: () => Promise<T>): Promise<T> => {
    if (state.isDead) throw new Died("killed");
    return work();
  };
  const backend = wrapBackend(inner, {
    save: (handle, pieces) => change(() => inner.save(handle, pieces)),
    remove: (handle) => change(() => inner.remove(handle)),
    load: (handle, range) => alive(() => inner.load(handle, range)),
  });
  return {
    backend,
    get changes() {
      return state.changes;
    },
    get isDead() {
      return state.isDead;
    },
  };
}

/**
 * Lets some work on copies of a repository die after every number of changes from 0 on, until it gets through.
 *
 * @param afterwards is called with what each death has left, and with what the work left when it got through
 * @returns how many changes the work makes
 */
export async function dieEverywhere(
  original: string,
  work: (repository: Repository) => Promise<unknown>,
  afterwards: (location: string, changes: number) => Promise<void>,
): Promise<number> {
  for (let lastChange = 0; ; lastChange++) {
    const location = await copyOfRepository(original);
    const dying = dyingBackend(await LocalBackend.open(location), lastChange);
    const repository = await openRepository(dying.backend);
    const failure = await work(repository).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (failure !== undefined && !dying.isDead) throw failure;
    try {
      await afterwards(location, lastChange);
    } catch (cause) {
      throw new Error(`After ${lastChange} changes: ${cause instanceof Error ? cause.message : cause}`, {
        cause,
      });
    }
    if (!dying.isDead) return dying.changes;
  }
}
