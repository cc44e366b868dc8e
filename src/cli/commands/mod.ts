/** All commands, in no order: the help sorts them. */

import type { Command } from "commander";
import type { Io } from "../output.js";
import { registerInit } from "./init.js";
import { registerUnsupported } from "./unsupported.js";
import { registerVersion } from "./version.js";

export function registerCommands(program: Command, io: Io): void {
  registerInit(program, io);
  registerVersion(program, io);
  registerUnsupported(program, io);
}
