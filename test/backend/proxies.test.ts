import { describe, expect, it } from "vitest";
import { Proxies } from "../../src/backend/proxies.js";
import { parseRestUrl } from "../../src/backend/rest-url.js";

const BOTH = { http: "http://plain:3128", https: "http://secure:3128" };

function proxyOf(url: string, options: ConstructorParameters<typeof Proxies>[0]): string | undefined {
  return new Proxies(options).for(parseRestUrl(url).target)?.shown;
}

describe("Proxies", () => {
  it.each([
    ["http://host/", "http://plain:3128"],
    ["https://host/", "http://secure:3128"],
    ["http://10.0.0.1:8000/", "http://plain:3128"],
    ["http://localhost.example/", "http://plain:3128"],
    ["http://localhost:8000/", undefined],
    ["http://127.3.2.1/", undefined],
    ["http://[::1]:8000/", undefined],
    ["http://[::ffff:127.0.0.1]/", undefined],
    ["http+unix:///s.sock:/", undefined],
  ])("lead to %s by way of %s", (url, proxy) => {
    expect(proxyOf(url, BOTH)).toBe(proxy);
  });

  it.each([
    ["host", "http://host/"],
    ["host", "http://below.host:8000/"],
    ["Host , other", "http://host/"],
    ["other,host:80", "http://host/"],
    ["host:443", "https://below.host/"],
    [".host", "http://below.host/"],
    ["*.host", "http://a.below.host/"],
    ["bücher.example", "http://xn--bcher-kva.example/"],
    ["*", "http://10.0.0.1/"],
    ["10.0.0.1", "http://10.0.0.1:8000/"],
    ["10.0.0.1:8000", "http://10.0.0.1:8000/"],
    ["10.0.0.0/8", "http://10.200.0.1/"],
    ["fd00::1", "http://[fd00::1]/"],
    ["[fd00::1]:8000", "http://[fd00::1]:8000/"],
    ["fd00::/8", "http://[fd12::34]/"],
    ["fe80::/10", "http://[fe80::1%25eth0]/"],
  ])("with NO_PROXY=%s are left out for %s", (none, url) => {
    expect(proxyOf(url, { ...BOTH, none })).toBeUndefined();
  });

  it.each([
    ["host", "http://nohost/"],
    ["host", "http://host.other/"],
    ["host:81", "http://host/"],
    [".host", "http://host/"],
    ["*.host", "http://host/"],
    ["*host", "http://below.host/"],
    ["10.0.0.1:81", "http://10.0.0.1/"],
    ["10.0.0.0/8", "http://11.0.0.1/"],
    ["10.0.0.0/99", "http://10.0.0.0/"],
    ["fd00::1", "http://[fd00::2]/"],
    [" ,, ", "http://host/"],
  ])("with NO_PROXY=%s are used for %s", (none, url) => {
    expect(proxyOf(url, { ...BOTH, none })).toBe("http://plain:3128");
  });

  it.each([
    ["proxy", { protocol: "http:", hostname: "proxy", port: "80", shown: "http://proxy" }],
    ["proxy:3128", { protocol: "http:", hostname: "proxy", port: "3128", shown: "http://proxy:3128" }],
    ["[::1]:3128", { protocol: "http:", hostname: "::1", port: "3128", shown: "http://[::1]:3128" }],
    ["https://proxy/", { protocol: "https:", hostname: "proxy", port: "443", shown: "https://proxy/" }],
    ["socks5://proxy", { protocol: "socks5:", hostname: "proxy", port: "1080", shown: "socks5://proxy" }],
    ["SOCKS5H://[::1]:80", { protocol: "socks5:", hostname: "::1", port: "80", shown: "SOCKS5H://[::1]:80" }],
    [
      "http://u:p%40@proxy:3128/",
      {
        protocol: "http:",
        hostname: "proxy",
        port: "3128",
        credentials: { user: Buffer.from("u"), password: Buffer.from("p@") },
        shown: "http://u:***@proxy:3128/",
      },
    ],
    [
      "socks5://u:p%40@proxy:3128/",
      {
        protocol: "socks5:",
        hostname: "proxy",
        port: "3128",
        credentials: { user: Buffer.from("u"), password: Buffer.from("p@") },
        shown: "socks5://u:***@proxy:3128/",
      },
    ],
  ])("are read from %s", (http, proxy) => {
    expect(new Proxies({ http }).for(parseRestUrl("http://host/").target)).toEqual(proxy);
  });

  it.each([
    ["socks4://u:secret@proxy", 'Cannot use proxy "socks4://u:***@proxy": expected an http, https, socks5'],
    ["socks5://:secret@proxy", 'Cannot use proxy "socks5://:***@proxy": expected a user of 1 to 255 bytes'],
    [`socks5://u:${"secret".repeat(43)}@proxy`, 'Cannot use proxy "socks5://u:***@proxy": expected a user'],
    ["socks5://proxy:99999", "the port is not a number up to 65535"],
    ["ftp://u:secret@proxy", 'Cannot use proxy "ftp://u:***@proxy": expected an http, https, socks5'],
    ["http://u:100%secret@proxy", 'Cannot use proxy "http://u:***@proxy": the user or the password has'],
    ["u:secret/@proxy", 'Cannot use proxy "http://u:***@proxy": the port is not a number'],
    ["http+unix:///s.sock:/", "expected an http, https, socks5 or socks5h URL"],
  ])("of which none can be used are refused: %s", (http, message) => {
    expect(() => proxyOf("http://host/", { http })).toThrow(
      expect.objectContaining({ code: "usage", message: expect.stringContaining(message) }),
    );
    expect(proxyOf("https://host/", { http })).toBeUndefined();
  });
});
