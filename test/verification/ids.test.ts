import { createHash } from "node:crypto";
import fc from "fast-check";
import { TypeID } from "typeid-js";
import { describe, expect, it } from "vitest";
import {
  derivedBytes,
  derivedId,
  isWireId,
  keyIdOf,
  kindOf,
  newId,
  type Prefix,
  streamOf,
  suffixOf,
  typeid,
  uuidV8,
  wireIdOf,
} from "../../shared/verification/ids.ts";

const ledger = "000102030405060708090a0b0c0d0e0f";
const run = "run-01h455vb4pex5vsknk084sn02q";
const prefixes: readonly Prefix[] = [
  "ledger",
  "run",
  "job_run",
  "api_key",
  "endpoint",
  "delivery",
  "evt",
  "wait",
  "req",
];

/** 26 digits of base 32 for 16 bytes, by the TypeID specification: two zero bits in front, five bits a
 *  digit. */
function base32(bytes: Uint8Array): string {
  const bits = `00${[...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("")}`;
  return (bits.match(/.{5}/g) ?? [])
    .map((five) => "0123456789abcdefghjkmnpqrstvwxyz"[Number.parseInt(five, 2)])
    .join("");
}

describe("a made id", () => {
  it.each(prefixes)("of %s is a TypeID around a UUIDv7", (prefix) => {
    const id = newId(prefix);
    expect(isWireId(prefix, id)).toBe(true);
    expect(TypeID.fromString(id).toUUID()).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  });
  it("is made once", () => {
    expect(new Set(Array.from({ length: 10_000 }, () => newId("evt"))).size).toBe(10_000);
  });
});

describe("a TypeID", () => {
  it("has these digits for these bytes", () => {
    const counting = Buffer.from(Array.from({ length: 16 }, (_, index) => index));
    expect(typeid("run", counting)).toBe("run_00041061050r3gg28a1c60t3gf");
    expect(typeid("run", Buffer.alloc(16))).toBe("run_00000000000000000000000000");
    expect(typeid("run", Buffer.alloc(16, 0xff))).toBe("run_7zzzzzzzzzzzzzzzzzzzzzzzzz");
  });
  it("is written as its specification says", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        expect(typeid("job_run", bytes)).toBe(`job_run_${base32(bytes)}`);
      }),
    );
  });
});

describe("a derived id", () => {
  // The digits were worked out by another program from the definition.
  it.each([
    ["run", "new run", "order-42", 0, "run_12mzrf13h8ggxt3y0rcrcfjjgc"],
    ["evt", "new run", "order-42", 0, "evt_49mnspdyqzg6vv0xvdgg9ftn4d"],
    ["evt", run, "cmd-7", 3, "evt_0f9bb9zjcghwb9ytbn5y2kmqg4"],
    ["run", `recipients ${run}`, "recipient", 999, "run_2634bg4qyqgehrfcysm56whyj6"],
    [
      "delivery",
      "dispatcher endpoint-01h455vb4pex5vsknk084sn02q",
      "evt_01h455vb4pex5vsknk084sn02q",
      0,
      "delivery_548x53wt55h45rw64j86yfqpbz",
    ],
    ["job_run", "new job_run", 'q"\\é', 0, "job_run_4caq15krd7h8frzv6z2fzesjw1"],
  ] as const)("%s of %s, %s and %d is this one, for ever", (prefix, scope, commandId, index, id) =>
    expect(derivedId({ ledger, workspace: "default", prefix, scope, commandId, index })).toBe(id),
  );

  it("is worked out here by the definitions alone, with the same result", () => {
    const text = '["000102030405060708090a0b0c0d0e0f","default","run","new run","order-42",0]';
    const bytes = createHash("sha256").update(text, "utf8").digest().subarray(0, 16);
    bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
    bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
    expect(`run_${base32(bytes)}`).toBe("run_12mzrf13h8ggxt3y0rcrcfjjgc");
  });

  it("is a UUIDv8", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.nat(), (scope, commandId, index) => {
        const from = { ledger, workspace: "default", prefix: "evt", scope, commandId, index } as const;
        const bytes = derivedBytes(from);
        expect(bytes).toHaveLength(16);
        expect(bytes.readUInt8(6) >> 4).toBe(8);
        expect(bytes.readUInt8(8) >> 6).toBe(2);
        expect(derivedBytes(from)).toEqual(bytes);
        expect(isWireId("evt", derivedId(from))).toBe(true);
      }),
    );
  });

  it("is another for another ledger, workspace, prefix, scope, command and index", () => {
    const from = {
      ledger,
      workspace: "default",
      prefix: "evt",
      scope: run,
      commandId: "c",
      index: 0,
    } as const;
    const ids = [
      from,
      { ...from, ledger: ledger.replace("0f", "1f") },
      { ...from, workspace: "other" },
      { ...from, prefix: "wait" } as const,
      { ...from, scope: "new run" },
      { ...from, commandId: "d" },
      { ...from, index: 1 },
    ].map((each) => suffixOf(derivedId(each)));
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("changes nothing of the hash but version and variant", () => {
    expect(uuidV8(Buffer.alloc(32, 0xff)).toString("hex")).toBe("ffffffffffff8fffbfffffffffffffff");
    expect(uuidV8(Buffer.alloc(32)).toString("hex")).toBe("00000000000080008000000000000000");
  });
});

describe("streams and wire ids", () => {
  it.each([
    ["run_01h455vb4pex5vsknk084sn02q", run],
    ["job_run_01h455vb4pex5vsknk084sn02q", "job_run-01h455vb4pex5vsknk084sn02q"],
  ])("%s is the stream %s", (id, stream) => {
    expect(streamOf(id)).toBe(stream);
    expect(wireIdOf(stream)).toBe(id);
  });
  it("have the slug of a workspace and the key id of a key for wire ids", () => {
    expect(wireIdOf("workspace-my-team")).toBe("my-team");
    expect(wireIdOf("api_key-abcdefghij")).toBe("abcdefghij");
  });
  it("are split at the first dash, and at the last underscore", () => {
    expect(kindOf("job_run-01h455vb4pex5vsknk084sn02q")).toBe("job_run");
    expect(kindOf("workspace-a-b")).toBe("workspace");
    expect(suffixOf("job_run_01h455vb4pex5vsknk084sn02q")).toBe("01h455vb4pex5vsknk084sn02q");
  });
});

describe("what is a wire id", () => {
  it.each([
    "run_01h455vb4pex5vsknk084sn02",
    "run_01h455vb4pex5vsknk084sn02qq",
    "run_81h455vb4pex5vsknk084sn02q",
    "run_01H455VB4PEX5VSKNK084SN02Q",
    "run_01i455vb4pex5vsknk084sn02q",
    "run_01u455vb4pex5vsknk084sn02q",
    "run-01h455vb4pex5vsknk084sn02q",
    "job_run_01h455vb4pex5vsknk084sn02q",
    "run_01h455vb4pex5vsknk084sn02q\n",
    "run_",
    "",
  ])("is not %j", (text) => expect(isWireId("run", text)).toBe(false));
  it("is told by its prefix", () => expect(isWireId("run", "run_01h455vb4pex5vsknk084sn02q")).toBe(true));
});

describe("a key's id", () => {
  it("has ten letters and digits, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        expect(keyIdOf(bytes)).toMatch(/^[a-z0-9]{10}$/);
      }),
    );
    expect(keyIdOf(Buffer.alloc(16))).toBe("0000000000");
  });
});
