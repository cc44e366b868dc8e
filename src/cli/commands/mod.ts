/** All commands, in no order: the help sorts them. */

import type { Command } from "commander";
import type { Io } from "../output.js";
import { registerInit } from "./init.js";
import { registerLs } from "./ls.js";
import { registerSnapshots } from "./snapshots.js";
import { registerUnsupported } from "./unsupported.js";
import { registerVersion } from "./version.js";

export function registerCommands(program: Command, io: Io): void {
  registerInit(program, io);
  registerLs(program, io);
  registerSnapshots(program, io);
  registerVersion(program, io);
  registerUnsupported(program, io);
}
