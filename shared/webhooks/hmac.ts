import { createHmac, createSecretKey, timingSafeEqual } from "node:crypto";
import { type Content, InvalidSecret, preparing, type Scheme, secretBytes } from "./scheme.ts";

/** A shared secret: with it one can verify, and sign. */
export const SECRET_PREFIX = "whsec_";
const BYTES_MIN = 24;
const BYTES_MAX = 64;

/** A key that is too short is weak; the longest is that of the specification. */
const keyOf = preparing((secret) => {
  const key = secretBytes(secret, SECRET_PREFIX);
  if (key.length < BYTES_MIN || key.length > BYTES_MAX)
    throw new InvalidSecret(`a secret has ${BYTES_MIN} to ${BYTES_MAX} bytes, not ${key.length}`);
  return createSecretKey(key);
});

/** `v1`: HMAC-SHA256. A secret may lack its prefix: some people keep them so. */
export const v1: Scheme = {
  version: "v1",
  sign: (secret, { head, body }: Content) =>
    createHmac("sha256", keyOf(secret)).update(head).update(body).digest("base64"),
  checker(secret, content) {
    const expected = Buffer.from(v1.sign(secret, content));
    return (signature) => {
      const received = Buffer.from(signature);
      return received.length === expected.length && timingSafeEqual(received, expected);
    };
  },
};
