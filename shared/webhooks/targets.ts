import ipaddr from "ipaddr.js";

/** Networks that may be called though they are not public, or over plain HTTP: addresses and their prefix lengths. */
export type AllowList = readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];

/** CIDRs, parsed; throws for one that is not. */
export const parseAllowList = (cidrs: readonly string[]): AllowList =>
  cidrs.map((cidr) => ipaddr.parseCIDR(cidr));

/** What ipaddr.js calls what only the public internet has. Everything else is special by an IANA registry. */
const PUBLIC = "unicast";
const NAT64_PREFIXES = [ipaddr.IPv6.parseCIDR("64:ff9b::/96"), ipaddr.IPv6.parseCIDR("64:ff9b:1::/48")];
/** Special-purpose blocks that the library counts as unicast. */
const ALSO_SPECIAL = [
  "192.88.99.0/24",
  "100.100.100.200/32",
  "2001:db8::/32",
  "3fff::/20",
  "5f00::/16",
  "::/8",
  "fec0::/10",
].map((cidr) => ipaddr.parseCIDR(cidr));

const within = (address: ipaddr.IPv4 | ipaddr.IPv6, list: AllowList): boolean =>
  list.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));

/** The IPv4 address that an IPv6 one stands for: mapped, or behind NAT64 or 6to4. */
function unwrap(address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 {
  if (!(address instanceof ipaddr.IPv6)) return address;
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  const bytes = address.toByteArray();
  if (NAT64_PREFIXES.some((prefix) => address.match(prefix))) return new ipaddr.IPv4(bytes.slice(12));
  if (address.range() === "6to4") return new ipaddr.IPv4(bytes.slice(2, 6));
  return address;
}

/** Whether this address may be connected to: public, or inside the allow list. An address that wraps another is judged as
 *  the other, and its wrapping is never public. */
export function isAllowed(text: string, allow: AllowList): boolean {
  const bare = text.startsWith("[") ? text.slice(1, -1) : text;
  if (!ipaddr.isValid(bare)) return false;
  const address = ipaddr.parse(bare);
  const inner = unwrap(address);
  if (within(inner, allow) || within(address, allow)) return true;
  if (inner !== address && !(address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress())) return false;
  return inner.range() === PUBLIC && !within(inner, ALSO_SPECIAL);
}

export type Target = {
  url: URL /** Plain HTTP: every address must stand in the allow list, public or not. */;
  insecure: boolean;
};

/** A URL that may be called as far as its text tells, or why it may not. Names are judged again when they are resolved. */
export function checkTarget(text: string, allow: AllowList): Target | { reason: string } {
  if (!URL.canParse(text)) return { reason: "the URL cannot be read" };
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:")
    return { reason: "the URL must begin with https:" };
  if (url.username !== "" || url.password !== "")
    return { reason: "the URL must not have a name or password in it" };
  const insecure = url.protocol === "http:";
  if (insecure && allow.length === 0) return { reason: "the URL must begin with https:" };
  const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  if (ipaddr.isValid(host) && !isAllowed(host, allow)) return { reason: "the address is not public" };
  if (insecure && ipaddr.isValid(host) && !isListed(host, allow))
    return { reason: "the URL must begin with https:" };
  return { url, insecure };
}

/** Whether this address stands in the allow list itself. */
export function isListed(text: string, allow: AllowList): boolean {
  return ipaddr.isValid(text) && within(unwrap(ipaddr.parse(text)), allow);
}
