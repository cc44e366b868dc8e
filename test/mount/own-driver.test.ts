import { ownDriver } from "../../src/fuse/drivers/own-driver.js";
import { mountSuite } from "../suites/mount-suite.js";

mountSuite("own", { problem: await ownDriver.problem() });
