import { describe, expect, it } from "vitest";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { type EngineFunctions, STORED } from "../../src/native/engine-functions.js";
import type { SealedPartsFunctions } from "../../src/native/sealed-parts-functions.js";

const addon = loadAddon();

function detached(): Uint8Array {
  const bytes = new Uint8Array(32);
  structuredClone(bytes, { transfer: [bytes.buffer] });
  return bytes;
}

/** What a function may be handed by mistake. Bytes of 3 are right where any bytes are. */
const WRONG: readonly [string, () => unknown][] = [
  ["undefined", () => undefined],
  ["null", () => null],
  ["true", () => true],
  ["-1", () => -1],
  ["0.5", () => 0.5],
  ["NaN", () => Number.NaN],
  ["2 ** 60", () => 2 ** 60],
  ["1n", () => 1n],
  ["-1n", () => -1n],
  ["2n ** 70n", () => 2n ** 70n],
  ["a string", () => "text"],
  ["a symbol", () => Symbol("wrong")],
  ["an object", () => ({ length: 32 })],
  ["a function", () => () => {}],
  ["an array of strings", () => ["text"]],
  ["an array with a hole", () => Array(1)],
  ["an ArrayBuffer", () => new ArrayBuffer(32)],
  ["a DataView", () => new DataView(new ArrayBuffer(32))],
  ["a Float64Array", () => new Float64Array(32)],
  ["a Uint8ClampedArray", () => new Uint8ClampedArray(32)],
  ["detached bytes", detached],
  ["an array of detached bytes", () => [detached()]],
  ["3 bytes", () => new Uint8Array(3)],
  ["an array of 3 bytes", () => [new Uint8Array(3)]],
  ["an Int32Array of 2", () => new Int32Array(2)],
  ["a Uint32Array of 2", () => new Uint32Array(2)],
  ["impossible levels", () => Int32Array.of(1000)],
];

type Case = {
  readonly name: keyof (EngineFunctions & SealedPartsFunctions);
  readonly right: () => unknown[];
  /** By position: what of the list above is right there. */
  readonly accepts: readonly (readonly string[])[];
};

const bytes = (length: number) => new Uint8Array(length);

function cases(engine: EngineFunctions): Case[] {
  const key = engine.createMasterKey(bytes(32), bytes(16), bytes(16));
  const chunker = engine.createChunker(0x3caf26730a7f8dn, 64, 1024, 20);
  return [
    { name: "sha256", right: () => [bytes(3)], accepts: [["3 bytes"]] },
    { name: "sha256Many", right: () => [[bytes(3)]], accepts: [["an array of 3 bytes"]] },
    { name: "sha256Joined", right: () => [[bytes(3)]], accepts: [["an array of 3 bytes"]] },
    { name: "createMasterKey", right: () => [bytes(32), bytes(16), bytes(16)], accepts: [[], [], []] },
    {
      name: "sealMany",
      right: () => [key, [bytes(3)], Int32Array.of(STORED), false, bytes(32)],
      accepts: [[], ["an array of 3 bytes"], [], ["true"], ["undefined", "null"]],
    },
    {
      name: "sealManyInto",
      right: () => [key, [bytes(3)], Int32Array.of(STORED), false, bytes(100), bytes(32)],
      accepts: [[], ["an array of 3 bytes"], [], ["true"], ["3 bytes"], ["undefined", "null"]],
    },
    {
      name: "unsealMany",
      right: () => [key, [bytes(3)], Uint32Array.of(0), [undefined]],
      accepts: [[], ["an array of 3 bytes"], [], ["an array with a hole"]],
    },
    {
      name: "unsealParts",
      right: () => [key, bytes(40), Uint32Array.of(0, 40, 0), bytes(32), bytes(1), bytes(8)],
      accepts: [[], ["3 bytes"], [], [], [], []],
    },
    {
      name: "verifyPiece",
      right: () => [key, addon!.createPackHash(), bytes(40), Uint32Array.of(0, 40, 0), bytes(32), bytes(1)],
      accepts: [[], [], [], [], [], []],
    },
    { name: "finishPackHash", right: () => [addon!.createPackHash()], accepts: [[]] },
    {
      name: "unsealToFiles",
      right: () => [
        key,
        bytes(40),
        Uint32Array.of(0, 40, 0),
        bytes(32),
        bytes(1),
        Buffer.from("/nowhere"),
        bytes(3),
      ],
      accepts: [[], [], [], [], [], ["3 bytes"], ["3 bytes"]],
    },
    {
      name: "poly1305Aes",
      right: () => [bytes(16), bytes(16), bytes(16), bytes(3), false],
      accepts: [[], [], [], ["3 bytes"], ["true"]],
    },
    { name: "compress", right: () => [bytes(3), 3], accepts: [["3 bytes"], ["-1"]] },
    { name: "decompress", right: () => [bytes(3), 10], accepts: [["3 bytes"], []] },
    {
      name: "createChunker",
      right: () => [0x3caf26730a7f8dn, 64, 1024, 20],
      accepts: [[], [], [], []],
    },
    {
      name: "cutChunks",
      right: () => [chunker, bytes(3), true, 0],
      accepts: [[], ["3 bytes"], ["true"], []],
    },
    { name: "scryptMix", right: () => [bytes(128), 1, 2, 1], accepts: [[], [], [], []] },
    { name: "parseIndex", right: () => [bytes(3)], accepts: [["3 bytes"]] },
  ];
}

describe.skipIf(!addon)(`engine functions of the addon ${addonProblem() ?? ""}`, () => {
  const engine = addon as unknown as Record<string, (...values: unknown[]) => unknown>;

  for (const { name, right, accepts } of addon ? cases(addon) : []) {
    it(`${name} takes what is right`, async () => {
      await engine[name]!(...right());
    });

    accepts.forEach((accepted, position) => {
      it(`${name} refuses wrong values as argument ${position + 1}`, () => {
        for (const [title, make] of WRONG) {
          if (accepted.includes(title)) continue;
          const values = right();
          values[position] = make();
          let thrown: unknown;
          try {
            engine[name]!(...values);
          } catch (error) {
            thrown = error;
          }
          const refused = thrown instanceof TypeError || thrown instanceof RangeError;
          expect(refused, `${title} gave ${String(thrown)}`).toBe(true);
        }
      });
    });

    it(`${name} refuses to be called without arguments`, () => {
      expect(() => engine[name]!()).toThrow();
    });
  }

  it("handles of one kind are refused as the other", () => {
    const key = addon!.createMasterKey(bytes(32), bytes(16), bytes(16));
    const chunker = addon!.createChunker(0x3caf26730a7f8dn, 64, 1024, 20);
    expect(() => engine["cutChunks"]!(key, bytes(3), true, 0)).toThrow(TypeError);
    expect(() => engine["sealMany"]!(chunker, [], new Int32Array(0), false, undefined)).toThrow(TypeError);
  });

  it("an element that detaches those before it is refused, not read", () => {
    const first = bytes(1000);
    const list = [first, bytes(1)];
    Object.defineProperty(list, 1, {
      get: () => {
        structuredClone(first, { transfer: [first.buffer] });
        return bytes(1);
      },
    });
    expect(() => addon!.sha256Many(list)).toThrow(TypeError);
    const sealed = bytes(1000);
    const ids = [undefined];
    Object.defineProperty(ids, 0, {
      get: () => void structuredClone(sealed, { transfer: [sealed.buffer] }),
    });
    const key = addon!.createMasterKey(bytes(32), bytes(16), bytes(16));
    expect(() => addon!.unsealMany(key, [sealed], Uint32Array.of(0), ids)).toThrow(TypeError);
    const throwing = [bytes(1)];
    Object.defineProperty(throwing, 0, {
      get: () => {
        throw new SyntaxError("from the getter");
      },
    });
    expect(() => addon!.sha256Many(throwing)).toThrow("from the getter");
  });

  it("refuses costs of scrypt that are none, or take more than 2 GiB", () => {
    for (const [length, lanes, cost, stride] of [
      [0, 1, 2, 1],
      [127, 1, 2, 1],
      [128, 1, 0, 1],
      [128, 1, 1, 1],
      [128, 1, 3, 1],
      [128, 1, 2 ** 25, 1],
      [2 ** 20, 1, 2 ** 12, 1],
      [128, 0, 2, 1],
      [640, 5, 2, 1],
      [384, 2, 2, 1],
      [128, 1, 2, 0],
      [128, 1, 2, 4],
      [128, 1, 8, 3],
    ] as const) {
      const mix = () => addon!.scryptMix(bytes(length), lanes, cost, stride);
      expect(mix, `${length} ${lanes} ${cost} ${stride}`).toThrow(RangeError);
    }
  });

  it.each([1, 2, 3, 4])(
    "scrypt mixes %i blocks side by side as one by one, however little it keeps",
    async (lanes) => {
      const [r, cost] = [3, 64];
      const blocks = Uint8Array.from({ length: lanes * 128 * r }, (_, i) => (i * 131 + (i >> 8)) & 0xff);
      const oneByOne = blocks.slice();
      for (let lane = 0; lane < lanes; lane++)
        await addon!.scryptMix(oneByOne.subarray(lane * 128 * r, (lane + 1) * 128 * r), 1, cost, 1);
      for (let stride = 1; stride <= cost; stride *= 2) {
        const together = blocks.slice();
        await addon!.scryptMix(together, lanes, cost, stride);
        expect(Buffer.compare(together, oneByOne), `stride ${stride}`).toBe(0);
      }
    },
  );

  it("lists that do not belong together are refused", () => {
    const key = addon!.createMasterKey(bytes(32), bytes(16), bytes(16));
    expect(() => addon!.sealMany(key, [bytes(1), bytes(1)], new Int32Array(1), false, undefined)).toThrow(
      RangeError,
    );
    expect(() => addon!.unsealMany(key, [bytes(32)], new Uint32Array(1), [])).toThrow(RangeError);
    expect(() => addon!.unsealMany(key, [bytes(32)], new Uint32Array(1), [bytes(31)])).toThrow(RangeError);
    const parts = (places: number[], ids = 32, failures = 1, room = 8) =>
      addon!.unsealParts(key, bytes(40), Uint32Array.from(places), bytes(ids), bytes(failures), bytes(room));
    for (const places of [
      [0, 40],
      [0, 40, 0, 0],
      [1, 40, 0],
      [41, 0, 0],
      [2 ** 32 - 1, 2, 0],
      [0, 40, 9],
    ])
      expect(() => parts(places), String(places)).toThrow(RangeError);
    expect(() => parts([0, 40, 0], 31)).toThrow(RangeError);
    expect(() => parts([0, 40, 0], 32, 2)).toThrow(RangeError);
    expect(() => parts([0, 40, 0], 32, 1, 7)).toThrow(RangeError);
  });
});
