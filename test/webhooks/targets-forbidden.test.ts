import { describe, expect, it } from "vitest";
import { checkTarget, isPublic, mayCall, parseAllowList } from "../../shared/webhooks/targets.ts";
import { forbiddenHosts } from "../support/forbidden-hosts.ts";
import { addressesIn, specialBlocks } from "../support/special-purpose.ts";

const nothing = parseAllowList([]);
/** Somebody allows a network, and none of those below. */
const elsewhere = parseAllowList(["192.168.77.0/24", "fd77::/16"]);
const isName = (host: string): boolean => /^[a-z][a-z0-9.-]*$/i.test(host);

describe("a spelling of what may not be called", () => {
  it("is one of at least a hundred", () => expect(new Set(forbiddenHosts).size).toBeGreaterThanOrEqual(150));

  it.each(forbiddenHosts)("%j is refused", (host) => {
    for (const url of [`https://${host}/`, `https://${host}:8443/hook?a=b#c`, `https:\\\\${host}\\`])
      expect(checkTarget(url, nothing), url).toMatchObject({ ok: false });
    expect(checkTarget(`http://${host}/`, nothing)).toMatchObject({ ok: false });
  });

  it.each(forbiddenHosts.filter((host) => !isName(host) || /^(?:.*\.)?localhost\.*$/i.test(host)))(
    "%j is refused where another network is allowed",
    (host) => {
      for (const protocol of ["https", "http"])
        expect(checkTarget(`${protocol}://${host}/`, elsewhere)).toMatchObject({ ok: false });
    },
  );
});

describe("a block that has a special purpose", () => {
  it.each(specialBlocks)("%s (%s) is not public, from its first address to its last", (block) => {
    const addresses = addressesIn(block);
    expect(addresses.length).toBeGreaterThan(0);
    for (const address of addresses) {
      const host = address.includes(":") ? `[${address}]` : address;
      expect(isPublic(address), address).toBe(false);
      expect(mayCall(address, "https:", elsewhere), address).toBe(false);
      expect(checkTarget(`https://${host}/`, nothing), address).toMatchObject({ ok: false });
    }
  });

  it.each(specialBlocks.filter(([block]) => !block.includes(":")))(
    "%s (%s) is none either where IPv6 carries it",
    (block) => {
      for (const address of addressesIn(block))
        for (const prefix of ["::ffff:", "::", "::ffff:0:", "64:ff9b::", "64:ff9b:1::"])
          expect(isPublic(prefix + address), prefix + address).toBe(false);
    },
  );

  it.each([
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.31.195.255",
    "192.31.197.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "168.63.129.15",
    "168.63.129.17",
    "2001:200::",
    "2001:db7:ffff::1",
    "2001:db9::",
    "2003::",
    "2620:4f:8001::",
    "3ffe:ffff::1",
  ])("ends where it ends: %s is public", (address) => expect(isPublic(address)).toBe(true));
});

describe("a name", () => {
  it.each([
    "example.com",
    "localhost.example.com",
    "internal.example.com",
    "local.example",
    "mylocal.example",
    "notlocalhost.com",
    "xn--mnchen-3ya.example",
    "metadata.google.com",
    "8.8.8.8.example.com",
    "127.0.0.1.example.com",
    "example.com.",
  ])("such as %s is judged when it is resolved", (host) =>
    expect(checkTarget(`https://${host}/`, nothing)).toMatchObject({ ok: true }),
  );

  it.each(["receiver", "receiver.internal", "receiver.local", "receiver.lan."])(
    "such as %s is, too, where some network is allowed",
    (host) => {
      expect(checkTarget(`https://${host}/`, nothing)).toMatchObject({ ok: false });
      expect(checkTarget(`https://${host}/`, elsewhere)).toMatchObject({ ok: true });
      expect(checkTarget(`http://${host}/`, elsewhere)).toMatchObject({ ok: true });
    },
  );

  it.each(["a..example.com", ".example.com", "example.com.."])("may not be written as %s", (host) => {
    for (const allow of [nothing, elsewhere])
      expect(checkTarget(`https://${host}/`, allow)).toMatchObject({ ok: false });
  });
});
