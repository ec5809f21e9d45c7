import { randomBytes } from "node:crypto";
import {
  formatPublicKey,
  generatePrivateKey,
  PRIVATE_PREFIX,
  PUBLIC_PREFIX,
  publicBytesOf,
  v1a,
  wholePrivateKey,
} from "./ed25519.ts";
import { SECRET_PREFIX, v1 } from "./hmac.ts";
import { InvalidSecret, type Scheme, type Signing } from "./scheme.ts";

export { InvalidSecret } from "./scheme.ts";

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
const TOLERANCE_SECONDS = 300;
/** More than any sender has secrets; verifying is work, and anybody can send a long header. */
const ENTRIES_MAX = 64;

/** A new secret: `whsec_` and the standard base64 of 32 random bytes, or a private key, `whsk_`. */
export const generateSecret = (signing: Signing = "v1"): string =>
  signing === "v1a" ? generatePrivateKey() : SECRET_PREFIX + randomBytes(SECRET_BYTES).toString("base64");

/** A secret that somebody brings to sign with, as it is kept, and which signatures it makes. It has its
 *  prefix. Throws InvalidSecret. */
export function parseSecret(text: string): { signing: Signing; secret: string } {
  const secret = text.trim();
  if (!secret.startsWith(SECRET_PREFIX) && !secret.startsWith(PRIVATE_PREFIX))
    throw new InvalidSecret(`a secret begins with \`${SECRET_PREFIX}\` or \`${PRIVATE_PREFIX}\``);
  const { version: signing, sign: signWith } = schemeOf(secret);
  signWith(secret, { head: "", body: "" });
  return { signing, secret: signing === "v1a" ? wholePrivateKey(secret) : secret };
}

export const signingOf = (secret: string): Signing => schemeOf(secret.trim()).version;

/** The public key that verifies what a private key signs, as `whpk_…`; null for a shared secret, which has
 *  none. Throws InvalidSecret. */
export const publicKeyOf = (secret: string): string | null =>
  signingOf(secret) === "v1a" ? formatPublicKey(publicBytesOf(secret.trim())) : null;

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
  const entries = secrets.map((text) => {
    const secret = text.trim();
    const { version, sign: signWith } = schemeOf(secret);
    return `${version},${signWith(secret, content)}`;
  });
  return entries.join(" ");
}

/** Whether one of the secrets, shared, private or public, signed this, and lately: the timestamp may be 300
 *  seconds away from `nowSeconds`, either way. Entries of versions that we do not know are skipped. Whoever
 *  receives it twice knows it by its id. Throws InvalidSecret. */
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
  const checkers = secrets.map((text) => {
    const secret = text.trim();
    const { version, checker } = schemeOf(secret);
    return { version, isSignature: checker(secret, content) };
  });
  const matches = entriesIn(signature).some(([version, text]) =>
    checkers.some((each) => each.version === version && each.isSignature(text)),
  );
  return matches ? { ok: true } : { ok: false, reason: "no_match" };
}

/** A proxy that joins two headers puts `, ` between them: what comes after an entry's second comma is
 *  dropped. */
const entriesIn = (signature: string): [version: string, text: string][] =>
  signature
    .split(" ", ENTRIES_MAX)
    .map((entry) => entry.split(",", 2))
    .map(([version = "", text = ""]) => [version, text]);

const schemeOf = (secret: string): Scheme =>
  secret.startsWith(PRIVATE_PREFIX) || secret.startsWith(PUBLIC_PREFIX) ? v1a : v1;
