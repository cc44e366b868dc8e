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
 * Rabin's test: a polynomial f of degree n is irreducible if f divides x^(2^n) - x, and has no factor in common with
 * x^(2^(n/q)) - x for any prime q that divides n. The degree of repositories is prime: one common factor is looked for.
 */
export function isIrreducible(polynomial: bigint): boolean {
  const n = degree(polynomial);
  if (n < 2) return n === 1;
  const x = 2n;
  const reduce = reducer(polynomial, n);
  let power = x;
  for (let i = 1; i <= n; i++) {
    power = reduce(square(power));
    const isTelling = n % i === 0 && isPrime(n / i);
    if (isTelling && greatestCommonDivisor(polynomial, power ^ x) !== 1n) return false;
  }
  return power === x;
}

function isPrime(n: number): boolean {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return n > 1;
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

/** The remainder of squares of polynomials below the divisor's degree `n`, without asking for the degree at each step. */
function reducer(divisor: bigint, n: number): (dividend: bigint) => bigint {
  const steps = Array.from({ length: n - 1 }, (_, shift) => ({
    top: 1n << BigInt(n + shift),
    divisor: divisor << BigInt(shift),
  })).reverse();
  return (dividend) => {
    let rest = dividend;
    for (const step of steps) if (rest >= step.top) rest ^= step.divisor;
    return rest;
  };
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
