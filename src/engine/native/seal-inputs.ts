import { STORED } from "../../native/engine-functions.js";
import { checkLevel } from "../checks.js";
import type { SealInput } from "../engine.js";

/** What is to be sealed as the addon takes it. */
export function checkedInputs(inputs: readonly SealInput[]): {
  plaintexts: Uint8Array[];
  levels: Int32Array;
} {
  for (const { compressionLevel } of inputs) checkLevel(compressionLevel);
  return {
    plaintexts: inputs.map((input) => input.plaintext),
    levels: Int32Array.from(inputs, (input) => input.compressionLevel ?? STORED),
  };
}
