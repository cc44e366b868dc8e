import { describe } from "vitest";
import { fuseNativeDriver } from "../../src/fuse/drivers/fuse-native-driver.js";
import { filesystemSuite } from "../suites/filesystem-suite.js";

const problem = await fuseNativeDriver.problem();
if (problem) console.warn(`SKIPPED: ${problem}`);

describe.runIf(!problem && process.getuid?.() === 0)("fuse-native driver", () => {
  filesystemSuite({
    driver: "fuse-native",
    isExact: false,
    canSeek: false,
    canInterrupt: false,
    canInvalidate: false,
    canStore: false,
  });
});
