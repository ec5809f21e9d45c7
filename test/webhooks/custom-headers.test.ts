import { describe, expect, it } from "vitest";
import {
  formatCustomHeaders,
  isBearerToken,
  isHeaderName,
  isHeaderValue,
  isReserved,
  parseCustomHeaders,
} from "../../shared/webhooks/custom-headers.ts";

describe("the names that are not an endpoint's to say", () => {
  it.each([
    ...["host", "Host", "HOST", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"],
    ...[
      "content-type",
      "content-length",
      "Content-Encoding",
      "user-agent",
      "accept-encoding",
      "expect",
      "via",
    ],
    ...["webhook-id", "Webhook-Signature", "webhook-anything", "ledger-position", "ledger-replay"],
    ...["svix-id", "svix-signature", "x-knock-signature", "proxy-authorization", "proxy-connection", "date"],
    ...["x-forwarded-for", "X-Forwarded-Host", "forwarded", "x-real-ip", "http2-settings"],
    ...["metadata-flavor", "x-aws-ec2-metadata-token", "metadata", "x-google-metadata-request"],
  ])("have %s among them", (name) => expect(isReserved(name)).toBe(true));

  it.each(["authorization", "x-api-key", "cookie", "x-webhook-id", "hostname", "accept", "traceparent"])(
    "do not have %s",
    (name) => expect(isReserved(name)).toBe(false),
  );
});

describe("a header", () => {
  it.each(["x", "x-api-key", "X_1", "a.b", "!#$%&'*+.^_`|~", "x".repeat(128)])("may be named %j", (name) =>
    expect(isHeaderName(name)).toBe(true),
  );

  it.each([
    ...["", " ", "a b", "a:", ":path", "a\r\nb", "a\n", "a\0", "ä", "a\t", "a(b)", "a/b", "a=b", '"a"'],
    "x".repeat(129),
  ])("may not be named %j", (name) => expect(isHeaderName(name)).toBe(false));

  it.each(["a", "a b", "a\tb", "Basic dXNlcjpwYXNz", '"quoted"; a=b', "~".repeat(4000)])(
    "may say %j",
    (value) => expect(isHeaderValue(value)).toBe(true),
  );

  it.each([
    "",
    " ",
    " a",
    "a ",
    "a\n",
    "a\r\nx-evil: 1",
    "a\rb",
    "a\nb",
    "a\0b",
    "a\u007fb",
    "ä",
    "日本",
    "\t",
  ])("may not say %j", (value) => expect(isHeaderValue(value)).toBe(false));
});

describe("a bearer token", () => {
  it.each(["abc", "a.b-c_d~e+f/g==", "eyJhbGciOiJIUzI1NiJ9.e30.x"])("may be %j", (token) =>
    expect(isBearerToken(token)).toBe(true),
  );
  it.each(["", "a b", "a\n", "=", "a=b", "Bearer a", "ä"])("may not be %j", (token) =>
    expect(isBearerToken(token)).toBe(false),
  );
});

it("come back from the vault as they went there", () => {
  const headers = { authorization: "Bearer abc", "x-a": '1; b="2"' };
  expect(parseCustomHeaders(formatCustomHeaders(headers))).toEqual(headers);
});
