import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Network = [Address, number];

/** Networks that may be called though they are not public, and over plain HTTP. */
export type AllowList = readonly Network[];

/** Where a webhook goes, or, in words for people, why it may not go there. */
export type Target = { ok: true; url: URL } | { ok: false; reason: string };

/** Parses CIDRs such as `10.1.0.0/16` and `fd00::/8`; an address alone is a network of one. Throws for
 *  anything else. */
export const parseAllowList = (cidrs: readonly string[]): AllowList => cidrs.map(networkOf);

function networkOf(cidr: string): Network {
  const [text = "", bitsText, ...rest] = cidr.trim().split("/");
  const address = text.includes("%") ? undefined : addressOf(text);
  const bitsMax = text.includes(":") ? 128 : 32;
  const bits = bitsText === undefined ? bitsMax : Number(bitsText);
  // Addresses are compared without the mapping into IPv6, so a network must not be wider than it.
  const bitsMin = bitsMax === 128 && address?.kind() === "ipv4" ? 96 : 0;
  const isNumber = bitsText === undefined || /^(0|[1-9]\d{0,2})$/.test(bitsText);
  if (!address || rest.length > 0 || !isNumber || bits > bitsMax || bits < bitsMin)
    throw new RangeError(`not a network: ${cidr}`);
  return [address, bits - bitsMin];
}

/** An IPv4 address that is written as an IPv6 one is the IPv4 address. */
function unmapped(address: Address): Address {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

/** What of IPv6 is given out for the internet. The rest has loopback, wrapped and local addresses in it,
 *  or nothing yet. */
const GLOBAL_IPV6 = parseAllowList(["2000::/3"]);
/** One cloud's service for its own machines, at an address like any other's. */
const ALSO_SPECIAL = parseAllowList(["168.63.129.16"]);

/** Whether an address is one of the public internet's. Those that carry an IPv4 address into other
 *  networks (NAT64, 6to4, Teredo, ISATAP) are not, whatever they carry; one that merely writes an IPv4
 *  address as IPv6 is judged as that. */
export function isPublic(text: string): boolean {
  const address = addressOf(text);
  if (address?.range() !== "unicast" || isWithin(address, ALSO_SPECIAL)) return false;
  return !(address instanceof ipaddr.IPv6) || (isWithin(address, GLOBAL_IPV6) && !isIsatap(address));
}

/** Whether this address may be called: with TLS those of the public internet, and any inside the allow
 *  list. */
export const mayCall = (address: string, protocol: string, allow: AllowList): boolean =>
  isListed(address, allow) || (protocol === "https:" && isPublic(address));

/** Judges a URL as far as its text tells. What a name stands for is judged when it is resolved, at each
 *  connection. */
export function checkTarget(text: string, allow: AllowList): Target {
  const url = URL.parse(text);
  if (!url) return refused("the URL cannot be read");
  if (url.protocol !== "https:" && url.protocol !== "http:") return refused("the URL must begin with https:");
  if (url.username !== "" || url.password !== "")
    return refused("the URL must not have a user name or a password in it");
  const address = literalOf(url.hostname);
  if (url.hostname.includes("..") || url.hostname.startsWith("."))
    return refused("the URL must name a host as names are written");
  // A name might resolve into the allow list, if there is one.
  const plain = address === undefined ? allow.length > 0 : isListed(address, allow);
  if (!plain && (address === undefined ? isLocalName(url.hostname) : !isPublic(address)))
    return refused("the URL must name a public address");
  if (url.protocol === "http:" && !plain) return refused("the URL must begin with https:");
  return { ok: true, url };
}

const refused = (reason: string): Target => ({ ok: false, reason });

/** Domains that the internet's names have no place for: each network, and each cloud, fills them with its own
 *  machines, among them those that give out its secrets. */
const LOCAL_DOMAINS = /(?:^|\.)(?:internal|local|localdomain|localhost|lan|intranet|home\.arpa)$/;

/** Whether a name can only be one of a local network's: it has no dot, or is in such a domain. */
function isLocalName(hostname: string): boolean {
  const bare = hostname.replace(/\.$/, "");
  return !bare.includes(".") || LOCAL_DOMAINS.test(bare);
}

/** The address that a host is without being resolved; `URL` has already brought its spelling into order. */
function literalOf(hostname: string): string | undefined {
  const bare = hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  if (bare === "localhost" || bare.endsWith(".localhost")) return "127.0.0.1";
  return isIP(bare) === 0 ? undefined : bare;
}

function isListed(text: string, allow: AllowList): boolean {
  const address = addressOf(text);
  return address !== undefined && isWithin(address, allow);
}

/** Undefined for what is not written as an address: the library would read some of it as one. It also
 *  takes `::8.8.8.8` for `::ffff:8.8.8.8`, so IPv6 goes through `URL`, which writes it without dots. */
function addressOf(text: string): Address | undefined {
  if (isIP(text) === 0) return undefined;
  const bare = text.split("%", 1).join("");
  const plain = bare.includes(":") ? URL.parse(`http://[${bare}]`)?.hostname.slice(1, -1) : bare;
  return plain === undefined ? undefined : unmapped(ipaddr.parse(plain));
}

const isWithin = (address: Address, allow: AllowList): boolean =>
  allow.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));

const isIsatap = ({ parts: [, , , , fifth, sixth] }: ipaddr.IPv6): boolean =>
  (fifth === 0 || fifth === 0x200) && sixth === 0x5efe;
