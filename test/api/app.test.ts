import { describe, expect, it } from "vitest";
import { z } from "zod";
import { answer, route, taggedAnswer } from "../../services/api/route.ts";
import { Refusal } from "../../shared/ledger/command.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { serveApi } from "../support/serve-api.ts";

const ThingParams = z.strictObject({ thingId: z.string().regex(/^thing_\d+$/) });
const Thing = z.strictObject({
  name: z.string(),
  size: z.int().max(9).optional(),
  tags: z.array(z.string()).optional(),
});

const create = route({
  method: "post",
  path: "/v1/things",
  operationId: "createThing",
  summary: "Creates a thing",
  permission: "runs:create",
  request: { headers: ["Idempotency-Key"], body: Thing },
  responses: { 201: Thing },
  problems: ["run_full"],
  handle: ({ body }) => answer(201, body, { Location: "/v1/things/thing_1" }),
});
const list = route({
  method: "get",
  path: "/v1/things",
  operationId: "listThings",
  summary: "Lists things",
  permission: ["runs:list", "runs:read"],
  request: { query: z.strictObject({ status: z.array(z.string()).optional(), name: z.string().optional() }) },
  responses: { 200: z.looseObject({}) },
  problems: [],
  handle: ({ query, principal }) => answer(200, { ...query, workspace: principal.workspace }),
});
const get = route({
  method: "get",
  path: "/v1/things/{thingId}",
  operationId: "getThing",
  summary: "Shows a thing",
  permission: "runs:read",
  request: { params: ThingParams },
  responses: { 200: z.looseObject({ id: z.string() }), 304: null },
  problems: [],
  handle: (call) => taggedAnswer(call, 7, { id: call.params.thingId }),
});
const remove = route({
  method: "delete",
  path: "/v1/things/{thingId}",
  operationId: "deleteThing",
  summary: "Deletes a thing",
  permission: "runs:create",
  request: { params: ThingParams },
  responses: { 204: null },
  problems: [],
  handle: () => answer(204),
});
const open = route({
  method: "get",
  path: "/open",
  operationId: "open",
  summary: "Is there for everybody",
  permission: "public",
  request: {},
  responses: { 200: z.strictObject({ who: z.null() }) },
  problems: [],
  handle: ({ principal }) => answer(200, { who: principal ?? null }),
});
const things = [create, list, get, remove, open];

/** One public route that does this. */
const doing = (handle: () => ReturnType<typeof answer>) =>
  route({ ...open, permission: "public", request: {}, responses: { 200: z.looseObject({}) }, handle });

describe("the API routes a request", () => {
  it("to the operation of its method and path", async () => {
    const { call } = await serveApi(things);
    const created = await call("POST", "/v1/things", { name: "a" });
    expect(created).toMatchObject({ status: 201, body: { name: "a" } });
    expect(created.headers.get("location")).toBe("/v1/things/thing_1");
    expect(await call("GET", "/v1/things/thing_1")).toMatchObject({ status: 200, body: { id: "thing_1" } });
    expect(await call("DELETE", "/v1/things/thing_1")).toMatchObject({ status: 204, text: "" });
  });

  it("and answers HEAD like GET, without the body", async () => {
    const { call } = await serveApi(things);
    const reply = await call("HEAD", "/v1/things/thing_1");
    expect(reply).toMatchObject({ status: 200, text: "" });
    expect(reply.headers.get("content-length")).toBe("16");
  });

  it.each([
    "/nowhere",
    "/v1/things/",
    "/V1/things",
    "/v1/things/thing_1/",
    "/v1/things/%ff",
    "/v1/things/other",
  ])("to nowhere: %s", async (path) => {
    const { call } = await serveApi(things);
    const { status, body } = await call("GET", path);
    expect(status).toBe(404);
    expect({ ...body, requestId: "" }).toEqual({
      type: "/v1/problems/not_found",
      title: "Not found",
      status: 404,
      code: "not_found",
      detail: "There is nothing here that this key can see: an unknown id, or an unknown route.",
      requestId: "",
    });
  });

  it("to a path that has other methods: 405 with Allow, before any key is asked for", async () => {
    const { call } = await serveApi(things);
    for (const method of ["PUT", "PATCH", "OPTIONS"]) {
      const reply = await call(method, "/v1/things", undefined, { authorization: "" });
      expect(reply).toMatchObject({ status: 405, body: { code: "method_not_allowed" } });
      expect(reply.headers.get("allow")).toBe("GET, HEAD, POST");
    }
  });
});

describe("the API admits a request", () => {
  it.each([
    {},
    { authorization: "Basic good" },
    { authorization: "Bearer" },
    { authorization: "Bearer bad" },
  ])("only with a key: %j", async (headers) => {
    const { call } = await serveApi(things);
    const reply = await call("POST", "/v1/things", "not even JSON", { authorization: "", ...headers });
    expect(reply).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
    expect(reply.headers.get("www-authenticate")).toBe("Bearer");
  });

  it("whose key is looked up somewhere else, too", async () => {
    const { call } = await serveApi(things, {
      authenticate: async () => new Problem("key_revoked", "The API key was revoked."),
    });
    expect(await call("GET", "/v1/things")).toMatchObject({ status: 401, body: { code: "key_revoked" } });
  });

  it("only with a permission, and names those that would do", async () => {
    const { call } = await serveApi(things);
    const none = { authorization: "bearer none" };
    expect(await call("POST", "/v1/things", "not even JSON", none)).toMatchObject({
      status: 403,
      body: { code: "forbidden", permissions: ["runs:create"] },
    });
    expect((await call("GET", "/v1/things", undefined, none)).body.permissions).toEqual([
      "runs:list",
      "runs:read",
    ]);
  });

  it("without a key where a route is public", async () => {
    const { call } = await serveApi(things);
    expect(await call("GET", "/open", undefined, { authorization: "" })).toMatchObject({
      body: { who: null },
    });
  });

  it("unless it is stopping", async () => {
    const { call } = await serveApi(things, { isClosing: () => true });
    const reply = await call("GET", "/open");
    expect(reply).toMatchObject({ status: 503, body: { code: "shutting_down" } });
    expect(reply.headers.get("retry-after")).toBe("2");
  });

  it.each(["application/json", "*/*", "text/html, application/*;q=0.1", "application/json;q=1, */*;q=0"])(
    "that accepts JSON: %s",
    async (accept) => {
      const { call } = await serveApi(things);
      expect((await call("GET", "/open", undefined, { accept })).status).toBe(200);
    },
  );

  it.each(["text/html", "application/json;q=0", "application/xml, text/*", "*/*, application/json;q=0"])(
    "but not one that excludes it: %s",
    async (accept) => {
      const { call } = await serveApi(things);
      expect(await call("GET", "/open", undefined, { accept })).toMatchObject({
        status: 406,
        body: { code: "not_acceptable" },
      });
    },
  );
});

describe("the API reads", () => {
  it("query parameters, several where a list is declared", async () => {
    const { call } = await serveApi(things);
    const { body } = await call("GET", "/v1/things?status=a%20b&status=c+d&name=%C3%A9");
    expect(body).toEqual({ status: ["a b", "c d"], name: "é", workspace: "default" });
    expect((await call("GET", "/v1/things?status=a")).body.status).toEqual(["a"]);
    expect((await call("GET", "/v1/things?")).status).toBe(200);
  });

  it.each([
    ["/v1/things?nme=a", "nme"],
    ["/v1/things?name=a&name=b", "name"],
    ["/v1/things?name=%ff", "name"],
    ["/v1/things?__proto__=a", "__proto__"],
    ["/v1/things?status[]=a", "status[]"],
    ["/open?x", "x"],
  ])("no other query: %s", async (path, parameter) => {
    const { call } = await serveApi(things);
    expect(await call("GET", path)).toMatchObject({
      status: 400,
      body: { code: "invalid_query", parameter },
    });
  });

  it("a body that fits, and says every place where one does not", async () => {
    const { call } = await serveApi(things);
    const { status, body } = await call("POST", "/v1/things", { size: 10, tags: ["a", 1], "x/y": 1 });
    expect(status).toBe(422);
    expect(body).toMatchObject({ code: "invalid_body", title: "Invalid body", status: 422 });
    const places = (body.errors as { pointer: string; code: string }[]).map(({ pointer, code }) => [
      pointer,
      code,
    ]);
    expect(places.sort()).toEqual([
      ["/name", "invalid_type"],
      ["/size", "too_big"],
      ["/tags/1", "invalid_type"],
      ["/x~1y", "unknown_member"],
    ]);
  });

  it("a body as I-JSON", async () => {
    const { call } = await serveApi(things);
    expect(await call("POST", "/v1/things", '{"name":')).toMatchObject({
      status: 400,
      body: { code: "malformed_json", offset: 8 },
    });
    expect(await call("POST", "/v1/things", '{"name":"a","name":"b"}')).toMatchObject({
      status: 422,
      body: { code: "invalid_body" },
    });
    expect(await call("POST", "/v1/things", '{"name":"a","__proto__":{}}')).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: "/__proto__", code: "unknown_member" }] },
    });
  });

  it("no command id where there is none to take", async () => {
    const { call } = await serveApi(things);
    const key = { "idempotency-key": "a" };
    expect(await call("DELETE", "/v1/things/thing_1", undefined, key)).toMatchObject({
      status: 400,
      body: { code: "invalid_command_id" },
    });
    expect((await call("POST", "/v1/things", { name: "a" }, key)).status).toBe(201);
    expect((await call("GET", "/v1/things", undefined, key)).status).toBe(200);
  });
});

describe("the API answers", () => {
  it("with the client's request id where it can be taken, else with one of its own", async () => {
    const { call } = await serveApi(things);
    const given = await call("GET", "/open", undefined, { "x-request-id": "a.b:c-1" });
    expect(given.headers.get("x-request-id")).toBe("a.b:c-1");
    const own = await call("GET", "/nowhere", undefined, { "x-request-id": "a b" });
    expect(own.headers.get("x-request-id")).toMatch(/^req_[0-7][0-9a-z]{25}$/);
    expect(own.body.requestId).toBe(own.headers.get("x-request-id"));
  });

  it("with its version, and nothing of what it is made of", async () => {
    const { call } = await serveApi(things);
    const { headers } = await call("GET", "/open");
    expect(headers.get("runledger-version")).toBe("1.2.3");
    expect(headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(headers.has("x-powered-by")).toBe(false);
    expect(headers.has("etag")).toBe(false);
    expect(headers.has("access-control-allow-origin")).toBe(false);
  });

  it("304 to whoever has the body already", async () => {
    const { call } = await serveApi(things);
    const etag = (await call("GET", "/v1/things/thing_1")).headers.get("etag") ?? "";
    expect(etag).toMatch(/^"7\.[0-9a-f]{32}"$/);
    const again = await call("GET", "/v1/things/thing_1", undefined, { "if-none-match": etag });
    expect(again).toMatchObject({ status: 304, text: "" });
    expect((await call("GET", "/v1/things/thing_2", undefined, { "if-none-match": etag })).status).toBe(200);
  });

  it("a refusal with its code, and whether to try again", async () => {
    const handle = () => {
      throw new Refusal("idempotency_conflict", "this id is taken", { position: "12" });
    };
    const { call } = await serveApi([doing(handle)]);
    const reply = await call("GET", "/open");
    expect(reply).toMatchObject({ status: 409, body: { code: "idempotency_conflict", position: "12" } });
    expect(reply.headers.get("x-should-retry")).toBe("false");
    expect(reply.headers.get("content-type")).toBe("application/problem+json; charset=utf-8");
  });

  it("a fault without what was wrong, which the log hears once", async () => {
    const handle = () => {
      throw new Error("the password is swordfish");
    };
    const { call, lines } = await serveApi([doing(handle)]);
    const reply = await call("GET", "/open");
    expect(reply).toMatchObject({ status: 500, body: { code: "internal" } });
    expect(reply.text).not.toContain("swordfish");
    expect(lines.filter(({ level }) => level === "error")).toMatchObject([
      { message: "request.faulted", fields: { err: expect.any(Error), requestId: reply.body.requestId } },
    ]);
  });

  it("nothing that its route does not promise, while that is watched", async () => {
    const { call, lines } = await serveApi([doing(() => answer(202, {}))]);
    expect((await call("GET", "/open")).status).toBe(500);
    expect(String(lines[0]?.fields.err)).toContain("does not promise 202");
  });

  it("and says so in one line, and to whoever counts", async () => {
    const { call, lines, answered } = await serveApi(things);
    await call("GET", "/v1/things/thing_1", undefined, { "x-request-id": "one" });
    await call("GET", "/nowhere", undefined, { "x-request-id": "two" });
    expect(lines.map(({ message, fields }) => ({ message, ...fields, durationMs: 0 }))).toEqual([
      {
        message: "request.answered",
        method: "GET",
        route: "/v1/things/{thingId}",
        status: 200,
        durationMs: 0,
        requestId: "one",
        keyId: "k000000000",
      },
      {
        message: "request.answered",
        method: "GET",
        route: "unmatched",
        status: 404,
        durationMs: 0,
        requestId: "two",
      },
    ]);
    expect(answered).toHaveLength(2);
  });
});

describe("a page in a browser", () => {
  const cors = { corsOrigins: ["https://console.example"] };
  const preflight = { origin: "https://console.example", "access-control-request-method": "POST" };

  it("may call from an origin that is configured", async () => {
    const { call } = await serveApi(things, cors);
    const asked = await call("OPTIONS", "/v1/things", undefined, {
      ...preflight,
      "access-control-request-headers": "authorization",
    });
    expect(asked.status).toBe(204);
    expect(asked.headers.get("access-control-allow-origin")).toBe("https://console.example");
    expect(asked.headers.get("access-control-allow-methods")).toBe("GET, HEAD, POST");
    expect(asked.headers.get("access-control-allow-headers")).toBe("authorization");
    const called = await call("GET", "/open", undefined, { origin: "https://console.example" });
    expect(called.headers.get("access-control-allow-origin")).toBe("https://console.example");
    expect(called.headers.get("access-control-expose-headers")).toContain("Ledger-Position");
  });

  it("may not from another", async () => {
    const { call } = await serveApi(things, cors);
    const other = { ...preflight, origin: "https://other.example" };
    expect((await call("OPTIONS", "/v1/things", undefined, other)).status).toBe(405);
    const called = await call("GET", "/open", undefined, { origin: "https://other.example" });
    expect(called.headers.has("access-control-allow-origin")).toBe(false);
    expect(called.headers.get("vary")).toBe("Origin");
  });
});
