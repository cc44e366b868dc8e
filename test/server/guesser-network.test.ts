import { expect, it } from "vitest";
import { guesserNetwork } from "../../src/server/guesser-network.js";

it.each([
  ["", ""],
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["fe80::1%eth0", "fe80::1%eth0"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8:1:2::9", "2001:db8:1:2::/64"],
  ["2001:db8::9", "2001:db8:0:0::/64"],
  ["2001:db8::2:0:0:9", "2001:db8:0:0::/64"],
  ["2001:db8:0:2::9", "2001:db8:0:2::/64"],
  ["::1", "0:0:0:0::/64"],
])("whoever guesses from %j has %j", (address, network) => {
  expect(guesserNetwork(address)).toBe(network);
});
