import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";

export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Nonce ‖ ciphertext ‖ tag: AES-256-GCM under a random nonce. `name` is authenticated with it, so that no
 *  entry can be passed off as another. */
export function seal(key: Uint8Array, name: string, plain: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(name));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** What was sealed under this key and name; undefined when it was not, or was changed. */
export function unseal(key: Uint8Array, name: string, sealed: Uint8Array): Buffer | undefined {
  if (sealed.byteLength < NONCE_BYTES + TAG_BYTES) return undefined;
  const tagAt = sealed.byteLength - TAG_BYTES;
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(name));
  decipher.setAuthTag(sealed.subarray(tagAt));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, tagAt)), decipher.final()]);
  } catch {
    return undefined; // The tag is wrong: decryption fails for no other reason.
  }
}

/** A code that only who has the key can make: for what is noted often, since random nonces must not run
 *  out. */
export function authenticate(key: Uint8Array, text: string): Buffer {
  const own = hkdfSync("sha256", key, "", "runledger vault authentication", KEY_BYTES);
  return createHmac("sha256", Buffer.from(own)).update(text).digest();
}

export const isAuthentic = (key: Uint8Array, text: string, code: Uint8Array): boolean =>
  code.byteLength === KEY_BYTES && timingSafeEqual(authenticate(key, text), code);
