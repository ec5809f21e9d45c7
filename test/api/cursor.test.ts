import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CursorPlace, openCursor, sealCursor } from "../../services/api/cursor.ts";

const secret = Buffer.alloc(32, 7);
const scope = {
  view: "runs",
  workspace: "default",
  filter: { status: ["failed", "running"], workflow: "a" },
};
const place: CursorPlace = { key: "1125899906842625", direction: "after" };
const refused = expect.objectContaining({ code: "invalid_cursor" });

describe("a cursor", () => {
  it("names the place it was made for", () => {
    expect(openCursor(secret, scope, sealCursor(secret, scope, place))).toEqual(place);
  });

  it("can stand in a URL", () => expect(sealCursor(secret, scope, place)).toMatch(/^[A-Za-z0-9_-]+$/));

  it("belongs to its filter, however that is written", () => {
    const cursor = sealCursor(secret, scope, place);
    const same = { ...scope, filter: { workflow: "a", name: undefined, status: ["running", "failed"] } };
    expect(openCursor(secret, same, cursor)).toEqual(place);
  });

  it.each([
    { ...scope, view: "deliveries" },
    { ...scope, workspace: "other" },
    { ...scope, filter: {} },
    { ...scope, filter: { status: ["failed"], workflow: "a" } },
    { ...scope, filter: { status: "failed,running", workflow: "a" } },
  ])("belongs to no other list: %j", (other) => {
    expect(() => openCursor(secret, other, sealCursor(secret, scope, place))).toThrow(refused);
  });

  it("belongs to who made it", () => {
    expect(() => openCursor(Buffer.alloc(32, 8), scope, sealCursor(secret, scope, place))).toThrow(refused);
  });

  it("cannot be changed by a single character", () => {
    const cursor = sealCursor(secret, scope, place);
    fc.assert(
      fc.property(
        fc.nat(cursor.length - 1),
        fc.constantFrom("A", "b", "9", "_", "", "=", "é", " "),
        (at, other) => {
          const changed = cursor.slice(0, at) + other + cursor.slice(at + 1);
          if (changed !== cursor) expect(() => openCursor(secret, scope, changed)).toThrow(refused);
        },
      ),
    );
  });

  it("is not just any text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => openCursor(secret, scope, text)).toThrow(refused);
      }),
    );
  });
});
