import { compareUses } from "./compare-uses.js";
import { USES_THAT_READ } from "./uses-that-read.js";

compareUses("with the same arguments that read, yore and restic do the same:", USES_THAT_READ);
