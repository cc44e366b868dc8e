import { fuseNativeDriver } from "../../src/fuse/drivers/fuse-native-driver.js";
import { mountSuite } from "../suites/mount-suite.js";

// libfuse 2 through fuse-native: names as UTF-8, times in milliseconds from 1970 on, no lseek.
mountSuite("fuse-native", {
  problem: await fuseNativeDriver.problem(),
  without: ["raw-names", "old-times", "seek"],
});
