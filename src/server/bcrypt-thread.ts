import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { Refusal } from "./refusal.js";

/** How long the thread waits for more work before it ends and gives back its 10 MiB. */
const IDLE_MS = 10_000;

/** More would have to wait for longer than clients do; those who come behind them are told to come again. */
const MAX_WAITING = 256;

const PROGRAM = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { compareSync } = require(workerData.bcrypt);
  parentPort.on("message", ({ password, hash }) => parentPort.postMessage(compareSync(password, hash)));
`;

interface Comparison {
  readonly resolve: (isRight: boolean) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Compares passwords with bcrypt hashes, one after the other, on a thread that lives while there is work: each takes a
 * processor for 50 ms and more, and requests whose sender is known must not wait for those who guess.
 */
export class BcryptThread {
  #worker: Worker | undefined;
  /** In the order in which they are answered. */
  #waiting: Comparison[] = [];
  #idle: NodeJS.Timeout | undefined;

  /** @throws {Refusal} 429 when too many are waiting */
  compare(password: string, hash: string): Promise<boolean> {
    if (this.#waiting.length >= MAX_WAITING)
      throw new Refusal(429, "Too many passwords to compare", { "retry-after": "10" });
    clearTimeout(this.#idle);
    return new Promise((resolve, reject) => {
      // It throws where no thread can be had; who is not in the thread's queue must not be in ours, or answers go astray.
      this.#worker ??= this.#start();
      this.#worker.postMessage({ password, hash });
      this.#waiting.push({ resolve, reject });
    });
  }

  #start(): Worker {
    const bcrypt = createRequire(import.meta.url).resolve("bcryptjs");
    const worker = new Worker(PROGRAM, { eval: true, workerData: { bcrypt }, execArgv: [] });
    worker.unref();
    worker.on("message", (isRight: boolean) => {
      this.#waiting.shift()!.resolve(isRight);
      if (this.#waiting.length === 0) this.#idle = setTimeout(() => this.#end(), IDLE_MS).unref();
    });
    worker.on("error", (error) => {
      for (const { reject } of this.#waiting.splice(0)) reject(error as Error);
      this.#end();
    });
    return worker;
  }

  #end(): void {
    void this.#worker?.terminate();
    this.#worker = undefined;
  }
}
