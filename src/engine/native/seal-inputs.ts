import { ID_LENGTH } from "../../bytes/id.js";
import { STORED } from "../../native/engine-functions.js";
import { checkLevel } from "../checks.js";
import type { SealInput } from "../engine.js";

/** What is to be sealed as the addon takes it. */
export function checkedInputs(inputs: readonly SealInput[]): {
  plaintexts: Uint8Array[];
  levels: Int32Array;
  /** One behind the other; `undefined` unless there is one for each. */
  ids: Uint8Array | undefined;
} {
  for (const { compressionLevel } of inputs) checkLevel(compressionLevel);
  return {
    plaintexts: inputs.map((input) => input.plaintext),
    levels: Int32Array.from(inputs, (input) => input.compressionLevel ?? STORED),
    ids: joinedIds(inputs),
  };
}

function joinedIds(inputs: readonly SealInput[]): Uint8Array | undefined {
  const ids = new Uint8Array(ID_LENGTH * inputs.length);
  for (const [i, { id }] of inputs.entries()) {
    if (!id) return undefined;
    ids.set(id, ID_LENGTH * i);
  }
  return ids;
}
