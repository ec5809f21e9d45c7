import { canonical, sha256 } from "./canonical.ts";
import { newSuffix, suffix } from "./suffix.ts";

/** The prefixes of wire ids, and, but for `evt`, `wait` and `req`, the kinds of streams. */
export type Prefix =
  | "ledger"
  | "workspace"
  | "api_key"
  | "workflow"
  | "run"
  | "job"
  | "job_run"
  | "endpoint"
  | "delivery"
  | "replay"
  | "schedule"
  | "artifact"
  | "bulk"
  | "refusal"
  | "evt"
  | "wait"
  | "req";

/** A new TypeID around a UUIDv7. */
export const newId = (prefix: Prefix): string => `${prefix}_${newSuffix()}`;

/** A TypeID around these 16 bytes. */
export const typeid = (prefix: Prefix, bytes: Uint8Array): string => `${prefix}_${suffix(bytes)}`;

/** The suffix alone: 26 digits of Crockford's base 32. */
export const suffixOf = (wireId: string): string => wireId.slice(wireId.lastIndexOf("_") + 1);

/** What a derived id is a function of. Only followers' scopes have a space in them. */
export type Derivation = {
  ledger: string;
  workspace: string;
  prefix: Prefix;
  scope: string;
  commandId: string;
  index: number;
};

/** A hash's first 16 bytes as a UUIDv8 (RFC 9562). */
export function uuidV8(digest: Uint8Array): Buffer {
  const bytes = Buffer.copyBytesFrom(digest, 0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes;
}

/** The 16 bytes of a derived id: the UUIDv8 of SHA-256(JCS([ledger, workspace, prefix, scope, commandId,
 *  index])). */
export function derivedBytes({ ledger, workspace, prefix, scope, commandId, index }: Derivation): Buffer {
  return uuidV8(sha256(canonical([ledger, workspace, prefix, scope, commandId, index])));
}

/** The same command in the same scope always makes the same id. */
export const derivedId = (from: Derivation): string => typeid(from.prefix, derivedBytes(from));

/** Ten letters and digits for an API key's id, out of 16 bytes. */
export function keyIdOf(bytes: Uint8Array): string {
  const number = BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  return (number % 36n ** 10n).toString(36).padStart(10, "0");
}

/** The stream behind a wire id: `run_01h…` is `run-01h…`. */
export function streamOf(wireId: string): string {
  const cut = wireId.lastIndexOf("_");
  return `${wireId.slice(0, cut)}-${wireId.slice(cut + 1)}`;
}

/** The wire id of a stream: `run-01h…` is `run_01h…`; a workspace's is its slug, an API key's its key id. */
export function wireIdOf(stream: string): string {
  const cut = stream.indexOf("-");
  const kind = stream.slice(0, cut);
  const suffix = stream.slice(cut + 1);
  return kind === "workspace" || kind === "api_key" ? suffix : `${kind}_${suffix}`;
}

/** The kind of a stream: what stands before its first dash. */
export const kindOf = (stream: string): string => stream.slice(0, stream.indexOf("-"));

const SUFFIX = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** Whether a text is a wire id of this prefix, as we would write it. */
export function isWireId(prefix: Prefix, text: string): boolean {
  return text.startsWith(`${prefix}_`) && SUFFIX.test(text.slice(prefix.length + 1));
}
