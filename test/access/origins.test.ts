/** Which pages may use the hub: look-alikes, pages of nobody, and names that lead here by a trick. */
import { describe, expect, it } from "vitest";
import { Origins } from "../../server/src/access/origins.ts";

const origins = ["https://app.example.com", "http://localhost:3000"];
const guarded = new Origins({ origins, hosts: [], isOpen: false });

describe("a hub with tokens", () => {
  const host = "hub.example.com";

  it("allows the pages that were configured, its own, and whoever is no page", () => {
    for (const origin of [...origins, `https://${host}`, `http://${host}`, undefined]) {
      expect(guarded.allows({ origin, host })).toBe(true);
    }
    expect(guarded.allows({ origin: "https://hub.example.com:8443", host: "hub.example.com:8443" })).toBe(true);
  });

  it.each([
    "https://evil.com",
    "null",
    "",
    "https://app.example.com.evil.com",
    "https://evil.com/https://app.example.com",
    "https://app.example.com@evil.com",
    "https://evilapp.example.com",
    "https://xapp.example.com",
    "https://app.example.com:444",
    "https://app.example.com:443",
    "https://app.example.com/",
    "https://app.example.com.",
    "http://app.example.com",
    "HTTPS://APP.EXAMPLE.COM",
    "https://App.Example.com",
    "app.example.com",
    "https://*.example.com",
    "https://app.example.com, https://evil.com",
    "https://hub.example.com.evil.com",
    "https://hub.example.com:444",
    "ftp://hub.example.com",
    "file://",
    "http://localhost",
    "*",
  ])("refuses a page of %j", (origin) => {
    expect(guarded.allows({ origin, host })).toBe(false);
  });

  it("refuses pages where it is not called by any name", () => {
    for (const host of [undefined, ""]) expect(guarded.allows({ origin: "http://", host })).toBe(host === "");
    expect(guarded.allows({ origin: "http://undefined", host: undefined })).toBe(false);
  });

  it("allows every page where it was told to, the page of nobody too", () => {
    const all = new Origins({ origins: ["*"], hosts: [], isOpen: false });
    for (const origin of ["https://evil.com", "null"]) expect(all.allows({ origin, host })).toBe(true);
  });
});

describe("a hub without tokens", () => {
  const open = new Origins({ origins: [], hosts: ["hub.local"], isOpen: true });

  it.each([
    "localhost",
    "localhost:7600",
    "127.0.0.1",
    "127.0.0.1:7600",
    "127.1.2.3:1",
    "[::1]",
    "[::1]:7600",
    "hub.local:80",
  ])("may be called %s", (host) => {
    expect(open.allows({ origin: undefined, host })).toBe(true);
    expect(open.allows({ origin: `http://${host}`, host })).toBe(true);
    expect(open.allows({ origin: "https://evil.com", host })).toBe(false);
  });

  it.each([
    undefined,
    "",
    "evil.com",
    "evil.com:7600",
    "127.0.0.1.evil.com",
    "127.0.0.1.nip.io",
    "localhost.evil.com",
    "evil.com#localhost",
    "localhost@evil.com",
    "hub.local.evil.com",
    "0.0.0.0",
    "[::]",
    "2130706433",
    "0x7f.1",
    "192.168.0.1",
    "[::1",
    "::1]:7600:",
    "[fe80::1%eth0]",
    "[::1]evil.com",
  ])("is not called %j: a page's own name may lead here (DNS rebinding)", (host) => {
    expect(open.allows({ origin: undefined, host })).toBe(false);
    expect(open.allows({ origin: `http://${host}`, host })).toBe(false);
  });

  it("is not called by another's name although all pages are allowed", () => {
    const careless = new Origins({ origins: ["*"], hosts: [], isOpen: true });
    expect(careless.allows({ origin: "http://evil.com", host: "evil.com" })).toBe(false);
  });
});
