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

  it.each(["rest:http://u:s3cr3t@/x", "rest:http//u:s3cr3t@host", "rst:http://u:s3cr3t/@h@host/x"])(
    "shows no password in its messages: %s",
    (text) => {
      let shown = "";
      try {
        shown = formatLocation(parseLocation(text));
      } catch (error) {
        const { message, hint } = error as UsageError;
        shown = `${message} ${hint}`;
      }
      expect(shown).not.toContain("s3cr3t");
    },
  );
});

describe("formatLocation", () => {
  it.each([
    ["rest:https://user:secret@host:8000/x/", "rest:https://user:***@host:8000/x/"],
    ["rest:https://user@host/x/", "rest:https://user@host/x/"],
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
