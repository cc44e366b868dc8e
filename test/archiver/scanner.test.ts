import { describe, it } from "vitest";
import { createNativeScanner } from "../../src/archiver/native-scanner.js";
import { createPortableScanner } from "../../src/archiver/portable-scanner.js";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { testScanner } from "../suites/scanner-suite.js";

testScanner(createPortableScanner);

const addon = loadAddon();
if (addon) testScanner(() => createNativeScanner(addon));
else describe("native scanner", () => it.skip(`${addonProblem()}`));
