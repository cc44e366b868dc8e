import { describe } from "vitest";
import { loadAddon } from "../../src/native/addon.js";
import { filesystemSuite } from "../suites/filesystem-suite.js";

describe.runIf(loadAddon() && process.getuid?.() === 0)("own driver", () => {
  filesystemSuite({
    driver: "own",
    isExact: true,
    canSeek: true,
    canInterrupt: true,
    canInvalidate: true,
    canStore: true,
  });
});
