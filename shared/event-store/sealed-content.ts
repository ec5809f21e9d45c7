import { createCipheriv, createDecipheriv, createSecretKey, randomFillSync } from "node:crypto";
import type { JsonObject } from "../domain/event.ts";
import { readJson } from "../verification/read-json.ts";
import type { Erasure } from "./moved-event.ts";

/** Where the keys are under which content is sealed: one for each stream, 32 random bytes. */
export interface StreamKeys {
  /** The stream's key. It is made where there is none, and durable when this resolves. Where the stream's
   *  content was erased there is none ever after: why. */
  keyOf(stream: string): Promise<Buffer | Erasure>;
  /** Those of these streams' keys that there are, looked up together. A key that was removed stays removed:
   *  what was sealed under it is erased. */
  find(streams: readonly string[]): Promise<Map<string, Buffer>>;
  /** Their keys are gone for good when this resolves, and why is kept in their places. */
  erase(streams: readonly string[], erasure: Erasure): Promise<void>;
  /** Why a stream's key is gone; undefined where nobody erased it. */
  erasureOf(stream: string): Promise<Erasure | undefined>;
}

/** The keys that there are, for who only reads. */
export type StreamKeyReader = Pick<StreamKeys, "find" | "erasureOf">;

/** Where content stands. Sealed content cannot be put anywhere else. */
export type Place = { ledger: string; stream: string; revision: number };

/** What was written, and the salt in its hash. */
export type SaltedContent = { content: JsonObject; contentSalt: Buffer };

export const KEY_BYTES = 32;
const CIPHER = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** JCS of [ledger, stream, revision]. */
const nameOf = ({ ledger, stream, revision }: Place): Buffer =>
  Buffer.from(`["${ledger}",${JSON.stringify(stream)},${revision}]`);

/** JCS of `{content, salt}`, out of content that is canonical JSON already. */
export const saltedText = (content: string, salt: Uint8Array): string =>
  `{"content":${content},"salt":"${Buffer.from(salt).toString("hex")}"}`;

const pool = Buffer.allocUnsafe(NONCE_BYTES * 512);
let poolUsed = pool.length;

/** Random bytes from a pool: a call to the system for each would cost more than the sealing. */
function nonce(): Buffer {
  if (poolUsed === pool.length) {
    randomFillSync(pool);
    poolUsed = 0;
  }
  poolUsed += NONCE_BYTES;
  return Buffer.copyBytesFrom(pool, poolUsed - NONCE_BYTES, NONCE_BYTES);
}

/** Nonce ‖ ciphertext ‖ tag: AES-256-GCM under a random nonce, bound to the place. */
export function sealText(key: Uint8Array, place: Place, text: string): Buffer {
  const used = nonce();
  // As a key object: Node takes three times as long where it is given bytes.
  const cipher = createCipheriv(CIPHER, createSecretKey(key), used, { authTagLength: TAG_BYTES });
  cipher.setAAD(nameOf(place));
  return Buffer.concat([used, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
}

/** What was sealed under this key at this place; throws where it was not, or was changed. */
export function openText(key: Uint8Array, place: Place, sealed: Uint8Array): string {
  const tagAt = sealed.byteLength - TAG_BYTES;
  if (tagAt < NONCE_BYTES) throw new RangeError("its sealed content is cut off");
  const decipher = createDecipheriv(CIPHER, createSecretKey(key), sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(nameOf(place));
  decipher.setAuthTag(sealed.subarray(tagAt));
  const plain = decipher.update(sealed.subarray(NONCE_BYTES, tagAt));
  try {
    return Buffer.concat([plain, decipher.final()]).toString("utf8");
  } catch (error) {
    throw new RangeError("its content was not sealed here, or was changed", { cause: error });
  }
}

/** The reverse of `saltedText`. */
export function readSalted(text: string): SaltedContent {
  const { content, salt } = readJson(text) as { content?: JsonObject; salt?: string };
  if (typeof content !== "object" || content === null || typeof salt !== "string")
    throw new TypeError("its body is not content and salt");
  return { content, contentSalt: Buffer.from(salt, "hex") };
}
