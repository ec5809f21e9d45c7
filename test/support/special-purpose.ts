/** The special-purpose registries of IANA, block by block, with those that were there once: nobody receives
 *  webhooks in any of them, those included that can be reached from everywhere. */
export const specialBlocks: readonly (readonly [block: string, name: string])[] = [
  ["0.0.0.0/8", "this network"],
  ["0.0.0.0/32", "this host on this network"],
  ["10.0.0.0/8", "private use"],
  ["100.64.0.0/10", "shared address space"],
  ["127.0.0.0/8", "loopback"],
  ["169.254.0.0/16", "link local"],
  ["172.16.0.0/12", "private use"],
  ["192.0.0.0/24", "IETF protocol assignments"],
  ["192.0.0.0/29", "IPv4 service continuity prefix"],
  ["192.0.0.8/32", "dummy address"],
  ["192.0.0.9/32", "port control protocol anycast"],
  ["192.0.0.10/32", "TURN anycast"],
  ["192.0.0.170/32", "NAT64/DNS64 discovery"],
  ["192.0.0.171/32", "NAT64/DNS64 discovery"],
  ["192.0.2.0/24", "documentation (TEST-NET-1)"],
  ["192.31.196.0/24", "AS112-v4"],
  ["192.52.193.0/24", "AMT"],
  ["192.88.99.0/24", "6to4 relay anycast, deprecated"],
  ["192.88.99.2/32", "6a44 relay anycast"],
  ["192.168.0.0/16", "private use"],
  ["192.175.48.0/24", "direct delegation AS112 service"],
  ["198.18.0.0/15", "benchmarking"],
  ["198.51.100.0/24", "documentation (TEST-NET-2)"],
  ["203.0.113.0/24", "documentation (TEST-NET-3)"],
  ["224.0.0.0/4", "multicast"],
  ["240.0.0.0/4", "reserved"],
  ["255.255.255.255/32", "limited broadcast"],
  ["::1/128", "loopback"],
  ["::/128", "unspecified"],
  ["::/96", "IPv4-compatible, deprecated"],
  ["::ffff:0:0:0/96", "IPv4-translated"],
  ["64:ff9b::/96", "IPv4-IPv6 translation"],
  ["64:ff9b:1::/48", "IPv4-IPv6 translation"],
  ["100::/64", "discard only"],
  ["100:0:0:1::/64", "dummy prefix"],
  ["2001::/23", "IETF protocol assignments"],
  ["2001::/32", "Teredo"],
  ["2001:1::1/128", "port control protocol anycast"],
  ["2001:1::2/128", "TURN anycast"],
  ["2001:1::3/128", "DNS-SD service registration anycast"],
  ["2001:2::/48", "benchmarking"],
  ["2001:3::/32", "AMT"],
  ["2001:4:112::/48", "AS112-v6"],
  ["2001:10::/28", "ORCHID, deprecated"],
  ["2001:20::/28", "ORCHIDv2"],
  ["2001:30::/28", "drone remote ID entity tags"],
  ["2001:db8::/32", "documentation"],
  ["2002::/16", "6to4"],
  ["2620:4f:8000::/48", "direct delegation AS112 service"],
  ["3fff::/20", "documentation"],
  ["5f00::/16", "segment routing"],
  ["fc00::/7", "unique local"],
  ["fe80::/10", "link local"],
  ["fec0::/10", "site local, deprecated"],
  ["ff00::/8", "multicast"],
];

/** The first, a middle and the last address of a block. */
export function addressesIn(block: string): string[] {
  const [base = "", bitsText] = block.split("/");
  const width = base.includes(":") ? 128n : 32n;
  const size = 1n << (width - BigInt(bitsText ?? ""));
  const first = width === 32n ? numberOf4(base) : numberOf6(base);
  const written = width === 32n ? text4 : text6;
  return [...new Set([first, first + size / 2n, first + size - 1n])].map(written);
}

const numberOf4 = (text: string): bigint =>
  text.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n);

function numberOf6(text: string): bigint {
  const [head = "", tail] = text.split("::");
  const parts = (half: string) => half.split(":").filter((part) => part !== "");
  const [before, after] = [parts(head), parts(tail ?? "")];
  const all = [...before, ...Array(8 - before.length - after.length).fill("0"), ...after];
  return all.reduce((sum, part) => sum * 65_536n + BigInt(`0x${part}`), 0n);
}

const partsOf = (number: bigint, count: number, bits: bigint): bigint[] =>
  Array.from(
    { length: count },
    (_, index) => (number >> (bits * BigInt(count - 1 - index))) & ((1n << bits) - 1n),
  );
const text4 = (number: bigint): string => partsOf(number, 4, 8n).join(".");
const text6 = (number: bigint): string =>
  partsOf(number, 8, 16n)
    .map((part) => part.toString(16))
    .join(":");
