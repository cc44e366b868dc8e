import { describe, expect, it } from "vitest";
import { formatLocation, parseLocation } from "../../src/backend/location.js";
import { openBackend } from "../../src/backend/open-backend.js";
import { UsageError } from "../../src/errors.js";

describe("parseLocation", () => {
  const cases: [string, object][] = [
    ["/srv/repo", { scheme: "local", path: "/srv/repo" }],
    ["repo", { scheme: "local", path: "repo" }],
    ["../a:b", { scheme: "local", path: "../a:b" }],
    ["/srv/a:b", { scheme: "local", path: "/srv/a:b" }],
    ["C:\\repo", { scheme: "local", path: "C:\\repo" }],
    ["d:/repo", { scheme: "local", path: "d:/repo" }],
    ["local:a:b", { scheme: "local", path: "a:b" }],
    ["rest:http://host:8000", { scheme: "rest", url: "http://host:8000/" }],
    ["rest:https://u:p@host/x/", { scheme: "rest", url: "https://u:p@host/x/" }],
    ["rest:http+unix:///run/s.sock:/x", { scheme: "rest", url: "http+unix:///run/s.sock:/x/" }],
    ["rest:http+unix://u:p@/run/s.sock:/x", { scheme: "rest", url: "http+unix://u:p@/run/s.sock:/x/" }],
    ["sftp:host:/srv", { scheme: "sftp", user: undefined, host: "host", port: undefined, path: "/srv" }],
    ["sftp:me@host:rel/x", { scheme: "sftp", user: "me", host: "host", port: undefined, path: "rel/x" }],
    ["sftp:me@corp@host:x", { scheme: "sftp", user: "me@corp", host: "host", port: undefined, path: "x" }],
    ["sftp://me@host:2222/rel", { scheme: "sftp", user: "me", host: "host", port: 2222, path: "rel" }],
    ["sftp://host//abs", { scheme: "sftp", user: undefined, host: "host", port: undefined, path: "/abs" }],
    [
      "s3:https://h:9000/bucket/a/b/",
      { scheme: "s3", endpoint: "h:9000", useHttp: false, bucket: "bucket", prefix: "a/b" },
    ],
    ["s3:http://h/bucket", { scheme: "s3", endpoint: "h", useHttp: true, bucket: "bucket", prefix: "" }],
    ["s3:h/bucket", { scheme: "s3", endpoint: "h", useHttp: false, bucket: "bucket", prefix: "" }],
    ["b2:bucket", { scheme: "b2", bucket: "bucket", prefix: "" }],
    ["b2:bucket:x/y", { scheme: "b2", bucket: "bucket", prefix: "x/y" }],
    ["azure:c:/p", { scheme: "azure", bucket: "c", prefix: "p" }],
    ["gs:b:/", { scheme: "gs", bucket: "b", prefix: "" }],
    ["swift:c:/p", { scheme: "swift", bucket: "c", prefix: "p" }],
    ["rclone:remote:path", { scheme: "rclone", remote: "remote:path" }],
  ];
  it.each(cases)("reads %s", (text, wanted) => {
    expect(parseLocation(text)).toEqual(wanted);
  });

  it.each([
    "",
    "local:",
    "ftp:x",
    "rest:",
    "rest:ftp://x",
    "rest:host",
    "sftp:host",
    "sftp:host:",
    "sftp:h:~/x",
    "s3:host",
    "gs:bucket",
    "rclone:",
  ])("refuses %j", (text) => {
    expect(() => parseLocation(text)).toThrow(UsageError);
  });

  it("suggests local: for a path with a colon", () => {
    expect(() => parseLocation("ftp:x")).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("local:ftp:x") }),
    );
  });

  it.each([
    ["rest:", "no URL after rest:"],
    ["rest:ftp://x", "expected an http, https or http+unix URL"],
    ["rest:http:host", "expected an http, https or http+unix URL"],
    ["rest:http:///x", "the host is missing"],
    ["rest:http://u:p@:8000/x", "the host is missing"],
    ["rest:http://h:99999/", "the port is not a number up to 65535"],
    ["rest:http://h:80a/", "the port is not a number up to 65535"],
    ["rest:http://u:a/b@h/", "the port is not a number up to 65535; write a / of the password as %2F"],
    ["rest:http://[::1:8000/", "the host is not valid"],
    ["rest:http://h/?x", "it has a ? or #; write ? as %3F and # as %23"],
    ["rest:http://a:100%@h/", "the user or the password has an invalid URL escape; write % as %25"],
    ["rest:http://a%zz@h/", "the user or the password has an invalid URL escape; write % as %25"],
    ["rest:http+unix://host/s.sock:/", "expected http+unix:///path/of/socket:/path"],
    ["rest:http+unix://", "expected scheme://host:port/path"],
  ])("says what is wrong with %s", (text, reason) => {
    const start = 'Cannot parse repository location "rest:';
    expect(() => parseLocation(text)).toThrow(
      expect.objectContaining({ code: "usage", message: expect.stringContaining(start) }),
    );
    expect(() => parseLocation(text)).toThrow(new RegExp(`": ${reason.replace(/[?+%/]/g, "\\$&")}$`));
  });

  it.each([
    "rest:http://u:s3cr3t@/x",
    "rest:http//u:s3cr3t@host",
    "rst:http://u:s3cr3t/@h@host/x",
    "rest:http:u:s3cr3t@host",
    "rest:u:s3cr3t@host",
    "rest:http://u@v:s3cr3t@host",
    "rest:http://u:100%s3cr3t@host",
    "rest:http://u:1?s3cr3t@host",
    "rest:http+unix://u:s3cr3t@host/x",
    "rest:http+unix://u:s3cr3t@/s.sock:/x",
    "rest:http://corp\\u:s3cr3t@host/",
  ])("shows no password in its messages: %s", (text) => {
    let shown = "";
    try {
      shown = formatLocation(parseLocation(text));
    } catch (error) {
      const { message, hint } = error as UsageError;
      shown = `${message} ${hint}`;
    }
    expect(shown).not.toContain("s3cr3t");
  });
});

describe("formatLocation", () => {
  it.each([
    ["rest:https://user:secret@host:8000/x/", "rest:https://user:***@host:8000/x/"],
    ["rest:https://user@host/x/", "rest:https://user@host/x/"],
    ["rest:http://u@corp:secret@[::1]:8000", "rest:http://u@corp:***@[::1]:8000/"],
    ["rest:http+unix://user:secret@/s.sock:/x@y/", "rest:http+unix://user:***@/s.sock:/x@y/"],
    ["rest:http://host:8000/p@th/", "rest:http://host:8000/p@th/"],
    ["sftp:me@host:/srv", "sftp:me@host:/srv"],
    ["s3:h/b/p", "s3:h/b/p"],
    ["/srv/repo", "/srv/repo"],
  ])("shows %s as %s", (text, wanted) => {
    expect(formatLocation(parseLocation(text))).toBe(wanted);
  });
});

describe("openBackend", () => {
  it("opens a folder", async () => {
    expect((await openBackend("/nowhere", { connections: 7 })).connections).toBe(7);
  });

  it("says that a scheme is not supported yet", async () => {
    await expect(openBackend("sftp:user@host:/srv/repo")).rejects.toMatchObject({
      code: "not-supported",
      message: expect.stringContaining("sftp:user@host:/srv/repo"),
    });
  });

  it("shows no password of a server", async () => {
    const { location } = await openBackend("rest:http://u:secret@host/");
    expect(location).toBe("rest:http://u:***@host/");
  });
});
