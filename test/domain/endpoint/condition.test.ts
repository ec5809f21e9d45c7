import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { conditionLimits, holds, parseCondition } from "../../../shared/domain/endpoint/condition.ts";

const order = JSON.parse(
  '{"total":120,"plan":"pro","paid":true,"coupon":null,"at":"2026-01-02T00:00:00.000Z",' +
    '"tags":["vip",7],"a.b":1,"customer":{"id":"ada","address":{"city":"Köln"}},"__proto__":{"x":1}}',
);
const asks = (where: unknown, value: unknown = order): boolean => {
  const parsed = parseCondition(where);
  if ("issues" in parsed) throw new Error(JSON.stringify(parsed.issues));
  return holds(parsed.condition, value);
};
const issues = (where: unknown) => {
  const parsed = parseCondition(where);
  return "issues" in parsed ? parsed.issues.map(({ path, message }) => [path.join("/"), message]) : [];
};

describe("a condition over what is told", () => {
  it.each([
    [{ plan: "pro" }, true],
    [{ plan: { $eq: "free" } }, false],
    [{ plan: { $ne: "free" } }, true],
    [{ nothing: { $ne: "free" } }, true],
    [{ coupon: null }, true],
    [{ nothing: null }, false],
    [{ nothing: { $exists: false } }, true],
    [{ coupon: { $exists: true } }, true],
    [{ total: { $gt: 100, $lte: 120 } }, true],
    [{ total: { $lt: 120 } }, false],
    [{ total: { $gte: "100" } }, false],
    [{ at: { $gte: "2026-01-01T00:00:00.000Z" } }, true],
    [{ coupon: { $lt: 1 } }, false],
    [{ plan: { $in: ["free", "pro"] } }, true],
    [{ plan: { $nin: ["free", "pro"] } }, false],
    [{ nothing: { $nin: ["free"] } }, true],
    [{ tags: { $contains: "vip" } }, true],
    [{ tags: { $contains: "7" } }, false],
    [{ plan: { $contains: "r" } }, true],
    [{ "tags.1": 7 }, true],
    [{ "tags.length": 2 }, false],
    [{ plan: { $startsWith: "pr" } }, true],
    [{ total: { $startsWith: "1" } }, false],
    [{ "customer.address.city": "Köln" }, true],
    [{ customer: { id: "ada", address: { city: { $startsWith: "K" } } } }, true],
    [{ customer: "ada" }, false],
    [{ "a\\.b": 1 }, true],
    [{ "a.b": 1 }, false],
    [{ "__proto__.x": 1 }, true],
    [{ "customer.__proto__": { $exists: true } }, false],
    [{ "customer.constructor.name": "Object" }, false],
    [{ $or: [{ plan: "free" }, { paid: true }] }, true],
    [{ $and: [{ plan: "pro" }, { paid: false }] }, false],
    [{ $not: { plan: "free" } }, true],
    [{ customer: { $not: { id: "ada" } } }, false],
    [{ plan: "pro", total: 1 }, false],
  ])("%j", (where, expected) => expect(asks(JSON.parse(JSON.stringify(where)))).toBe(expected));

  it("is asked of whatever is there, and never throws", () => {
    const where = {
      $or: [{ a: { $gt: 1 } }, { "a.b.0": { $contains: "x" } }, { $not: { a: { $startsWith: "x" } } }],
    };
    fc.assert(
      fc.property(fc.anything({ maxDepth: 4 }), (value) => {
        expect(typeof asks(where, value)).toBe("boolean");
      }),
    );
    fc.assert(
      fc.property(fc.jsonValue(), (given) => {
        const parsed = parseCondition(given);
        if ("condition" in parsed) expect(typeof holds(parsed.condition, order)).toBe("boolean");
        else expect(parsed.issues.length).toBeGreaterThan(0);
      }),
    );
  });

  it("finds every path that it was parsed from, and nothing where that is not", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 20 }), fc.integer(), (name, value) => {
        fc.pre(!name.startsWith("$"));
        const key = name.replaceAll(/[\\.]/g, "\\$&");
        const there = Object.fromEntries([[name, value]]);
        expect(
          asks({ [key]: value }, name === "__proto__" ? JSON.parse(`{"__proto__":${value}}`) : there),
        ).toBe(true);
        expect(asks({ [key]: { $exists: true } }, { other: there })).toBe(name === "other");
      }),
    );
  });
});

describe("what is no condition", () => {
  const nested = (depth: number): unknown =>
    Array.from({ length: depth - 1 }).reduce<unknown>((of) => ({ $not: of }), { plan: "pro" });
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`m${index}`, 1]));

  it.each<[unknown, string, RegExp]>([
    [[], "", /object/],
    ["x", "", /object/],
    [{}, "", /something/],
    [{ plan: {} }, "plan", /something/],
    [{ plan: ["pro"] }, "plan", /one value/],
    [{ plan: { $regex: ".*" } }, "plan/$regex", /no operator/],
    [{ $where: "1" }, "$where", /no operator/],
    [{ plan: { $in: [] } }, "plan/$in", /list of 1/],
    [{ plan: { $in: Array.from({ length: 101 }, () => 1) } }, "plan/$in", /list of 1/],
    [{ plan: { $in: [{}] } }, "plan/$in/0", /string/],
    [{ plan: { $gt: true } }, "plan/$gt", /number or string/],
    [{ plan: { $startsWith: 1 } }, "plan/$startsWith", /string/],
    [{ plan: { $exists: "yes" } }, "plan/$exists", /true or false/],
    [{ plan: { $eq: {} } }, "plan/$eq", /string/],
    [{ plan: "x".repeat(257) }, "plan", /256/],
    [{ $or: { plan: "pro" } }, "$or", /list/],
    [{ $and: [1] }, "$and/0", /object/],
    [{ "a..b": 1 }, "a..b", /names/],
    [{ ["x".repeat(256)]: 1 }, "x".repeat(256), /names/],
  ])("%j is refused, and where it is wrong is said", (where, path, message) => {
    expect(issues(where)).toEqual([[path, expect.stringMatching(message)]]);
  });

  it("is what is deeper than eight, whether by objects or by dots", () => {
    expect(issues(nested(conditionLimits.depth))).toEqual([]);
    expect(issues(nested(conditionLimits.depth + 1))[0]?.[1]).toMatch(/deeper than 8/);
    expect(issues({ "a.b.c.d.e.f.g.h": 1 })).toEqual([]);
    expect(issues({ "a.b.c.d.e.f.g.h.i": 1 })[0]?.[1]).toMatch(/deeper than 8/);
  });

  it("is what has more than 64 parts, and that is said once", () => {
    expect(issues(many(64))).toEqual([]);
    expect(issues(many(200))).toEqual([["", expect.stringMatching(/at most 64/)]]);
    expect(issues({ $or: [many(40), many(40)] })).toHaveLength(1);
  });
});
