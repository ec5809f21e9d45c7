import { createHash, hash, randomFillSync } from "node:crypto";
import type { Actor, NewEvent } from "../domain/event.ts";

/** JSON Canonicalization Scheme, RFC 8785. Hot: tested against the `canonicalize` package.
 *  Throws TypeError for what JSON cannot hold. */
export function canonical(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError(`${value} is not JSON`);
    return JSON.stringify(value); // Number::toString is what RFC 8785 asks for, and -0 is written as 0.
  }
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return canonicalArray(value);
  if (typeof value === "object") return canonicalObject(value as Record<string, unknown>);
  throw new TypeError(`${typeof value} is not JSON`);
}

function canonicalArray(values: readonly unknown[]): string {
  let text = "[";
  for (let index = 0; index < values.length; index++) {
    if (index > 0) text += ",";
    text += canonical(values[index]);
  }
  return `${text}]`;
}

function canonicalObject(value: Record<string, unknown>): string {
  const names = sorted(Object.keys(value));
  let text = "{";
  for (const name of names) {
    const member = value[name];
    if (member === undefined) continue;
    text += `${text.length > 1 ? "," : ""}${JSON.stringify(name)}:${canonical(member)}`;
  }
  return `${text}}`;
}

/** Few names are put in order by hand: that takes half as long, and most objects have few. */
const FEW = 16;

/** By UTF-16 code units, as RFC 8785 §3.2.3 says. */
function sorted(names: string[]): string[] {
  if (names.length > FEW) return names.sort();
  for (let index = 1; index < names.length; index++) {
    const name = names[index] as string; // The index is that of a name.
    let to = index;
    for (; to > 0 && (names[to - 1] as string) > name; to--) names[to] = names[to - 1] as string;
    names[to] = name;
  }
  return names;
}

const SALT_BYTES = 16;
const pool = Buffer.allocUnsafe(8192);
let poolUsed = pool.length;

/** 16 random bytes, from a pool: a call to the system for each would cost more than the hash. */
function salt(): Buffer {
  if (poolUsed === pool.length) {
    randomFillSync(pool);
    poolUsed = 0;
  }
  poolUsed += SALT_BYTES;
  return Buffer.copyBytesFrom(pool, poolUsed - SALT_BYTES, SALT_BYTES);
}

const scratch = Buffer.allocUnsafe(64 * 1024);

/** SHA-256(salt ‖ UTF-8 of `text`), 64 lower-case hex digits. */
export function saltedHash(saltBytes: Uint8Array, text: string): string {
  if (text.length * 3 + saltBytes.length > scratch.length) {
    return createHash("sha256").update(saltBytes).update(text).digest("hex");
  }
  scratch.set(saltBytes, 0);
  const end = saltBytes.length + scratch.write(text, saltBytes.length, "utf8");
  return hash("sha256", scratch.subarray(0, end), "hex");
}

/** What a command id stood for: hashed into the event, so that another command under the same id is told
 *  apart. */
export type CommandShape = { operation: string; target: string; item: unknown; index: number; count: number };

/** SHA-256(salt ‖ JCS([operation, target, item, index, count])). */
export function commandHash(saltBytes: Uint8Array, command: CommandShape): string {
  const { operation, target, item, index, count } = command;
  return saltedHash(saltBytes, canonical([operation, target, item, index, count]));
}

/** An event before it is sealed; `data` and `content` are canonical JSON. */
export type Draft = {
  id: string;
  stream: string;
  revision: number;
  type: string;
  data: string;
  content?: string;
  v: number;
  workspace: string | null;
  actor: Actor;
  correlationId: string | null;
  causationId: string | null;
  requestId: string | null;
  at: string;
  recordedAt: string;
  prev: string | null;
  command?: CommandShape;
};

/** Words that need no escaping inside JSON: nearly all that stands in a leaf. */
const PLAIN = /^[\w .:@/+-]*$/;
const quoted = (text: string): string => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text));
const orNull = (text: string | null): string => (text === null ? "null" : quoted(text));

/** JCS of a leaf's `meta`, written out because its shape never changes. */
export function encodeMeta(meta: NewEvent["meta"]): string {
  return (
    `{"actor":{"id":${quoted(meta.actor.id)},"type":"${meta.actor.type}"},"at":"${meta.at}",` +
    `"causationId":${orNull(meta.causationId)},"commandHash":${orNull(meta.commandHash)},` +
    `"contentHash":${orNull(meta.contentHash)},"correlationId":${orNull(meta.correlationId)},` +
    `"dataHash":"${meta.dataHash}","prev":${orNull(meta.prev)},"recordedAt":"${meta.recordedAt}",` +
    `"requestId":${orNull(meta.requestId)},"v":${meta.v},"workspace":${orNull(meta.workspace)}}`
  );
}

const LEAF_BYTES_MAX = 4096;

/** Leaf v1: the canonical JSON that stands for an event in every proof. No position, so that it survives a
 *  migration. */
export function encodeLeaf(
  ledger: string,
  event: { id: string; stream: string; revision: number; type: string; metaJson: string },
): string {
  const leaf =
    `{"format":1,"id":"${event.id}","ledger":"${ledger}","meta":${event.metaJson},` +
    `"revision":${event.revision},"stream":"${event.stream}","type":"${event.type}"}`;
  if (leaf.length > LEAF_BYTES_MAX / 3 && Buffer.byteLength(leaf) > LEAF_BYTES_MAX)
    throw new RangeError(`a leaf has at most ${LEAF_BYTES_MAX} bytes`);
  return leaf;
}

/** SHA-256's raw bytes. Through a string into a pooled buffer: a buffer of its own for each takes three times
 *  as long, and is work for the collector. */
export const sha256 = (data: string | Uint8Array): Buffer =>
  Buffer.from(hash("sha256", data, "binary"), "binary");

/** SHA-256(0x00 ‖ leaf), RFC 6962's leaf hash; 32 raw bytes. */
export const leafHash = (leaf: string): Buffer => sha256(`\0${leaf}`);

const pair = Buffer.alloc(64);

/** digestₙ = SHA-256(digestₙ₋₁ ‖ leaf hash of event n), raw bytes; digest₀ is 32 zero bytes. */
export function nextDigest(digest: Uint8Array, leaf: Uint8Array): Buffer {
  pair.set(digest, 0);
  pair.set(leaf, 32);
  return sha256(pair);
}

/** Salts, hashes and chains an event: nothing about it changes afterwards. */
export function seal(ledger: string, draft: Draft): NewEvent {
  const { id, stream, revision, type, data, content, command } = draft;
  const dataSalt = salt();
  const contentSalt = content === undefined ? undefined : salt();
  const meta = {
    v: draft.v,
    workspace: draft.workspace,
    actor: draft.actor,
    correlationId: draft.correlationId,
    causationId: draft.causationId,
    requestId: draft.requestId,
    at: draft.at,
    recordedAt: draft.recordedAt,
    prev: draft.prev,
    dataHash: saltedHash(dataSalt, data),
    contentHash: content === undefined || !contentSalt ? null : saltedHash(contentSalt, content),
    commandHash: command === undefined ? null : commandHash(contentSalt ?? dataSalt, command),
  };
  const metaJson = encodeMeta(meta);
  const leaf = leafHash(encodeLeaf(ledger, { id, stream, revision, type, metaJson }));
  const sealed = { id, stream, revision, type, data, meta, dataSalt, leaf, metaJson };
  return content === undefined || !contentSalt ? sealed : { ...sealed, content, contentSalt };
}
