import { describe, expect, it } from "vitest";
import { parseRestUrl } from "../../src/backend/rest-url.js";

describe("parseRestUrl", () => {
  const cases: [string, object][] = [
    ["http://host/", { protocol: "http:", hostname: "host", port: "", path: "/" }],
    ["HTTPS://Host:443/a b/", { protocol: "https:", hostname: "host", port: "", path: "/a%20b/" }],
    ["http://[::1]:8000/x/", { protocol: "http:", hostname: "::1", port: "8000", path: "/x/" }],
    ["http://[fe80::1%25eth0]/", { protocol: "http:", hostname: "fe80::1%eth0", port: "", path: "/" }],
    ["http://host/a\\b%2Fc/", { protocol: "http:", hostname: "host", port: "", path: "/a%5Cb%2Fc/" }],
    [
      "http+unix://u:p@/run/s.sock:/x/",
      { protocol: "http:", socketPath: "/run/s.sock", hostname: "", port: "", path: "/x/" },
    ],
    [
      "http+unix:///run/s.sock/",
      { protocol: "http:", socketPath: "/run/s.sock", hostname: "", port: "", path: "/" },
    ],
    [
      "http+unix:///run/a b/s%25%20.sock:/my repo/ü\\/%2F/",
      {
        protocol: "http:",
        socketPath: "/run/a b/s% .sock",
        hostname: "",
        port: "",
        path: "/my%20repo/%C3%BC%5C/%2F/",
      },
    ],
  ];
  it.each(cases)("finds where %s leads", (url, target) => {
    expect(parseRestUrl(url).target).toEqual(target);
  });

  it.each([
    ["http://host/", undefined],
    ["http://@host/", undefined],
    ["http://user@host/", "user:"],
    ["http://:p@host/", ":p"],
    ["http://u@corp:p:q@host/", "u@corp:p:q"],
    ["http://corp\\u:p@host/", "corp\\u:p"],
    ["http://%40:%25%2f%3A@host/", "@:%/:"],
    ["http://ü:%c3%bc@host/", "ü:ü"],
    ["http+unix://u:%2F@/s.sock:/", "u:/"],
  ])("reads the user and the password of %s", (url, credentials) => {
    const { user, password } = parseRestUrl(url).credentials ?? {};
    expect(user && `${user}:${password}`).toBe(credentials);
  });

  it.each([
    ["http://host/a\n/", "control character"],
    ["http://host/a\tb/", "control character"],
    ["http://host/100%/", "write % as %25"],
    ["http+unix:///run/s%.sock:/x/", "write % as %25"],
  ])("refuses %j, of which `URL` would make another path", (url, reason) => {
    expect(() => parseRestUrl(url)).toThrow(reason);
  });

  it("takes escapes for bytes, which need not be UTF-8", () => {
    const credentials = { user: Buffer.from("u"), password: Buffer.from([0xff]) };
    expect(parseRestUrl("http://u:%FF@host/").credentials).toEqual(credentials);
  });

  it("tells a colon of the user from the one before the password", () => {
    const credentials = { user: Buffer.from("a:b"), password: Buffer.from("c:d") };
    expect(parseRestUrl("http://a%3Ab:c:d@host/").credentials).toEqual(credentials);
  });
});
