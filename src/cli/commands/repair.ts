import type { Command } from "commander";
import type { Io } from "../output.js";
import { registerRepairIndex } from "./repair-index.js";
import { registerRepairPacks } from "./repair-packs.js";
import { registerRepairSnapshots } from "./repair-snapshots.js";

export function registerRepair(program: Command, io: Io): void {
  const repair = program
    .command("repair")
    .description("mend a damaged repository: its index, its packs, its snapshots");
  // Named alone, it says what there is to name behind it.
  repair.action(() => void io.stdout.write(repair.helpInformation()));
  registerRepairIndex(repair, io);
  registerRepairPacks(repair, io);
  registerRepairSnapshots(repair, io);
}
