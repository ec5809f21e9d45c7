import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signBytes,
  verify as verifyBytes,
} from "node:crypto";
import { bytesOf, type Content, InvalidSecret, preparing, type Scheme, secretBytes } from "./scheme.ts";

/** A private key: seed and public key, 64 bytes; a seed alone is taken too. */
export const PRIVATE_PREFIX = "whsk_";
/** Its public key, 32 bytes: with it one can verify, and not sign. */
export const PUBLIC_PREFIX = "whpk_";
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

// What stands before a raw key where Node reads it (RFC 8410): PKCS #8 and SPKI in DER.
const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_HEAD = Buffer.from("302a300506032b6570032100", "hex");

type Keys = {
  /** Absent where only the public one is known. */
  private?: KeyObject;
  public: KeyObject;
  publicBytes: Buffer;
};

const publicKeyOf = (bytes: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([SPKI_HEAD, bytes]), format: "der", type: "spki" });

const rawPublicKey = (key: KeyObject): Buffer =>
  key.export({ format: "der", type: "spki" }).subarray(SPKI_HEAD.length);

const keysOf = preparing((secret): Keys => {
  if (secret.startsWith(PUBLIC_PREFIX)) {
    const publicBytes = secretBytes(secret, PUBLIC_PREFIX);
    if (publicBytes.length !== KEY_BYTES)
      throw new InvalidSecret(`a public key has ${KEY_BYTES} bytes, not ${publicBytes.length}`);
    return { public: publicKeyOf(publicBytes), publicBytes };
  }
  const bytes = secretBytes(secret, PRIVATE_PREFIX);
  if (bytes.length !== KEY_BYTES && bytes.length !== 2 * KEY_BYTES)
    throw new InvalidSecret(`a private key has ${2 * KEY_BYTES} bytes, not ${bytes.length}`);
  const der = Buffer.concat([PKCS8_HEAD, bytes.subarray(0, KEY_BYTES)]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const publicBytes = rawPublicKey(createPublicKey(key));
  // A public key that is not its own would be published, and verify nothing.
  if (bytes.length === 2 * KEY_BYTES && !bytes.subarray(KEY_BYTES).equals(publicBytes))
    throw new InvalidSecret("the two halves of a private key do not belong together");
  return { private: key, public: publicKeyOf(publicBytes), publicBytes };
});

const whole = ({ head, body }: Content): Buffer =>
  Buffer.concat([Buffer.from(head), typeof body === "string" ? Buffer.from(body) : body]);

/** `v1a`: Ed25519. Who only verifies needs the public key alone. */
export const v1a: Scheme = {
  version: "v1a",
  sign(secret, content) {
    const { private: key } = keysOf(secret);
    if (!key) throw new InvalidSecret("a public key cannot sign");
    return signBytes(null, whole(content), key).toString("base64");
  },
  checker(secret, content) {
    const { public: key } = keysOf(secret);
    const signed = whole(content);
    return (signature) => {
      const bytes = bytesOf(signature);
      return bytes?.length === SIGNATURE_BYTES && verifyBytes(null, signed, key, bytes);
    };
  },
};

/** A new private key, `whsk_` and 64 bytes. */
export function generatePrivateKey(): string {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(PKCS8_HEAD.length);
  return formatPrivateKey(seed, rawPublicKey(publicKey));
}

const formatPrivateKey = (seed: Uint8Array, publicBytes: Uint8Array): string =>
  PRIVATE_PREFIX + Buffer.concat([seed, publicBytes]).toString("base64");

/** A private key as it is kept: with its public half. */
export function wholePrivateKey(secret: string): string {
  const seed = secretBytes(secret, PRIVATE_PREFIX).subarray(0, KEY_BYTES);
  return formatPrivateKey(seed, keysOf(secret).publicBytes);
}

/** The 32 bytes of the public key that verifies what this key signs. */
export const publicBytesOf = (secret: string): Buffer => Buffer.from(keysOf(secret).publicBytes);

export const formatPublicKey = (bytes: Uint8Array): string =>
  PUBLIC_PREFIX + Buffer.from(bytes).toString("base64");
