import { generateKeyPairSync, sign } from "node:crypto";

/** A certificate with its key, both as PEM. */
export type Certificate = { key: string; cert: string };

/** A certificate that vouches for itself, for a name and a time: byte by byte as X.509 has it, so that no
 *  program has to be installed to make one that has run out. */
export function certificateFor(name: string, from: Date, until: Date): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const commonName = der(SET, sequence(oid("550403"), utf8(name)));
  const issuer = sequence(commonName);
  const alternative = sequence(der(0x82, Buffer.from(name)));
  const extensions = sequence(
    sequence(oid("551d11"), der(OCTETS, alternative)),
    sequence(oid("551d13"), der(OCTETS, sequence(der(0x01, Buffer.of(0xff))))), // It is its own authority.
  );
  const signed = sequence(
    der(0xa0, der(INTEGER, Buffer.of(2))),
    der(INTEGER, Buffer.of(1)),
    ecdsaWithSha256,
    issuer,
    sequence(time(from), time(until)),
    issuer,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, extensions),
  );
  const signature = der(0x03, Buffer.of(0), sign("sha256", signed, privateKey));
  const body = sequence(signed, ecdsaWithSha256, signature).toString("base64");
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${body.match(/.{1,64}/g)?.join("\n")}\n-----END CERTIFICATE-----\n`,
  };
}

const INTEGER = 0x02;
const OCTETS = 0x04;
const SEQUENCE = 0x30;
const SET = 0x31;

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), body]);
  return Buffer.concat([Buffer.of(tag, 0x82, length >> 8, length & 0xff), body]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(SEQUENCE, ...parts);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, "hex"));
const utf8 = (text: string): Buffer => der(0x0c, Buffer.from(text));
/** GeneralizedTime, to the second. */
const time = (at: Date): Buffer =>
  der(0x18, Buffer.from(`${at.toISOString().replace(/\D/g, "").slice(0, 14)}Z`));
const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"));
