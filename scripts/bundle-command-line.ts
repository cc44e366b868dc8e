/** Called by scripts/build, once tsc has written dist/. */
import { join } from "node:path";
import { bundleCommandLine } from "./bundle.js";

const checkout = join(import.meta.dirname, "../..");
await bundleCommandLine(checkout, join(checkout, "dist"));
