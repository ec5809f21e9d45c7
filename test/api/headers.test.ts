import { describe, expect, it } from "vitest";
import {
  clientRequestId,
  correlationId,
  etagOf,
  idempotencyKey,
  ifMatch,
  minPosition,
  noneMatch,
  parsePosition,
} from "../../services/api/headers.ts";

const refused = (code: string) => expect.objectContaining({ code });

describe("a header", () => {
  it("gives the request its id, or is passed over", () => {
    expect(clientRequestId({ "x-request-id": "A-Z_0.9:" })).toBe("A-Z_0.9:");
    for (const bad of ["", "a b", "é", "x".repeat(129)]) {
      expect(clientRequestId({ "x-request-id": bad })).toBeUndefined();
    }
  });

  it("says what the request is part of", () => {
    expect(correlationId({})).toBeNull();
    expect(correlationId({ "correlation-id": "order:7" })).toBe("order:7");
    for (const bad of ["", "a b", "x".repeat(129)]) {
      expect(correlationId({ "correlation-id": bad })).toBeNull();
    }
  });

  it("names the command", () => {
    expect(idempotencyKey({})).toBeUndefined();
    expect(idempotencyKey({ "idempotency-key": '"{~!' })).toBe('"{~!');
    for (const bad of ["", "a b", "a, b", "é", "x".repeat(256)]) {
      expect(() => idempotencyKey({ "idempotency-key": bad })).toThrow(refused("invalid_command_id"));
    }
  });

  it("names a position", () => {
    expect(minPosition({})).toBeUndefined();
    expect(minPosition({ "ledger-min-position": "1125899906842625" })).toBe(1125899906842625n);
    expect(parsePosition("9223372036854775807")).toBe(2n ** 63n - 1n);
    for (const bad of ["", "-1", "01", "1.0", "0x1", "9223372036854775808", "99999999999999999999"]) {
      expect(() => minPosition({ "ledger-min-position": bad })).toThrow(refused("invalid_header"));
    }
  });

  it("names the revision that a change is for", () => {
    expect(ifMatch({})).toBeUndefined();
    expect(ifMatch({ "if-match": "*" })).toBeUndefined();
    expect(ifMatch({ "if-match": '"12"' })).toBe(12);
    expect(ifMatch({ "if-match": etagOf(3, "{}") })).toBe(3);
    for (const bad of ["", "12", 'W/"12"', '"12", "13"', '"-1"', '"1.xyz"']) {
      expect(() => ifMatch({ "if-match": bad })).toThrow(refused("invalid_header"));
    }
  });

  it("names the bodies that the client has", () => {
    const etag = etagOf(3, '{"a":1}');
    expect(etag).not.toBe(etagOf(3, '{"a":2}'));
    expect(noneMatch({}, etag)).toBe(false);
    for (const given of [etag, `"x", ${etag}`, `W/${etag}`, "*"]) {
      expect(noneMatch({ "if-none-match": given }, etag)).toBe(true);
    }
    expect(noneMatch({ "if-none-match": '"3"' }, etag)).toBe(false);
  });
});
