import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

// Standard Webhooks 1.0.0: what is signed is `id.timestamp.body`, byte for byte as it goes over the wire.

const PREFIX = "whsec_";
const SECRET_BYTES = { min: 24, max: 64, made: 32 };
const VERSION = "v1";
/** Seconds that a message may be old, or ahead. */
export const TOLERANCE_SECONDS = 300;

/** A message or a secret that is not what it says it is. */
export class InvalidWebhook extends Error {
  readonly code:
    | "missing_header"
    | "invalid_timestamp"
    | "too_old"
    | "too_new"
    | "no_match"
    | "invalid_secret";
  constructor(code: InvalidWebhook["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** A new signing secret: `whsec_` and 32 random bytes in padded standard base64. */
export const generateSecret = (): string => PREFIX + randomBytes(SECRET_BYTES.made).toString("base64");

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** The key behind a secret. Refuses what is not standard base64 of 24 to 64 bytes. */
function keyOf(secret: string): Buffer {
  const trimmed = secret.trim();
  const text = trimmed.startsWith(PREFIX) ? trimmed.slice(PREFIX.length) : trimmed;
  const key = Buffer.from(text, "base64");
  if (!BASE64.test(text) || key.length < SECRET_BYTES.min || key.length > SECRET_BYTES.max) {
    throw new InvalidWebhook("invalid_secret", "a signing secret is whsec_ and base64 of 24 to 64 bytes");
  }
  return key;
}

type Bytes = Uint8Array | string;

const hmac = (key: Buffer, id: string, timestamp: string, body: Bytes): Buffer =>
  createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();

/** The header `webhook-signature`: one entry for each secret, separated by spaces, the current secret's first.
 *  `timestampSeconds` is that of this attempt, in Unix seconds. */
export function sign(secrets: readonly string[], id: string, timestampSeconds: number, body: Bytes): string {
  if (id.includes(".")) throw new RangeError("a webhook's id has no full stop in it");
  return secrets
    .map((secret) => `${VERSION},${hmac(keyOf(secret), id, `${timestampSeconds}`, body).toString("base64")}`)
    .join(" ");
}

export type SignedHeaders = {
  "webhook-id"?: string | undefined;
  "webhook-timestamp"?: string | undefined;
  "webhook-signature"?: string | undefined;
};

/** Throws InvalidWebhook unless one of the secrets signed exactly these bytes, lately. Entries of versions that are not known
 *  are skipped, so that a sender can add one. */
export function verify(
  secrets: readonly string[],
  headers: SignedHeaders,
  body: Bytes,
  options: { nowMs: number; toleranceSeconds?: number },
): void {
  const id = headers["webhook-id"];
  const timestamp = headers["webhook-timestamp"];
  const signature = headers["webhook-signature"];
  if (!id || !timestamp || !signature)
    throw new InvalidWebhook("missing_header", "a webhook has three headers");
  if (!/^\d{1,12}$/.test(timestamp))
    throw new InvalidWebhook("invalid_timestamp", "the timestamp is not Unix seconds");
  const ageSeconds = Math.floor(options.nowMs / 1000) - Number(timestamp);
  const tolerance = options.toleranceSeconds ?? TOLERANCE_SECONDS;
  if (ageSeconds > tolerance) throw new InvalidWebhook("too_old", `the message is ${ageSeconds} seconds old`);
  if (ageSeconds < -tolerance)
    throw new InvalidWebhook("too_new", `the message is ${-ageSeconds} seconds ahead`);
  const presented = signature.split(/[\s,]*(?:\s|$)/).flatMap(entryOf);
  for (const secret of secrets) {
    const expected = hmac(keyOf(secret), id, timestamp, body);
    if (presented.some((given) => given.length === expected.length && timingSafeEqual(given, expected)))
      return;
  }
  throw new InvalidWebhook("no_match", "no signature is one of ours");
}

/** The bytes of one entry; nothing for another version, or for what is not standard base64. */
function entryOf(entry: string): Buffer[] {
  const cut = entry.indexOf(",");
  const text = entry.slice(cut + 1);
  if (entry.slice(0, cut) !== VERSION || !BASE64.test(text)) return [];
  return [Buffer.from(text, "base64")];
}
