/** All commands, in no order: the help sorts them. */

import type { Command } from "commander";
import type { Io } from "../output.js";
import { registerBackup } from "./backup.js";
import { registerCat } from "./cat.js";
import { registerCheck } from "./check.js";
import { registerInit } from "./init.js";
import { registerList } from "./list.js";
import { registerLs } from "./ls.js";
import { registerMount } from "./mount.js";
import { registerOptions } from "./options.js";
import { registerRestore } from "./restore.js";
import { registerSnapshots } from "./snapshots.js";
import { registerUmount } from "./umount.js";
import { registerUnlock } from "./unlock.js";
import { registerUnsupported } from "./unsupported.js";
import { registerVersion } from "./version.js";

export function registerCommands(program: Command, io: Io): void {
  registerCat(program, io);
  registerCheck(program, io);
  registerBackup(program, io);
  registerInit(program, io);
  registerList(program, io);
  registerLs(program, io);
  registerMount(program, io);
  registerOptions(program, io);
  registerSnapshots(program, io);
  registerUmount(program, io);
  registerUnlock(program, io);
  registerRestore(program, io);
  registerVersion(program, io);
  registerUnsupported(program, io);
}
