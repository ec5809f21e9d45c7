import { createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from "node:crypto";

/** One version of the signature: what its secrets look like, and how they sign. Another version joins the
 *  list below. */
type Scheme = { version: string; prefix: string; sign(secret: string, content: Content): string };

/** What is signed is `<id>.<timestamp>.<body>`, the body being the very bytes on the wire. */
type Content = { head: string; body: Uint8Array | string };

/** The headers `webhook-id`, `webhook-timestamp` and `webhook-signature` as they arrived. */
export type ReceivedHeaders = {
  id: string | undefined;
  timestamp: string | undefined;
  signature: string | undefined;
};

export type Verification =
  | { ok: true }
  | {
      ok: false;
      reason: "header_missing" | "timestamp_invalid" | "timestamp_too_old" | "timestamp_too_new" | "no_match";
    };

const SECRET_BYTES = 32;
const SECRET_BYTES_MIN = 24;
const SECRET_BYTES_MAX = 64;
const TOLERANCE_SECONDS = 300;
const STANDARD_BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Preparing a key takes three times as long as signing with it, and the same few sign again and again. */
const keys = new Map<string, KeyObject>();
const KEYS_MAX = 1000;

const v1: Scheme = {
  version: "v1",
  prefix: "whsec_",
  sign: (secret, { head, body }) =>
    createHmac("sha256", keyOf(secret)).update(head).update(body).digest("base64"),
};
const schemes: readonly Scheme[] = [v1];

/** A secret that cannot sign. The message never repeats it. */
export class InvalidSecret extends Error {
  readonly code = "invalid_secret";
}

/** A new secret: `whsec_` and the standard base64 of 32 random bytes. */
export const generateSecret = (): string => `${v1.prefix}${randomBytes(SECRET_BYTES).toString("base64")}`;

/** The value of `webhook-signature`: one entry for each secret, the current one's first. The id says which
 *  delivery it is, the timestamp, in Unix seconds, when this attempt was made. Throws InvalidSecret. */
export function sign(
  secrets: readonly string[],
  id: string,
  timestampSeconds: number,
  body: Uint8Array | string,
): string {
  if (secrets.length === 0) throw new InvalidSecret("signing needs at least one secret");
  if (!/^[^.\s]+$/.test(id)) throw new RangeError(`a webhook id has neither dots nor spaces: ${id}`);
  if (!Number.isSafeInteger(timestampSeconds) || timestampSeconds < 0)
    throw new RangeError(`a timestamp is whole seconds: ${timestampSeconds}`);
  const content = { head: `${id}.${timestampSeconds}.`, body };
  return secrets.map((secret) => entry(secret, content)).join(" ");
}

/** Whether one of the secrets signed this, and lately: the timestamp may be 300 seconds away from
 *  `nowSeconds`, either way. Entries of versions that we do not know are skipped. Whoever receives it
 *  twice knows it by its id. Throws InvalidSecret. */
export function verify(
  secrets: readonly string[],
  { id, timestamp, signature }: ReceivedHeaders,
  body: Uint8Array | string,
  { nowSeconds, toleranceSeconds = TOLERANCE_SECONDS }: { nowSeconds: number; toleranceSeconds?: number },
): Verification {
  if (!id || !timestamp || !signature) return { ok: false, reason: "header_missing" };
  if (!/^(0|[1-9]\d{0,14})$/.test(timestamp)) return { ok: false, reason: "timestamp_invalid" };
  const aheadSeconds = Number(timestamp) - Math.floor(nowSeconds);
  if (aheadSeconds < -toleranceSeconds) return { ok: false, reason: "timestamp_too_old" };
  if (aheadSeconds > toleranceSeconds) return { ok: false, reason: "timestamp_too_new" };

  const content = { head: `${id}.${timestamp}.`, body };
  const expected = secrets.map((secret) => entry(secret, content));
  // A proxy that joins two headers puts `, ` between them: what comes after an entry's second comma is
  // dropped.
  const received = signature.split(" ").map((text) => text.split(",", 2).join(","));
  const matches = received.some((text) => expected.some((own) => isEqual(own, text)));
  return matches ? { ok: true } : { ok: false, reason: "no_match" };
}

function entry(secret: string, content: Content): string {
  const trimmed = secret.trim();
  // A secret without a prefix is one of the first version's: some people keep them so.
  const { version, sign: signWith } = schemes.find(({ prefix }) => trimmed.startsWith(prefix)) ?? v1;
  return `${version},${signWith(trimmed, content)}`;
}

/** Stricter than most, who take anything: a key that is too short is weak, and base64 that is not quite
 *  standard is read differently, or not at all, elsewhere. */
function keyOf(secret: string): KeyObject {
  const known = keys.get(secret);
  if (known) return known;
  const text = secret.startsWith(v1.prefix) ? secret.slice(v1.prefix.length) : secret;
  if (!STANDARD_BASE64.test(text)) throw new InvalidSecret("a secret is `whsec_` and padded standard base64");
  const key = Buffer.from(text, "base64");
  if (key.length < SECRET_BYTES_MIN || key.length > SECRET_BYTES_MAX)
    throw new InvalidSecret(`a secret has 24 to 64 bytes, not ${key.length}`);
  if (keys.size >= KEYS_MAX) keys.clear();
  const prepared = createSecretKey(key);
  keys.set(secret, prepared);
  return prepared;
}

function isEqual(expected: string, received: string): boolean {
  const one = Buffer.from(expected);
  const other = Buffer.from(received);
  return one.length === other.length && timingSafeEqual(one, other);
}
