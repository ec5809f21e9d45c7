/** Headers that an endpoint's owner adds to every delivery, by their names in lower case. */
export type CustomHeaders = Readonly<Record<string, string>>;

export const HEADERS_MAX = 20;
/** Of all names and values together. */
export const HEADERS_BYTES_MAX = 4096;
const NAME_LENGTH_MAX = 128;

/** What the sender says itself, what belongs to the connection alone, and what would have a proxy or a
 *  cloud's own service believe that it was called by somebody else. */
const RESERVED_NAMES: ReadonlySet<string> = new Set([
  ...["host", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "http2-settings"],
  ...["expect", "user-agent", "accept-encoding", "date", "via", "forwarded", "x-real-ip", "metadata"],
  ...["metadata-flavor", "x-google-metadata-request"],
]);
const RESERVED_PREFIXES = [
  ...["content-", "webhook-", "ledger-", "svix-", "x-knock-", "proxy-", "x-forwarded-"],
  "x-aws-ec2-metadata-",
];

export const isReserved = (name: string): boolean => {
  const lower = name.toLowerCase();
  return RESERVED_NAMES.has(lower) || RESERVED_PREFIXES.some((prefix) => lower.startsWith(prefix));
};

/** A token of RFC 9110. */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Visible ASCII, with spaces and tabs between: nothing that could end a header, or be read in two ways. */
const VALUE = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/;
/** RFC 6750. */
const BEARER_TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

export const isHeaderName = (name: string): boolean => name.length <= NAME_LENGTH_MAX && NAME.test(name);
export const isHeaderValue = (value: string): boolean => VALUE.test(value);
export const isBearerToken = (token: string): boolean => BEARER_TOKEN.test(token);

export const sizeOf = (headers: CustomHeaders): number =>
  Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length, 0);

/** As the vault keeps them. */
export const formatCustomHeaders = (headers: CustomHeaders): string => JSON.stringify(headers);

/** What the vault keeps under an endpoint's `headersKeyId`. */
export function parseCustomHeaders(text: string): CustomHeaders {
  const parsed: unknown = JSON.parse(text);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(parsed ?? {})) headers[name] = String(value);
  return headers;
}
