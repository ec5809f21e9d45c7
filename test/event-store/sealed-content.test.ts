import { createDecipheriv } from "node:crypto";
import { describe, expect, it } from "vitest";
import { openText, readSalted, saltedText, sealText } from "../../shared/event-store/sealed-content.ts";
import { canonical } from "../../shared/verification/canonical.ts";

const key = Buffer.alloc(32, 7);
const place = { ledger: "00".repeat(16), stream: "run-1", revision: 3 };
const content = { note: "a\u0000b", list: [1, { é: null }], ["__proto__"]: 1 };
const salt = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");
const text = saltedText(canonical(content), salt);

describe("sealed content", () => {
  it("is canonical JSON of the content and its salt", () => {
    expect(text).toBe(canonical({ content, salt: salt.toString("hex") }));
    expect(readSalted(text)).toEqual({ content, contentSalt: salt });
  });

  it("is nonce, ciphertext and tag of AES-256-GCM, bound to ledger, stream and revision", () => {
    const sealed = sealText(key, place, text);
    const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12));
    decipher.setAAD(Buffer.from(`["${place.ledger}","run-1",3]`));
    decipher.setAuthTag(sealed.subarray(-16));
    const plain = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
    expect(plain.toString()).toBe(text);
    expect(openText(key, place, sealed)).toBe(text);
  });

  it("never looks the same twice", () => {
    expect(sealText(key, place, text)).not.toEqual(sealText(key, place, text));
  });

  it.each([
    ["under another key", (sealed: Buffer) => openText(Buffer.alloc(32, 8), place, sealed)],
    ["in another ledger", (sealed: Buffer) => openText(key, { ...place, ledger: "11".repeat(16) }, sealed)],
    ["in another stream", (sealed: Buffer) => openText(key, { ...place, stream: "run-2" }, sealed)],
    ["at another revision", (sealed: Buffer) => openText(key, { ...place, revision: 4 }, sealed)],
    ["cut off", (sealed: Buffer) => openText(key, place, sealed.subarray(0, 20))],
    ["when it is nothing", () => openText(key, place, new Uint8Array())],
  ])("cannot be opened %s", (_, open) => {
    expect(() => open(sealText(key, place, text))).toThrow(RangeError);
  });

  it("cannot be opened when any of its bytes was changed", () => {
    const sealed = sealText(key, place, text);
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => openText(key, place, changed)).toThrow(RangeError);
    }
  });

  it.each(["{}", '{"content":1,"salt":"00"}', '{"content":null,"salt":"00"}', '{"content":{},"salt":7}'])(
    "is not %s",
    (other) => {
      expect(() => readSalted(other)).toThrow("its body is not content and salt");
    },
  );
});
