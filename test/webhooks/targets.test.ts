import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkTarget, isPublic, mayCall, parseAllowList } from "../../shared/webhooks/targets.ts";

const nothing = parseAllowList([]);
const loopback = parseAllowList(["127.0.0.0/8", "::1/128"]);

/** Everything that some parser, resolver or gateway takes for this machine, one of its networks, or a
 *  cloud's secrets. */
const special = [
  "0.0.0.0",
  "0.1.2.3",
  "10.0.0.1",
  "10.255.255.255",
  "100.64.0.1",
  "100.100.100.200",
  "100.127.255.255",
  "127.0.0.1",
  "127.255.255.254",
  "168.63.129.16",
  "169.254.0.1",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.0.0.1",
  "192.0.0.192",
  "192.0.2.1",
  "192.88.99.1",
  "192.168.1.1",
  "198.18.0.1",
  "198.19.255.255",
  "198.51.100.1",
  "203.0.113.1",
  "224.0.0.1",
  "239.255.255.255",
  "240.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::127.0.0.1",
  "::8.8.8.8",
  "::ffff:127.0.0.1",
  "::ffff:7f00:1",
  "::ffff:10.0.0.1",
  "::ffff:169.254.169.254",
  "::ffff:0:127.0.0.1",
  "64:ff9b::127.0.0.1",
  "64:ff9b::8.8.8.8",
  "64:ff9b:1::10.0.0.1",
  "100::1",
  "2001::1",
  "2001:0:7f00:1::",
  "2001:2::1",
  "2001:10::1",
  "2001:20::1",
  "2001:db8::1",
  "2002:7f00:1::",
  "2002:808:808::",
  "2a00:1450::5efe:7f00:1",
  "2a00:1450::200:5efe:a00:1",
  "3fff::1",
  "4000::1",
  "5f00::1",
  "fc00::1",
  "fd00:ec2::254",
  "fe80::1",
  "fe80::1%eth0",
  "fec0::1",
  "ff02::1",
];
const ordinary = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "198.20.0.1", "2a00:1450:4001::200e"];

describe("an address", () => {
  it.each(special)("%s is not public", (address) => expect(isPublic(address)).toBe(false));
  it.each([...ordinary, "::ffff:8.8.8.8"])("%s is public", (address) => expect(isPublic(address)).toBe(true));

  it.each([
    "",
    "localhost",
    "127.1",
    "0x7f.0.0.1",
    "017700000001",
    "2130706433",
    "1",
    "8.8.8.8/32",
    "[::1]",
    "x",
  ])("%j is none, and may not be called", (text) => expect(mayCall(text, "https:", loopback)).toBe(false));

  it("may be called over plain HTTP only inside the allow list", () => {
    expect(mayCall("8.8.8.8", "http:", loopback)).toBe(false);
    expect(mayCall("8.8.8.8", "https:", loopback)).toBe(true);
    expect(mayCall("127.0.0.1", "http:", loopback)).toBe(true);
    expect(mayCall("127.0.0.1", "https:", nothing)).toBe(false);
  });

  it("written as IPv6 counts as the IPv4 address it is; carried elsewhere it does not", () => {
    expect(mayCall("::ffff:127.0.0.1", "http:", loopback)).toBe(true);
    expect(mayCall("::ffff:7f00:1", "http:", loopback)).toBe(true);
    for (const carried of ["64:ff9b::127.0.0.1", "2002:7f00:1::", "::127.0.0.1", "2001:0:7f00:1::"])
      expect(mayCall(carried, "https:", loopback)).toBe(false);
  });

  it("is never both public and inside one of the big private networks", () => {
    const privateOnes = parseAllowList(["10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12"]);
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        if (mayCall(address, "http:", privateOnes)) expect(isPublic(address)).toBe(false);
      }),
    );
  });
});

describe("the allow list", () => {
  it("takes networks of both kinds, and single addresses", () => {
    const allow = parseAllowList(["10.1.0.0/16", "fd00::/8", " 192.168.1.7 ", "::ffff:172.16.0.0/108"]);
    for (const inside of ["10.1.255.255", "fd12::1", "192.168.1.7", "172.16.0.1", "172.31.0.1"])
      expect(mayCall(inside, "http:", allow)).toBe(true);
    for (const outside of ["10.2.0.0", "fc00::1", "192.168.1.8", "172.32.0.1", "8.8.8.8"])
      expect(mayCall(outside, "http:", allow)).toBe(false);
  });

  it("can allow everything", () => {
    const everything = parseAllowList(["0.0.0.0/0", "::/0"]);
    for (const address of special) expect(mayCall(address, "http:", everything)).toBe(true);
  });

  it.each([
    "",
    "localhost",
    "10",
    "10.1/16",
    "010.0.0.0/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0.0/8.5",
    "10.0.0.0/08",
    "10.0.0.0/255.0.0.0",
    "::/129",
    "::ffff:0:0/95",
    "fe80::1%eth0/64",
    "*",
  ])("refuses %j", (cidr) => expect(() => parseAllowList([cidr])).toThrow(RangeError));
});

describe("a target", () => {
  const refusal = (url: string, allow = nothing) => {
    const target = checkTarget(url, allow);
    return target.ok ? undefined : target.reason;
  };

  it.each([
    "https://example.com/hook",
    "https://example.com:8443/hook?a=b",
    "https://EXAMPLE.com",
    "https://münchen.example/",
    "https://8.8.8.8/",
    "https://[2a00:1450:4001::200e]/",
  ])("%s may be called", (url) => expect(checkTarget(url, nothing)).toMatchObject({ ok: true }));

  it.each([
    "",
    "example.com",
    "//example.com",
    "/hook",
    "https://",
    "https://exa mple.com",
    "https://256.1.1.1/",
  ])("%j cannot be read", (url) => expect(refusal(url)).toBe("the URL cannot be read"));

  it.each([
    "ftp://example.com",
    "file:///etc/passwd",
    "unix:/run/docker.sock",
    "data:text/plain,x",
    "ws://example.com",
    "gopher://example.com",
    "javascript:1",
    "http://example.com",
    "http://8.8.8.8",
  ])("%s has to begin with https:", (url) => expect(refusal(url)).toBe("the URL must begin with https:"));

  it.each(["https://user:pass@example.com", "https://user@example.com", "https://:pass@example.com"])(
    "%s carries a secret where it does not belong",
    (url) => expect(refusal(url)).toMatch(/user name or a password/),
  );

  it.each([
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7F.0x0.0x0.0x1",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0x1",
    "00000177.1",
    "127.0.0.1.",
    "①②⑦.0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "app.localhost",
    "ｌｏｃａｌｈｏｓｔ",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::FFFF:7F00:0001]",
  ])("%s is this machine, and may be called only where that is allowed", (host) => {
    expect(refusal(`https://${host}/`)).toBe("the URL must name a public address");
    expect(refusal(`http://${host}:8080/`)).toBe("the URL must name a public address");
    expect(refusal(`https://${host}/`, loopback)).toBeUndefined();
    expect(refusal(`http://${host}:8080/`, loopback)).toBeUndefined();
  });

  it.each(special.filter((address) => !address.includes("%")))(
    "%s may not be called as it stands",
    (address) => {
      const host = address.includes(":") ? `[${address}]` : address;
      expect(refusal(`https://${host}/`)).toBe("the URL must name a public address");
    },
  );

  it("over plain HTTP may be a name where there is an allow list: what it stands for is judged later", () => {
    expect(refusal("http://receiver.internal/", loopback)).toBeUndefined();
    expect(refusal("http://8.8.8.8/", loopback)).toBe("the URL must begin with https:");
    expect(refusal("http://10.0.0.1/", loopback)).toBe("the URL must name a public address");
  });
});
