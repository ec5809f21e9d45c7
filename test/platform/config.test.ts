import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../shared/platform/config.ts";
import { StartupError } from "../../shared/platform/errors.ts";

const SECRET = `${"S3cret".repeat(7)}x`;
const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;
const KEY = `rl_default_abcdefghij_${SECRET}`;

/** The line that a person reads who starts it with these variables. */
function refusal(env: Record<string, string>): string {
  try {
    parseConfig(env);
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError);
    expect((error as Error).message).not.toMatch(/[\n\r]/);
    return (error as Error).message;
  }
  throw new Error(`${JSON.stringify(env)} was taken`);
}

describe("the configuration", () => {
  it("needs nothing", () => {
    expect(parseConfig({})).toEqual({
      host: "127.0.0.1",
      port: 8080,
      data: resolve("data"),
      webhookAllow: ["127.0.0.0/8", "::1/128"],
      corsOrigins: [],
      excerptDays: { delivered: 7, failed: 30 },
      shutdownMs: 10_000,
      logLevel: "info",
      isLoopback: true,
      limits: {
        eventBytesMax: 262_144,
        parentEventBytesMax: 786_432,
        appendEventsMax: 100,
        appendBytesMax: 786_432,
        runEventsMax: 10_000,
        commandIdLengthMax: 255,
        batchItemsMax: 1000,
        batchBytesMax: 8_388_608,
        bodyBytesMax: 1_048_576,
        recipientsMax: 1000,
        pageSizeMax: 100,
        metadataKeysMax: 64,
        endpointsMax: 1000,
        webhookBodyBytesMax: 262_144,
        appendQueueMax: 10_000,
        inFlightMax: 64,
        inFlightPerEndpointMax: 8,
      },
    });
  });

  it("is of the variables with its prefix alone", () => {
    expect(parseConfig({ PORT: "1", HOST: "x", PATH: "/bin", runledger_port: "1" })).toEqual(parseConfig({}));
  });

  it.each([
    ["RUNLEDGER_HOST", "0.0.0.0", { host: "0.0.0.0", isLoopback: false }],
    ["RUNLEDGER_HOST", "::1", { host: "::1", isLoopback: true }],
    ["RUNLEDGER_HOST", "::ffff:127.0.0.1", { isLoopback: true }],
    ["RUNLEDGER_HOST", "::", { isLoopback: false }],
    ["RUNLEDGER_HOST", "127.3.2.1", { isLoopback: true }],
    ["RUNLEDGER_HOST", "localhost", { host: "localhost", isLoopback: true }],
    ["RUNLEDGER_HOST", "ledger-1.example.com", { host: "ledger-1.example.com", isLoopback: false }],
    ["RUNLEDGER_HOST", "127.example.com", { isLoopback: false }],
    ["RUNLEDGER_PORT", "0", { port: 0 }],
    ["RUNLEDGER_PORT", "65535", { port: 65_535 }],
    ["RUNLEDGER_DATA", "/var/lib/runledger/", { data: "/var/lib/runledger" }],
    ["RUNLEDGER_DATA", "some where", { data: resolve("some where") }],
    ["RUNLEDGER_FIRST_KEY", KEY, { firstKey: KEY }],
    ["RUNLEDGER_SECRETS_KEY", "aB".repeat(32), { secretsKey: Buffer.alloc(32, 0xab) }],
    ["RUNLEDGER_SECRETS_KEY_NEXT", "ab".repeat(32), { secretsKeyNext: Buffer.alloc(32, 0xab) }],
    ["RUNLEDGER_SECRETS_KEY", Buffer.alloc(32, 7).toString("base64"), { secretsKey: Buffer.alloc(32, 7) }],
    [
      "RUNLEDGER_SECRETS_KEY",
      Buffer.alloc(32, 255).toString("base64url"),
      { secretsKey: Buffer.alloc(32, 255) },
    ],
    ["RUNLEDGER_WEBHOOK_ALLOW", "10.0.0.0/8, fd00::/8", { webhookAllow: ["10.0.0.0/8", "fd00::/8"] }],
    ["RUNLEDGER_WEBHOOK_ALLOW", "", { webhookAllow: [] }],
    ["RUNLEDGER_WEBHOOK_PROXY", "http://proxy:3128", { webhookProxy: { host: "proxy", port: 3128 } }],
    ["RUNLEDGER_WEBHOOK_PROXY", "http://[::1]:80/", { webhookProxy: { host: "::1", port: 80 } }],
    [
      "RUNLEDGER_WEBHOOK_PROXY",
      "http://me:p%40ss%3A%2Fw%C3%B6rd@10.0.0.1:3128",
      { webhookProxy: { host: "10.0.0.1", port: 3128, authorization: basic("me:p@ss:/wörd") } },
    ],
    [
      "RUNLEDGER_WEBHOOK_PROXY",
      "http://me@proxy.example:3128",
      { webhookProxy: { host: "proxy.example", port: 3128, authorization: basic("me:") } },
    ],
    [
      "RUNLEDGER_CORS_ORIGINS",
      "https://a.example, http://b:3000",
      { corsOrigins: ["https://a.example", "http://b:3000"] },
    ],
    ["RUNLEDGER_CORS_ORIGINS", " ", { corsOrigins: [] }],
    ["RUNLEDGER_EXCERPT_DAYS", "failed:3", { excerptDays: { delivered: 7, failed: 3 } }],
    [
      "RUNLEDGER_EXCERPT_DAYS",
      " delivered:0 , failed : forever,too_large:36500",
      { excerptDays: { delivered: 0, failed: Number.POSITIVE_INFINITY, too_large: 36_500 } },
    ],
    ["RUNLEDGER_SHUTDOWN_MS", "0", { shutdownMs: 0 }],
    ["RUNLEDGER_LOG_LEVEL", "debug", { logLevel: "debug" }],
    ["RUNLEDGER_EVENT_STORE", "sqlite", {}],
    ["RUNLEDGER_VIEWS", "sqlite", {}],
  ])("takes %s=%s", (name, value, expected) => {
    expect(parseConfig({ [name]: value })).toMatchObject(expected);
  });

  it("lets webhooks reach loopback only while nobody else can reach the API", () => {
    expect(parseConfig({ RUNLEDGER_HOST: "0.0.0.0" }).webhookAllow).toEqual([]);
    expect(
      parseConfig({ RUNLEDGER_HOST: "0.0.0.0", RUNLEDGER_WEBHOOK_ALLOW: "::1/128" }).webhookAllow,
    ).toEqual(["::1/128"]);
  });
});

describe("a bad value is refused with what it must be", () => {
  it.each([
    [
      "RUNLEDGER_HOST",
      ["", " ", "a b", "http://a", "a:80", "[::1]", "999.1.1.1", "1.2.3", "-a", "a..b"],
      "an address or a host name",
    ],
    [
      "RUNLEDGER_PORT",
      ["", "-1", "65536", "80a", "8e1", "1.5", "0x50", " 80", "tcp://10.0.0.1:80"],
      "an integer from 0 to 65535",
    ],
    ["RUNLEDGER_DATA", [""], "the path of a folder"],
    [
      "RUNLEDGER_WEBHOOK_ALLOW",
      [
        "10.0.0.1",
        "10.0.0.0/33",
        "::/129",
        "a/8",
        "10/8",
        "010.0.0.0/8",
        "1.2.3.4/8,",
        "1.2.3.4/-1",
        "fe80::1%eth0/64",
      ],
      "networks as CIDRs, like 10.0.0.0/8",
    ],
    [
      "RUNLEDGER_CORS_ORIGINS",
      [
        "*",
        "null",
        "a.example",
        "https://a/",
        "https://a/b",
        "HTTPS://a",
        "ftp://a",
        "https://a,,https://b",
        "https://u@a",
      ],
      "origins, like https://",
    ],
    [
      "RUNLEDGER_EXCERPT_DAYS",
      [
        "",
        "7",
        "delivered",
        "delivered:",
        "delivered:-1",
        "delivered:1.5",
        "delivered:36501",
        "delivered:never",
        "delivered:7,",
        "delivered:7,delivered:8",
        "succeeded:7",
        "__proto__:7",
        "constructor:7",
        "delivered=7",
        "Delivered:7",
        "delivered:7;failed:1",
      ],
      "days by class, like delivered:7,failed:30, each class once",
    ],
    ["RUNLEDGER_SHUTDOWN_MS", ["", "10s", "-1", "86400001"], "an integer from 0 to 86400000"],
    ["RUNLEDGER_LOG_LEVEL", ["", "INFO", "verbose"], "one of trace, debug, info, warn, error, fatal, silent"],
    ["RUNLEDGER_EVENT_STORE", ["", "postgres"], "one of sqlite, "],
    ["RUNLEDGER_VIEWS", ["", "eventstoredb"], "one of sqlite, "],
  ])("%s", (name, values, must) => {
    for (const value of values) {
      const line = refusal({ [name]: value });
      expect(line).toMatch(new RegExp(`^${name} must be .*, not ${RegExp.escape(JSON.stringify(value))}$`));
      expect(line).toContain(must);
    }
  });

  it("in one line, whatever is in it", () => {
    expect(refusal({ RUNLEDGER_PORT: "8\n0\u001b[31m" })).toContain('not "8\\n0\\u001b[31m"');
    expect(refusal({ RUNLEDGER_PORT: "9".repeat(500) }).length).toBeLessThan(160);
  });

  it.each([
    [
      "RUNLEDGER_FIRST_KEY",
      [
        "",
        SECRET,
        `${KEY}1`,
        KEY.slice(0, -1),
        `rl_Default_abcdefghij_${SECRET}`,
        `rl_${"a".repeat(33)}_abcdefghij_${SECRET}`,
        `rl__abcdefghij_${SECRET}`,
        `rl_default_ABCDEFGHIJ_${SECRET}`,
        ` ${KEY}`,
        KEY.replaceAll("_", "-"),
      ],
      "rl_<workspace",
    ],
    [
      "RUNLEDGER_WEBHOOK_PROXY",
      [
        "",
        "proxy:3128",
        "http://proxy",
        "https://proxy:3128",
        "socks5://proxy:1080",
        "http://:3128",
        "http://proxy:0",
        "http://proxy:65536",
        "http://proxy:3128/path",
        "http://proxy:3128?a",
        `http://:${SECRET}@proxy:3128`,
        `http://u:${SECRET}@@proxy:3128`,
        `http://u:${SECRET}%@proxy:3128`,
        `http://u:${SECRET}/x@proxy:3128`,
        `http://u:${SECRET}@::1:3128`,
        `http://u:${SECRET}@[x]:3128`,
        `http://u:${SECRET}@999.1.1.1:3128`,
      ],
      "http://host:port, or http://user:password@host:port",
    ],
    ["RUNLEDGER_SECRETS_KEY_NEXT", ["ab".repeat(31)], "32 bytes in base64, or as 64 hex digits"],
    [
      "RUNLEDGER_SECRETS_KEY",
      ["", SECRET.slice(1), `${SECRET}==`, "ab".repeat(31), "zz".repeat(32), "ab".repeat(33)],
      "32 bytes in base64, or as 64 hex digits",
    ],
  ])("but never with a secret: %s", (name, values, must) => {
    for (const value of values) {
      const line = refusal({ [name]: value });
      expect(line).toMatch(new RegExp(`^${name} must be .*`));
      expect(line).toContain(must);
      expect(line).not.toContain("not ");
      for (const part of ["S3cret", "abab", "zzzz"]) expect(line).not.toContain(part);
    }
  });

  it("together with all others", () => {
    const line = refusal({
      RUNLEDGER_PORT: "x",
      RUNLEDGER_VIEWS: "y",
      RUNLEDGER_EVENT_BYTES_MAX: "z",
      RUNLEDGER_A: "",
    });
    expect(line.split("; ").map((part) => part.split(" ")[0])).toEqual([
      "RUNLEDGER_A",
      "RUNLEDGER_PORT",
      "RUNLEDGER_VIEWS",
      "RUNLEDGER_EVENT_BYTES_MAX",
    ]);
  });
});

describe("an unknown variable is refused", () => {
  it.each([
    ["RUNLEDGER_PROT", "RUNLEDGER_PORT"],
    ["RUNLEDGER_SECRET_KEY", "RUNLEDGER_SECRETS_KEY"],
    ["RUNLEDGER_BODY_BYTES", "RUNLEDGER_BODY_BYTES_MAX"],
    ["RUNLEDGER_port", "RUNLEDGER_PORT"],
    ["RUNLEDGER_PORT_", "RUNLEDGER_PORT"],
    ["RUNLEDGER_LOGLEVEL", "RUNLEDGER_LOG_LEVEL"],
  ])("%s, with the one that was meant", (name, meant) => {
    expect(refusal({ [name]: SECRET })).toBe(
      `${name} is not a variable of Runledger: did you mean ${meant}?`,
    );
  });

  it.each(["RUNLEDGER_", "RUNLEDGER_TEST_FOLDER", "RUNLEDGER_REQUIRE_SERVERS"])(
    "%s, which resembles none",
    (name) => expect(refusal({ [name]: "1" })).toBe(`${name} is not a variable of Runledger`),
  );
});

describe("a limit", () => {
  const format = {
    EVENT_BYTES: [1024, 262_144],
    PARENT_EVENT_BYTES: [1024, 786_432],
    APPEND_EVENTS: [1, 100],
    APPEND_BYTES: [1024, 786_432],
    RUN_EVENTS: [101, 10_000],
    COMMAND_ID_LENGTH: [36, 255],
  } as const;

  it.each(Object.entries(format))("of the log format can only be lowered: %s", (name, [min, max]) => {
    const variable = `RUNLEDGER_${name}_MAX`;
    for (const value of [min, max]) {
      expect(Object.values(parseConfig({ [variable]: String(value) }).limits)).toContain(value);
    }
    for (const value of [min - 1, max + 1]) {
      expect(refusal({ [variable]: String(value) })).toBe(
        `${variable} must be an integer from ${min} to ${max}, the log format's own limit, not "${value}"`,
      );
    }
  });

  it.each([
    ["BATCH_ITEMS", 1],
    ["BATCH_BYTES", 1024],
    ["BODY_BYTES", 1024],
    ["RECIPIENTS", 1],
    ["PAGE_SIZE", 1],
    ["METADATA_KEYS", 0],
    ["ENDPOINTS", 0],
    ["WEBHOOK_BODY_BYTES", 1024],
    ["APPEND_QUEUE", 1],
    ["IN_FLIGHT", 1],
    ["IN_FLIGHT_PER_ENDPOINT", 1],
  ])("of this server can be lowered and raised: %s", (name, min) => {
    const variable = `RUNLEDGER_${name}_MAX`;
    for (const value of [min, 123_456_789]) {
      expect(Object.values(parseConfig({ [variable]: String(value) }).limits)).toContain(value);
    }
    for (const value of [String(min - 1), "", "1k", "1e3", "9007199254740992"]) {
      expect(refusal({ [variable]: value })).toBe(
        `${variable} must be an integer from ${min}, not ${JSON.stringify(value)}`,
      );
    }
  });

  it("of one event is never above that of an append", () => {
    const { limits } = parseConfig({ RUNLEDGER_APPEND_BYTES_MAX: "4096" });
    expect(limits).toMatchObject({ appendBytesMax: 4096, eventBytesMax: 4096, parentEventBytesMax: 4096 });
  });
});
