import { randomInt } from "node:crypto";
import type { Id } from "../bytes/id.js";
import type { PackSubset } from "./check-options.js";

/** A pack, and the size that the index makes it have. */
export interface SizedPack {
  readonly packId: Id;
  readonly size: number;
}

/** The packs that are to be read. */
export function selectPacks(packs: readonly SizedPack[], subset: PackSubset): SizedPack[] {
  switch (subset.kind) {
    case "all":
      return [...packs];
    case "group":
      return packs.filter(({ packId }) => packId[0]! % subset.groups === subset.group - 1);
    case "percent":
      return randomPacks(packs, subset.percent);
    case "bytes": {
      const total = packs.reduce((sum, { size }) => sum + size, 0);
      return randomPacks(packs, total === 0 ? 100 : Math.min(100, (subset.bytes / total) * 100));
    }
  }
}

/** So many percent of the packs, at least one, all equally likely. */
function randomPacks(packs: readonly SizedPack[], percent: number): SizedPack[] {
  const count = Math.min(packs.length, Math.max(1, Math.floor(packs.length * (percent / 100))));
  const shuffled = [...packs];
  for (let i = 0; i < count; i++) {
    const other = randomInt(i, shuffled.length);
    [shuffled[i], shuffled[other]] = [shuffled[other]!, shuffled[i]!];
  }
  return shuffled.slice(0, count);
}
