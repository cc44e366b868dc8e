/**
 * What one guesser has for himself at least: an IPv4 address, or an IPv6 network of 64 bits, which is the smallest that is
 * given to anybody (RFC 4291, 2.5.4). Counted by whole IPv6 addresses, he would have a fresh one for each guess.
 *
 * @param address as `Socket.remoteAddress` has it; "" where there is none
 */
export function guesserNetwork(address: string): string {
  const [, mapped] = /^::ffff:(\d+(?:\.\d+){3})$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  // All machines of one cable have the same network there, and none has another address to spare.
  if (!address.includes(":") || /^fe80:/i.test(address)) return address;
  const [before, after] = address.split("::").map((half) => (half === "" ? [] : half.split(":")));
  const zeros = after ? Array<string>(8 - before!.length - after.length).fill("0") : [];
  return `${[...before!, ...zeros, ...(after ?? [])].slice(0, 4).join(":")}::/64`;
}
