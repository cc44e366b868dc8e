/** Numbers that look random and are the same on every machine: what data and places of reading are made from. */

/** @returns a function that gives the next integer from 0 to below its argument (at most 2^32) */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  // A Weyl sequence through the finaliser of MurmurHash3.
  return (below) => {
    state = (state + 0x9e3779b9) >>> 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    x = (x ^ (x >>> 16)) >>> 0;
    return Math.floor((x / 2 ** 32) * below);
  };
}
