/** What is signed is `<id>.<timestamp>.<body>`, the body being the very bytes on the wire. */
export type Content = { head: string; body: Uint8Array | string };

/** The versions of the signature: `v1` is HMAC-SHA256 with a shared secret, `v1a` Ed25519, whose public key
 *  anybody may have. */
export type Signing = "v1" | "v1a";

/** One version of the signature: how its secrets sign, and how what they signed is recognised. */
export type Scheme = {
  version: Signing;
  /** The signature alone, in standard base64. Throws InvalidSecret. */
  sign(secret: string, content: Content): string;
  /** Whether a signature is this secret's. What can be prepared is prepared once. Throws InvalidSecret. */
  checker(secret: string, content: Content): (signature: string) => boolean;
};

/** A secret that cannot sign. The message never repeats it. */
export class InvalidSecret extends Error {
  readonly code = "invalid_secret";
}

const STANDARD_BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The bytes of a text in standard base64 with its padding; undefined for anything else. */
export const bytesOf = (text: string): Buffer | undefined =>
  STANDARD_BASE64.test(text) ? Buffer.from(text, "base64") : undefined;

/** Stricter than most, who take anything: base64 that is not quite standard is read differently, or not at
 *  all, elsewhere. */
export function secretBytes(secret: string, prefix: string): Buffer {
  const bytes = bytesOf(secret.startsWith(prefix) ? secret.slice(prefix.length) : secret);
  if (!bytes) throw new InvalidSecret(`a secret is \`${prefix}\` and padded standard base64`);
  return bytes;
}

const KEYS_MAX = 1000;

/** Keeps prepared keys: preparing one takes longer than signing with it, and the same few sign again and
 *  again. */
export function preparing<Key>(prepare: (secret: string) => Key): (secret: string) => Key {
  const prepared = new Map<string, Key>();
  return (secret) => {
    const known = prepared.get(secret);
    if (known) return known;
    const key = prepare(secret);
    if (prepared.size >= KEYS_MAX) prepared.clear();
    prepared.set(secret, key);
    return key;
  };
}
