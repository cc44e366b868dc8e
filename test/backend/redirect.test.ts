import { describe, expect, it } from "vitest";
import type { HttpRequest } from "../../src/backend/http-client.js";
import { redirect } from "../../src/backend/redirect.js";
import { parseRestUrl } from "../../src/backend/rest-url.js";

function redirected(from: string, location: string): HttpRequest | undefined {
  const { target } = parseRestUrl(from);
  const request = {
    method: "GET",
    url: target,
    headers: { authorization: "x", range: "y" },
    maxBytes: 0,
  } as const;
  return redirect(request, {
    status: 308,
    headers: { location },
    body: Buffer.alloc(0),
    beginning: Buffer.alloc(0),
  });
}

describe("redirect", () => {
  it.each([
    ["http://host/a/", "https://host/a/"],
    ["http://host:80/a/", "http://host:8000/"],
    ["https://host/a/", "//host/b"],
    ["http://[fe80::1%25lo]:8000/a/", "/b"],
    ["http+unix:///s.sock:/a/", "/b"],
  ])("takes the password along from %s to %s", (from, to) => {
    expect(redirected(from, to)?.headers).toEqual({ authorization: "x", range: "y" });
  });

  it.each([
    ["http://host/", "http://other/"],
    ["http://host/", "http://nohost/"],
    ["http://eu.host/", "http://host/"],
    ["https://host/", "https://eu.host/"],
    ["http+unix:///s.sock:/a/", "http://sub.localhost/"],
    ["http+unix:///s.sock:/a/", "http://localhost:8000/"],
  ])("does not take the password along from %s to %s", (from, to) => {
    expect(redirected(from, to)?.headers).toEqual({ range: "y" });
  });

  it("stays with the socket, and with the zone, of the same server", () => {
    expect(redirected("http+unix:///s.sock:/a/", "http://localhost/b?c")?.url).toMatchObject({
      socketPath: "/s.sock",
      path: "/b?c",
    });
    expect(redirected("http://[fe80::1%25lo]:8000/", "http://[fe80::1]:8000/b")?.url).toMatchObject({
      hostname: "fe80::1%lo",
      path: "/b",
    });
    expect(redirected("http+unix:///s.sock:/a/", "https://[::1]:8000/b")?.url).toEqual({
      protocol: "https:",
      hostname: "::1",
      port: "8000",
      path: "/b",
    });
  });

  it("does not lead out of TLS", () => {
    expect(() => redirected("https://host/", "http://host/x")).toThrow(
      'the server answered 308, a redirect to "http://host/x", which is not encrypted',
    );
  });
});
