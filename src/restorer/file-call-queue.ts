import { awaitedLater } from "../async/awaited-later.js";
import { largeMemory } from "../bytes/large-memory.js";
import type { FileCall, FileCallFailure, FileCallRunner } from "./file-call.js";

/** Calls or bytes after which a batch is carried out: large enough that the hop costs nothing, small in memory. */
const BATCH_CALLS = 1024;
const BATCH_BYTES = 2 * 1024 * 1024;

type OnFailure = (failure: FileCallFailure, call: FileCall) => void;

/**
 * Gathers file calls into batches and carries them out in order, one batch at a time, while the next one is filled.
 * Order matters: the times of a folder must be set after everything in it was made.
 */
export class FileCallQueue<Owner> {
  readonly #runner: FileCallRunner;
  readonly #onFailure: (failure: FileCallFailure, call: FileCall, owner: Owner) => void;
  #calls: FileCall[] = [];
  #owners: Owner[] = [];
  #bytes = 0;
  #directory: string | undefined;
  #running: Promise<void> = Promise.resolve();
  #whenDone: (() => void)[] = [];
  /** Content of the files to be written. Two take turns: one is filled while the other is written. */
  #arena: Buffer | undefined;
  #used = 0;
  readonly #spareArenas: Buffer[] = [];

  constructor(
    runner: FileCallRunner,
    onFailure: (...parameters: [...Parameters<OnFailure>, owner: Owner]) => void,
  ) {
    this.#runner = runner;
    this.#onFailure = onFailure;
  }

  /**
   * Adds a call, data copied.
   *
   * @param directory the folder that it is in: its path from the root, and a text that tells it from others
   */
  add(directory: { readonly text: string; readonly bytes: Buffer }, call: FileCall, owner: Owner): void {
    if (this.#directory !== directory.text) {
      this.#push({ kind: "directory", name: directory.bytes }, owner);
      this.#directory = directory.text;
    }
    this.#push(call.kind === "write" ? { ...call, data: this.#keep(call.data) } : call, owner);
  }

  /** A copy: what is handed in belongs to whoever read it, and is overwritten with the next. */
  #keep(data: Uint8Array): Uint8Array {
    if (data.length > BATCH_BYTES) return Buffer.from(data);
    this.#arena ??= this.#spareArenas.pop() ?? largeMemory(2 * BATCH_BYTES);
    if (this.#used + data.length > this.#arena.length) return Buffer.from(data);
    this.#arena.set(data, this.#used);
    this.#used += data.length;
    return this.#arena.subarray(this.#used - data.length, this.#used);
  }

  /** Runs when everything added so far has been carried out, failures told. */
  afterwards(action: () => void): void {
    this.#whenDone.push(action);
  }

  get isFull(): boolean {
    return this.#calls.length >= BATCH_CALLS || this.#bytes >= BATCH_BYTES;
  }

  /** Starts what has gathered as soon as the batch before is through, and waits for that one. */
  async send(): Promise<void> {
    const before = this.#running;
    const calls = this.#calls;
    const owners = this.#owners;
    const whenDone = this.#whenDone;
    const arena = this.#arena;
    this.#arena = undefined;
    this.#used = 0;
    this.#calls = [];
    this.#owners = [];
    this.#whenDone = [];
    this.#bytes = 0;
    this.#directory = undefined;
    if (calls.length > 0 || whenDone.length > 0) {
      const running = before.then(async () => {
        await this.#run(calls, owners, whenDone);
        if (arena) this.#spareArenas.push(arena);
      });
      // Whoever awaits next gets the failure.
      this.#running = awaitedLater(running);
    }
    await before;
  }

  /** Waits until everything has been carried out. */
  async drain(): Promise<void> {
    await this.send();
    await this.#running;
  }

  #push(call: FileCall, owner: Owner): void {
    this.#calls.push(call);
    this.#owners.push(owner);
    this.#bytes += call.name.length + (call.kind === "write" ? call.data.length : 64);
  }

  async #run(calls: readonly FileCall[], owners: readonly Owner[], whenDone: (() => void)[]): Promise<void> {
    for (const failure of calls.length > 0 ? await this.#runner.run(calls) : []) {
      this.#onFailure(failure, calls[failure.position]!, owners[failure.position]!);
      if (calls[failure.position]!.kind === "directory") this.#tellLeftOut(failure, calls, owners);
    }
    for (const action of whenDone) action();
  }

  /** Tells everybody whose calls were left out because their folder could not be entered. */
  #tellLeftOut(failure: FileCallFailure, calls: readonly FileCall[], owners: readonly Owner[]): void {
    let told = owners[failure.position];
    for (let i = failure.position + 1; i < calls.length && calls[i]!.kind !== "directory"; i++) {
      if (owners[i] === told) continue;
      told = owners[i];
      this.#onFailure(failure, calls[failure.position]!, owners[i]!);
    }
  }
}
