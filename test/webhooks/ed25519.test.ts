import { generateKeyPairSync, verify as verifyBytes } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { describe, expect, it } from "vitest";
import {
  generateSecret,
  InvalidSecret,
  parseSecret,
  publicKeyOf,
  sign,
  signingOf,
  verify,
} from "../../shared/webhooks/signature.ts";

const secretKey =
  "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const publicKey = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const shared = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const at = 1614265330;
const body = '{"test": 2432232314}';
const signature =
  "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
const seedOnly = `whsk_${Buffer.from(secretKey.slice(5), "base64").subarray(0, 32).toString("base64")}`;

const verified = (secrets: readonly string[], entries: string, text: Uint8Array | string = body) =>
  verify(secrets, { id, timestamp: `${at}`, signature: entries }, text, { nowSeconds: at });
const ok = { ok: true };
const noMatch = { ok: false, reason: "no_match" };

describe("a private key", () => {
  it("signs the same with its public half and without", () => {
    expect(sign([seedOnly], id, at, body)).toBe(signature);
    expect(sign([`${secretKey}\n`], id, at, body)).toBe(signature);
  });

  it("has the public key that was published with it, and a shared secret has none", () => {
    expect([secretKey, seedOnly, publicKey, `${secretKey} `].map(publicKeyOf)).toEqual(
      Array(4).fill(publicKey),
    );
    expect(publicKeyOf(shared)).toBeNull();
    expect([secretKey, publicKey, shared].map(signingOf)).toEqual(["v1a", "v1a", "v1"]);
  });

  it("is generated with both halves, and is never the same twice", () => {
    const made = generateSecret("v1a");
    expect(made).toMatch(/^whsk_[A-Za-z0-9+/]{86}==$/);
    expect(generateSecret("v1a")).not.toBe(made);
    expect(parseSecret(made)).toEqual({ signing: "v1a", secret: made });
    expect(verified([publicKeyOf(made) ?? ""], sign([made], id, at, body))).toEqual(ok);
  });

  it("may be anybody's: keys and signatures are those of Ed25519", () => {
    const { privateKey, publicKey: spki } = generateKeyPairSync("ed25519");
    const seed = Buffer.from(privateKey.export({ format: "jwk" }).d ?? "", "base64url");
    const [, text = ""] = sign([`whsk_${seed.toString("base64")}`], id, at, body).split(",");
    const signed = Buffer.from(`${id}.${at}.${body}`);
    expect(verifyBytes(null, signed, spki, Buffer.from(text, "base64"))).toBe(true);
  });

  it.each([
    ["with 31 bytes", `whsk_${Buffer.alloc(31, 7).toString("base64")}`],
    ["with 63 bytes", `whsk_${Buffer.alloc(63, 7).toString("base64")}`],
    ["that is empty", "whsk_"],
    ["without its padding", secretKey.replaceAll("=", "")],
    ["in base64url", secretKey.replaceAll("/", "_")],
    ["in hex", `whsk_${Buffer.from(secretKey.slice(5), "base64").toString("hex")}`],
    ["with the public half of another", `whsk_${Buffer.alloc(64, 7).toString("base64")}`],
    ["with a line break inside", `${secretKey.slice(0, 20)}\n${secretKey.slice(20)}`],
  ])("%s is refused, and is not repeated in the message", (_name, wrong) => {
    expect(() => sign([wrong], id, at, body)).toThrow(InvalidSecret);
    expect(() => verified([wrong], signature)).toThrow(InvalidSecret);
    expect(() => parseSecret(wrong)).toThrow(InvalidSecret);
    if (wrong.length > 8) expect(() => sign([wrong], id, at, body)).not.toThrow(wrong.slice(8));
  });
});

describe("a public key", () => {
  it("verifies, and does not sign", () => {
    expect(verified([publicKey], signature)).toEqual(ok);
    expect(() => sign([publicKey], id, at, body)).toThrow("a public key cannot sign");
    expect(() => parseSecret(publicKey)).toThrow("begins with");
  });

  it.each([31, 33, 64])("of %i bytes is refused", (count) => {
    const wrong = `whpk_${Buffer.alloc(count, 7).toString("base64")}`;
    expect(() => verified([wrong], signature)).toThrow(InvalidSecret);
  });

  it("verifies nothing of another body, id, time or key", () => {
    const other = publicKeyOf(generateSecret("v1a")) ?? "";
    expect(verified([publicKey], signature, `${body} `)).toEqual(noMatch);
    expect(verified([other], signature)).toEqual(noMatch);
    const elsewhere = { id: "msg_other", timestamp: `${at}`, signature };
    expect(verify([publicKey], elsewhere, body, { nowSeconds: at })).toEqual(noMatch);
    const later = { id, timestamp: `${at + 1}`, signature };
    expect(verify([publicKey], later, body, { nowSeconds: at })).toEqual(noMatch);
  });

  it.each([
    ["an empty signature", "v1a,"],
    ["one that was cut", signature.slice(0, 12)],
    ["one with a byte more", `v1a,${Buffer.alloc(65).toString("base64")}`],
    ["one of zeros", `v1a,${Buffer.alloc(64).toString("base64")}`],
    ["base64url", signature.replaceAll("+", "-").replaceAll("/", "_")],
    ["one without its padding", signature.replaceAll("=", "")],
    ["the other version's name before it", signature.replace("v1a", "v1")],
    ["an unknown version's", signature.replace("v1a", "v2")],
    ["no version", signature.slice(4)],
  ])("refuses %s", (_name, wrong) => expect(verified([publicKey], wrong)).toEqual(noMatch));

  it("reads bytes that are no text as the bytes they are", () => {
    const raw = Uint8Array.of(0xff, 0x00, 0xfe);
    expect(verified([publicKey], sign([secretKey], id, at, raw), raw)).toEqual(ok);
  });
});

describe("secrets of both versions", () => {
  const both = sign([secretKey, shared], id, at, body);

  it("sign one entry each, the current one's first", () => {
    expect(both).toBe(`${signature} v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=`);
  });

  it("are each enough to verify, in any order and beside others", () => {
    const reversed = sign([shared, secretKey], id, at, body);
    for (const entries of [both, reversed])
      for (const secrets of [[shared], [secretKey], [publicKey], [generateSecret(), publicKey]])
        expect(verified(secrets, entries)).toEqual(ok);
    expect(verified([generateSecret(), generateSecret("v1a")], both)).toEqual(noMatch);
  });

  it.each([
    ["standardwebhooks", Webhook],
    ["svix", SvixWebhook],
  ])("do not disturb the package %s, which knows the shared one alone", (_name, Library) => {
    const nowSeconds = Math.floor(Date.now() / 1000); // These libraries read the system's clock.
    const signed = (secrets: readonly string[]) => ({
      "webhook-id": id,
      "webhook-timestamp": `${nowSeconds}`,
      "webhook-signature": sign(secrets, id, nowSeconds, body),
    });
    for (const secrets of [
      [secretKey, shared],
      [shared, secretKey],
    ])
      expect(() => new Library(shared).verify(body, signed(secrets))).not.toThrow();
    expect(() => new Library(shared).verify(body, signed([secretKey]))).toThrow();
  });
});

describe("a secret that somebody brings", () => {
  it("is kept without what stands around it, a private key with its public half", () => {
    expect(parseSecret(` ${shared}\n`)).toEqual({ signing: "v1", secret: shared });
    expect(parseSecret(seedOnly)).toEqual({ signing: "v1a", secret: secretKey });
  });

  it.each(["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA", `whsec_${"ab".repeat(32)}=`])(
    "is refused: %j",
    (wrong) => expect(() => parseSecret(wrong)).toThrow(InvalidSecret),
  );
});
