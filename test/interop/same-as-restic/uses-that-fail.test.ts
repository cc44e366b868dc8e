import { compareUses } from "./compare-uses.js";
import { USES_THAT_FAIL } from "./uses-that-fail.js";

compareUses("with the same arguments that fail, yore and restic do the same:", USES_THAT_FAIL);
