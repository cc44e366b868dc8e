#!/usr/bin/env node
/** The program `yore`: hands the process over to `program.ts`, and is the only file of the command line that does. */

import { basename } from "node:path";
import { commandLine } from "../commands/command-line.js";
import { endInTime } from "../commands/end-in-time.js";
import { interruptedError } from "../errors.js";
import { EXIT_FAILURE, EXIT_INTERRUPTED } from "./exit-code.js";
import { refuseDebuggers } from "./no-debugger.js";
import { type Io, Output } from "./output.js";
import { outputError, runProgram } from "./program.js";
import { keepHeapSmall } from "./small-heap.js";
import { StatusArea } from "./status-area.js";

keepHeapSmall();

const stop = new AbortController();

// The first signal lets the command end in order: locks are released, mounts let go. The second does not wait.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(EXIT_INTERRUPTED);
    stop.abort(interruptedError());
  });
}
process.on("exit", endInTime);
// A terminal that closes must not leave a lock behind or half a backup; restic ignores the signal, too.
process.on("SIGHUP", () => {});
// While there is progress to show, the signal shows it.
refuseDebuggers();

const status = new StatusArea(
  process.stdout.isTTY && process.env["TERM"] !== "dumb" ? process.stdout : undefined,
);
const terminalStatus = status.usable ? status : undefined;
const io: Io = {
  stdin: process.stdin,
  stdout: new Output(process.stdout, terminalStatus, (error) =>
    stop.abort(io.stdout.abandoned ? interruptedError() : outputError(error)),
  ),
  stderr: new Output(process.stderr, terminalStatus),
  env: process.env,
  calledAs: basename(process.argv[1] ?? "yore"),
  signal: stop.signal,
  onHangup: (listener) => void process.on("SIGHUP", listener),
  status,
};

// Only a command that waits for what will never come ends so, and Node.js would call it success.
process.on("beforeExit", () =>
  endByDefect(new Error("nothing is left to wait for, and the command is not done")),
);
process.on("uncaughtException", endByDefect);

void runProgram(process.argv.slice(2), io, commandLine).then((exitCode) => process.exit(exitCode));

function endByDefect(error: Error): void {
  status.hide();
  process.stderr.write(
    `Fatal: ${process.env["YORE_DEBUG"] ? error.stack : error.message}\n` +
      "This is a defect of yore. Please report it, with the output of YORE_DEBUG=1 set.\n",
  );
  process.exit(EXIT_FAILURE);
}
