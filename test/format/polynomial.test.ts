import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { degree, isIrreducible, randomPolynomial } from "../../src/format/polynomial.js";

/** The slow way: all products of two polynomials below the bound are reducible, and nothing else is. */
function reducibleBelow(bound: number): Set<number> {
  const products = new Set<number>();
  for (let a = 2; a < bound; a++) {
    for (let b = 2; b <= a; b++) {
      let product = 0;
      for (let i = 0; b >> i > 0; i++) if ((b >> i) & 1) product ^= a << i;
      products.add(product);
    }
  }
  return products;
}

describe("isIrreducible", () => {
  it("agrees with multiplying everything out up to degree 8", () => {
    const reducible = reducibleBelow(512);
    for (let polynomial = 2; polynomial < 512; polynomial++)
      expect([polynomial, isIrreducible(BigInt(polynomial))]).toEqual([
        polynomial,
        !reducible.has(polynomial),
      ]);
  });

  it.each([
    [0x3da3358b4dc173n, true], // the polynomial of restic's chunker tests
    [0x3caf26730a7f8dn, true], // a repository of restic
    [0x3da3358b4dc172n, false],
    [0x20000000000001n, false], // x^53 + 1 has the root 1
    [0n, false],
    [1n, false],
  ])("knows %s: %s", (polynomial, irreducible) => {
    expect(isIrreducible(polynomial)).toBe(irreducible);
  });
});

describe("randomPolynomial", () => {
  it("draws irreducible polynomials of degree 53", () => {
    const drawn = Array.from({ length: 5 }, () => randomPolynomial((length) => randomBytes(length)));
    for (const polynomial of drawn) {
      expect(degree(polynomial)).toBe(53);
      expect(isIrreducible(polynomial)).toBe(true);
    }
    expect(new Set(drawn).size).toBe(5);
  });

  it("asks for more bytes until it has one", () => {
    let asked = 0;
    const source = (length: number) => {
      asked += 1;
      return asked < 3 ? new Uint8Array(length) : Buffer.from("73c14d8b35a33d00", "hex");
    };
    expect(randomPolynomial(source)).toBe(0x3da3358b4dc173n);
    expect(asked).toBe(3);
  });
});
