import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Meta } from "../../shared/domain/event.ts";
import {
  canonical,
  commandHash,
  type Draft,
  encodeLeaf,
  encodeMeta,
  leafHash,
  nextDigest,
  saltedHash,
  seal,
} from "../../shared/verification/canonical.ts";

const sha256 = (...parts: (Uint8Array | string)[]): string => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};
const bytes = (from: number): Buffer => Buffer.from(Array.from({ length: 16 }, (_, index) => from + index));
const dataSalt = bytes(0);
const contentSalt = bytes(16);
const ledger = "000102030405060708090a0b0c0d0e0f";

describe("canonical JSON", () => {
  it("is what the reference implementation writes, for any JSON", () => {
    const json = fc.jsonValue({ maxDepth: 6, stringUnit: "binary" });
    fc.assert(
      fc.property(json, (value) => {
        expect(canonical(value)).toBe(canonicalize(value));
      }),
      { numRuns: 500 },
    );
  });

  it("is what the reference implementation writes for any double, and reads back as the same", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(canonical(value)).toBe(canonicalize(value));
        expect(JSON.parse(canonical(value))).toBe(value === 0 ? 0 : value);
      }),
      { numRuns: 1000 },
    );
  });

  // RFC 8785, section 3.2.2 and appendix B.
  it("writes the RFC's example as the RFC does", () => {
    const given = String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`;
    expect(canonical(JSON.parse(given))).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        String.raw`"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  it.each([
    ["0000000000000000", "0"],
    ["8000000000000000", "0"],
    ["0000000000000001", "5e-324"],
    ["8000000000000001", "-5e-324"],
    ["7fefffffffffffff", "1.7976931348623157e+308"],
    ["ffefffffffffffff", "-1.7976931348623157e+308"],
    ["4340000000000000", "9007199254740992"],
    ["c340000000000000", "-9007199254740992"],
    ["4430000000000000", "295147905179352830000"],
    ["44b52d02c7e14af5", "9.999999999999997e+22"],
    ["44b52d02c7e14af6", "1e+23"],
    ["44b52d02c7e14af7", "1.0000000000000001e+23"],
    ["444b1ae4d6e2ef4e", "999999999999999700000"],
    ["444b1ae4d6e2ef4f", "999999999999999900000"],
    ["444b1ae4d6e2ef50", "1e+21"],
    ["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
    ["3eb0c6f7a0b5ed8d", "0.000001"],
    ["41b3de4355555553", "333333333.3333332"],
    ["41b3de4355555554", "333333333.33333325"],
    ["41b3de4355555555", "333333333.3333333"],
    ["41b3de4355555556", "333333333.3333334"],
    ["41b3de4355555557", "333333333.33333343"],
    ["becbf647612f3696", "-0.0000033333333333333333"],
    ["43143ff3c1cb0959", "1424953923781206.2"],
  ])("writes the double %s as %s", (hex, text) =>
    expect(canonical(Buffer.from(hex, "hex").readDoubleBE())).toBe(text),
  );

  it("sorts names by their UTF-16 code units", () => {
    const names = ["\u20ac", "\r", "\ufb33", "1", "\ud83d\ude00", "\u0080", "\u00f6"];
    const object = Object.fromEntries(names.map((name) => [name, 0]));
    expect(Object.keys(JSON.parse(canonical(object)))).toHaveLength(7);
    expect(canonical(object)).toBe(
      '{"\\r":0,"1":0,"\u0080":0,"\u00f6":0,"\u20ac":0,"\ud83d\ude00":0,"\ufb33":0}',
    );
  });

  it("keeps a __proto__ key and U+0000", () => {
    const json = '{"__proto__":{"a":"\\u0000"},"b":1}';
    expect(canonical(JSON.parse(json))).toBe(json);
  });

  it("leaves out members that are not there", () =>
    expect(canonical({ a: undefined, b: 1 })).toBe('{"b":1}'));

  it.each([Number.NaN, Number.POSITIVE_INFINITY, undefined, [undefined], 1n, Symbol("x"), () => 1])(
    "refuses what JSON cannot hold: %s",
    (value) => expect(() => canonical(value)).toThrow(TypeError),
  );
});

describe("a salted hash", () => {
  it("is SHA-256 of the salt and the text", () => {
    expect(saltedHash(dataSalt, '{"workflow":"onboarding"}')).toBe(
      "1515c9b7e11c2a51439cfa8e950c59d864350567dc8180f67c265b84674f74b0",
    );
    expect(saltedHash(contentSalt, '{"input":{"name":"Zoë 💡"}}')).toBe(
      "5e7f1ebd522da7c766abddc670d54f1f78446dd4dc28bb066fc9683e6911376d",
    );
  });

  it("is the same for long texts as for short ones", () => {
    for (const length of [21_000, 21_839, 21_840, 21_841, 65_536, 800_000])
      for (const unit of ["x", "€"])
        expect(saltedHash(dataSalt, unit.repeat(length))).toBe(sha256(dataSalt, unit.repeat(length)));
  });
});

describe("a command's hash", () => {
  const command = {
    operation: "create_run",
    target: "new run",
    item: { workflow: "onboarding", input: { name: "Zoë 💡" } },
    index: 0,
    count: 1,
  };

  it("is SHA-256 of the salt and the canonical command", () => {
    const text = '["create_run","new run",{"input":{"name":"Zoë 💡"},"workflow":"onboarding"},0,1]';
    expect(commandHash(contentSalt, command)).toBe(sha256(contentSalt, text));
    expect(commandHash(contentSalt, command)).toBe(
      "e2ae9e618f79932a012c5accd1fa68c2528152c850ab8cd8248c5a74023c1453",
    );
  });

  it("tells another operation, target, item, place and number apart", () => {
    const others = [
      { ...command, operation: "record_event" },
      { ...command, target: "run-01h455vb4pex5vsknk084sn02q" },
      { ...command, item: { workflow: "offboarding" } },
      { ...command, index: 1 },
      { ...command, count: 2 },
      { ...command, item: null },
    ];
    const hashes = [command, ...others].map((each) => commandHash(contentSalt, each));
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});

const first: Meta = {
  v: 1,
  workspace: "default",
  actor: { type: "api_key", id: "abcdefghij" },
  correlationId: "order:42",
  causationId: null,
  requestId: "req-1",
  at: "2026-08-15T10:00:00.000Z",
  recordedAt: "2026-08-15T10:00:00.000Z",
  prev: null,
  dataHash: "1515c9b7e11c2a51439cfa8e950c59d864350567dc8180f67c265b84674f74b0",
  contentHash: "5e7f1ebd522da7c766abddc670d54f1f78446dd4dc28bb066fc9683e6911376d",
  commandHash: "e2ae9e618f79932a012c5accd1fa68c2528152c850ab8cd8248c5a74023c1453",
};
const stream = "run-01h455vb4pex5vsknk084sn02q";
const leafOf = (id: string, revision: number, type: string, meta: Meta): string =>
  encodeLeaf(ledger, { id, stream, revision, type, metaJson: encodeMeta(meta) });

describe("a leaf", () => {
  it("has these bytes, for ever", () =>
    expect(leafOf("evt_01h455vb4pex5vsknk084sn02q", 0, "run.created", first)).toBe(
      '{"format":1,"id":"evt_01h455vb4pex5vsknk084sn02q","ledger":"000102030405060708090a0b0c0d0e0f",' +
        '"meta":{"actor":{"id":"abcdefghij","type":"api_key"},"at":"2026-08-15T10:00:00.000Z",' +
        '"causationId":null,' +
        '"commandHash":"e2ae9e618f79932a012c5accd1fa68c2528152c850ab8cd8248c5a74023c1453",' +
        '"contentHash":"5e7f1ebd522da7c766abddc670d54f1f78446dd4dc28bb066fc9683e6911376d",' +
        '"correlationId":"order:42",' +
        '"dataHash":"1515c9b7e11c2a51439cfa8e950c59d864350567dc8180f67c265b84674f74b0","prev":null,' +
        '"recordedAt":"2026-08-15T10:00:00.000Z","requestId":"req-1","v":1,"workspace":"default"},' +
        '"revision":0,"stream":"run-01h455vb4pex5vsknk084sn02q","type":"run.created"}',
    ));

  it("has exactly these members", () => {
    const leaf = JSON.parse(leafOf("evt_01h455vb4pex5vsknk084sn02q", 0, "run.created", first));
    expect(Object.keys(leaf)).toEqual(["format", "id", "ledger", "meta", "revision", "stream", "type"]);
    expect(Object.keys(leaf.meta).sort()).toEqual(Object.keys(first).sort());
    expect(Object.keys(leaf.meta)).toHaveLength(12);
    expect(Object.keys(leaf.meta.actor)).toEqual(["id", "type"]);
  });

  it("is canonical JSON, whatever the ids in it contain", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string(),
      fc.constantFrom('"', "\\", "\u0000", "\u007f", "é"),
    );
    const maybe = fc.option(text);
    fc.assert(
      fc.property(
        text,
        maybe,
        maybe,
        maybe,
        maybe,
        (id, correlationId, causationId, requestId, workspace) => {
          const meta: Meta = {
            ...first,
            actor: { type: "kafka", id },
            correlationId,
            causationId,
            requestId,
            workspace,
          };
          expect(encodeMeta(meta)).toBe(canonical(meta));
          fc.pre(Buffer.byteLength(encodeMeta(meta)) < 3500);
          const event = { id: "evt_01h455vb4pex5vsknk084sn02q", stream, revision: 7, type: "run.noted" };
          expect(encodeLeaf(ledger, { ...event, metaJson: encodeMeta(meta) })).toBe(
            canonical({ format: 1, ledger, ...event, meta }),
          );
        },
      ),
    );
  });

  it("writes null for what is unknown", () => {
    const unknown = { correlationId: null, causationId: null, requestId: null, workspace: null };
    const meta: Meta = { ...first, ...unknown, prev: null, contentHash: null, commandHash: null };
    expect(encodeMeta(meta)).toBe(canonical(meta));
    expect(encodeMeta(meta).match(/null/g)).toHaveLength(7);
  });

  it("has at most 4 KiB, counted in UTF-8", () => {
    const empty = leafOf("evt_1", 0, "run.created", { ...first, correlationId: "" }).length;
    const filled = (correlationId: string) => () =>
      leafOf("evt_1", 0, "run.created", { ...first, correlationId });
    const room = 4096 - empty;
    expect(filled("x".repeat(room))).not.toThrow();
    expect(filled("x".repeat(room + 1))).toThrow(RangeError);
    expect(filled("é".repeat(Math.floor(room / 2)))).not.toThrow();
    expect(filled("é".repeat(Math.floor(room / 2) + 1))).toThrow(RangeError);
  });

  it("is hashed behind a zero byte, as RFC 6962 hashes a leaf", () => {
    expect(leafHash("").toString("hex")).toBe(
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    );
    expect(leafHash("é").toString("hex")).toBe(sha256(Buffer.from([0]), Buffer.from([0xc3, 0xa9])));
  });
});

describe("a chain of three events", () => {
  const empty = "b5c1f9361eb9fbedd3e628a72d1c8fef46544361fd79fa6781baf6d932b1c3f6";
  const bare = {
    ...first,
    dataHash: empty,
    contentHash: null,
    commandHash: null,
    correlationId: null,
    requestId: null,
  };
  const leaves = [
    "ebcec3fc6d089d8ce6cab1614a69f328817739aa3b18f8c69ae233f0174f16a2",
    "f7f22576f6b6a1648bd8de47f105a73b8788e9f50f886753a8b3ca60c05b605f",
    "1f1053f5bcc59aebf438de129b2daaf355ccb88c47745246cfe37dbee2d87ee2",
  ];

  it("has these leaf hashes, each with the one before it inside", () => {
    expect(saltedHash(dataSalt, "{}")).toBe(empty);
    const second: Meta = {
      ...bare,
      causationId: "evt_01h455vb4pex5vsknk084sn02q",
      prev: leaves[0] ?? null,
      recordedAt: "2026-08-15T10:00:01.000Z",
    };
    const third: Meta = { ...bare, prev: leaves[1] ?? null, recordedAt: "2026-08-15T10:00:02.000Z" };
    const made = [
      leafOf("evt_01h455vb4pex5vsknk084sn02q", 0, "run.created", first),
      leafOf("evt_01h455vb4pex5vsknk084sn02r", 1, "run.started", second),
      leafOf("evt_01h455vb4pex5vsknk084sn02s", 2, "run.completed", third),
    ];
    expect(made.map((leaf) => leafHash(leaf).toString("hex"))).toEqual(leaves);
  });

  it("is worked out here by the definitions alone, with the same result", () => {
    // The text is written by hand: names sorted, no blanks, null where nothing is known.
    const text =
      '{"format":1,"id":"evt_01h455vb4pex5vsknk084sn02r","ledger":"000102030405060708090a0b0c0d0e0f",' +
      '"meta":{"actor":{"id":"abcdefghij","type":"api_key"},"at":"2026-08-15T10:00:00.000Z",' +
      '"causationId":"evt_01h455vb4pex5vsknk084sn02q","commandHash":null,"contentHash":null,' +
      `"correlationId":null,"dataHash":"${sha256(dataSalt, "{}")}","prev":"${leaves[0]}",` +
      '"recordedAt":"2026-08-15T10:00:01.000Z","requestId":null,"v":1,"workspace":"default"},"revision":1,' +
      '"stream":"run-01h455vb4pex5vsknk084sn02q","type":"run.started"}';
    expect(sha256(Buffer.from([0]), Buffer.from(text, "utf8"))).toBe(leaves[1]);
  });

  it("has this digest after each event", () => {
    const digests: string[] = [];
    let digest: Uint8Array = Buffer.alloc(32);
    for (const leaf of leaves) {
      digest = nextDigest(digest, Buffer.from(leaf, "hex"));
      digests.push(Buffer.from(digest).toString("hex"));
    }
    expect(digests).toEqual([
      "7cbe11890f4096fca5c4b75def3e404d7980adc0e122fc3b3e7a0f3c328267a4",
      "af5f448c257ac6f9125f6f2d2078c896a2ddcb71b2dc1a15682dbdb31757854c",
      "f916b52b594a54a1ce896e085263060a33f32ca57c3703ca98d35b65ae777af0",
    ]);
    expect(digests[0]).toBe(sha256(Buffer.alloc(32), Buffer.from(leaves[0] ?? "", "hex")));
  });
});

describe("sealing", () => {
  const { dataHash, contentHash, commandHash: _, ...rest } = first;
  const draft: Draft = {
    ...rest,
    id: "evt_1",
    stream,
    revision: 0,
    type: "run.created",
    data: '{"workflow":"w"}',
  };
  const command = { operation: "create_run", target: "new run", item: { workflow: "w" }, index: 0, count: 1 };

  it("hashes data and content each behind its own salt, and the command behind the content's", () => {
    const sealed = seal(ledger, { ...draft, content: '{"input":1}', command });
    if (!sealed.contentSalt) throw new Error("there is no salt for the content");
    expect(sealed.dataSalt).toHaveLength(16);
    expect(sealed.contentSalt).toHaveLength(16);
    expect(Buffer.compare(sealed.dataSalt, sealed.contentSalt)).not.toBe(0);
    const commandText = '["create_run","new run",{"workflow":"w"},0,1]';
    expect(sealed.meta).toMatchObject({
      dataHash: sha256(sealed.dataSalt, '{"workflow":"w"}'),
      contentHash: sha256(sealed.contentSalt, '{"input":1}'),
      commandHash: sha256(sealed.contentSalt, commandText),
    });
    expect(sealed.metaJson).toBe(canonical(sealed.meta));
    const leaf = canonical({
      format: 1,
      ledger,
      id: "evt_1",
      stream,
      revision: 0,
      type: "run.created",
      meta: sealed.meta,
    });
    expect(Buffer.from(sealed.leaf).toString("hex")).toBe(sha256(Buffer.from([0]), leaf));
  });

  it("hashes the command behind the data's salt without content, and no command as nothing", () => {
    const sealed = seal(ledger, { ...draft, command });
    expect(sealed.meta.commandHash).toBe(commandHash(sealed.dataSalt, command));
    expect(sealed.meta.contentHash).toBeNull();
    expect(sealed).not.toHaveProperty("content");
    expect(sealed).not.toHaveProperty("contentSalt");
    expect(seal(ledger, draft).meta.commandHash).toBeNull();
  });

  it("never uses a salt twice", () => {
    const salts = Array.from({ length: 2000 }, () => seal(ledger, { ...draft, content: "{}" })).flatMap(
      (sealed) => [
        Buffer.from(sealed.dataSalt).toString("hex"),
        Buffer.from(sealed.contentSalt ?? []).toString("hex"),
      ],
    );
    expect(new Set(salts).size).toBe(4000);
  });
});
