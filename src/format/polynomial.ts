/**
 * Polynomials over GF(2), bit i of a bigint being the coefficient of x^i: addition is XOR. The chunker of a repository
 * is keyed by one that is irreducible and of degree 53, so that nobody can tell from chunk sizes what was stored.
 */

/** The degree every repository has. */
export const POLYNOMIAL_DEGREE = 53;
/** About one in 27 candidates is irreducible: running out of attempts means a broken random source. */
const MAX_ATTEMPTS = 1_000_000;

/** The highest exponent; -1 for the zero polynomial. */
export function degree(polynomial: bigint): number {
  return polynomial === 0n ? -1 : polynomial.toString(2).length - 1;
}

/**
 * Ben-Or's test: a polynomial f of degree n is irreducible if it has no factor in common with x^(2^i) - x for any i
 * from 1 to n/2, for these hold exactly the irreducible polynomials whose degree divides i.
 */
export function isIrreducible(polynomial: bigint): boolean {
  const n = degree(polynomial);
  if (n < 1) return false;
  const x = 2n;
  let power = remainder(x, polynomial);
  for (let i = 1; i <= n / 2; i++) {
    power = remainder(square(power), polynomial);
    if (greatestCommonDivisor(polynomial, power ^ x) !== 1n) return false;
  }
  return true;
}

/**
 * A random irreducible polynomial of degree 53, drawn as restic does.
 *
 * @param randomBytes hands out so many bytes that nobody can guess
 */
export function randomPolynomial(randomBytes: (length: number) => Uint8Array): bigint {
  const top = 1n << BigInt(POLYNOMIAL_DEGREE);
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const bytes = randomBytes(8);
    const drawn = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
    // A polynomial without the constant term is divisible by x.
    const candidate = (drawn & (top - 1n)) | top | 1n;
    if (isIrreducible(candidate)) return candidate;
  }
  throw new RangeError(
    `"randomBytes" expected random bytes, got no irreducible polynomial in ${MAX_ATTEMPTS}`,
  );
}

function remainder(dividend: bigint, divisor: bigint): bigint {
  const divisorDegree = degree(divisor);
  let rest = dividend;
  for (let d = degree(rest); d >= divisorDegree; d = degree(rest)) {
    rest ^= divisor << BigInt(d - divisorDegree);
  }
  return rest;
}

/** Squaring over GF(2) puts a zero between every two coefficients. */
function square(polynomial: bigint): bigint {
  return BigInt(`0b${polynomial.toString(2).split("").join("0")}`);
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [high, low] = [a, b];
  while (low !== 0n) [high, low] = [low, remainder(high, low)];
  return high;
}
