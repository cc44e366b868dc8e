import { compareUses } from "./compare-uses.js";
import { USES_THAT_WRITE } from "./uses-that-write.js";

compareUses("with the same arguments that write, yore and restic do the same:", USES_THAT_WRITE);
