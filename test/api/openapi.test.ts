import { describe, expect, it } from "vitest";
import { z } from "zod";
import { metaRoutes } from "../../services/api/meta.ts";
import { openApi } from "../../services/api/openapi.ts";
import { answer, type Route, route } from "../../services/api/route.ts";
import { Instant, Json } from "../../shared/domain/event.ts";
import { serveApi } from "../support/serve-api.ts";

const Part = z.strictObject({ at: Instant, data: Json }).meta({ id: "Part" });
const Thing = z.strictObject({ parts: z.array(Part), size: z.int().optional() }).meta({ id: "Thing" });
const put = route({
  method: "put",
  path: "/v1/things/{thingId}",
  operationId: "putThing",
  summary: "Puts a thing",
  description: "Where it belongs.",
  permission: ["runs:create", "runs:record"],
  request: {
    params: z.strictObject({ thingId: z.string() }),
    query: z.strictObject({
      status: z.array(z.enum(["a", "b"])).optional(),
      size: z.string().meta({ description: "How large." }),
    }),
    headers: ["Idempotency-Key", "If-Match"],
    body: Thing,
  },
  responses: { 200: Thing, 204: null },
  problems: ["run_full", "idempotency_conflict"],
  example: { body: { parts: [] }, answer: { parts: [], size: 1 } },
  handle: ({ body }) => answer(200, body),
});
const table: Route[] = [put];
table.push(...metaRoutes(() => table, "1.2.3"));

describe("the OpenAPI document", () => {
  const document = openApi(table, "1.2.3");
  const operation = document.paths["/v1/things/{thingId}"]?.put ?? {};

  it("is served, and names every operation of the table", async () => {
    const { call } = await serveApi(table);
    const { body } = await call("GET", "/openapi.json", undefined, { authorization: "" });
    expect(body).toEqual(JSON.parse(JSON.stringify(document)));
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map((one) => one.operationId),
    );
    expect(ids.sort()).toEqual(table.map(({ operationId }) => operationId).sort());
  });

  it("lists the parameters: those of the path, of the query, and the headers", () => {
    const parameters = operation.parameters as { name: string; in: string; required: boolean }[];
    expect(parameters.map((one) => [one.name, one.in, one.required])).toEqual([
      ["thingId", "path", true],
      ["status", "query", false],
      ["size", "query", true],
      ["Idempotency-Key", "header", false],
      ["If-Match", "header", false],
    ]);
    expect(parameters[1]).toMatchObject({ style: "form", explode: true, schema: { type: "array" } });
    expect(parameters[2]).toMatchObject({ description: "How large." });
  });

  it("shares the schemas that have a name", () => {
    expect(operation.requestBody).toMatchObject({
      content: {
        "application/json": { schema: { $ref: "#/components/schemas/Thing" }, example: { parts: [] } },
      },
    });
    const { schemas } = document.components;
    expect(Object.keys(schemas).sort()).toEqual(["Part", "Problem", "ProblemInfo", "Thing"]);
    expect(schemas.Thing).toMatchObject({
      properties: { parts: { items: { $ref: "#/components/schemas/Part" } } },
    });
    expect(schemas.Part).toMatchObject({ properties: { at: { type: "string" }, data: {} } });
    const text = JSON.stringify(document);
    for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) {
      expect(schemas).toHaveProperty(name ?? "");
    }
    expect(text).not.toContain("$defs");
    expect(text).not.toContain("$schema");
  });

  it("says what each status means, and names the problems", () => {
    const responses = operation.responses as Record<string, { description: string; content: object }>;
    expect(Object.keys(responses)).toEqual([
      "200",
      "204",
      "400",
      "401",
      "403",
      "404",
      "406",
      "409",
      "413",
      "415",
      "422",
      "500",
      "503",
    ]);
    expect(responses[200]).toMatchObject({
      description: "OK",
      content: { "application/json": { example: { size: 1 } } },
    });
    expect(responses[204]).toEqual({ description: "No Content" });
    expect(responses[409]?.description).toBe(
      "`run_full`: Run full. `idempotency_conflict`: Command id taken",
    );
    expect(responses[409]?.content).toEqual({
      "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
    });
  });

  it("says who may", () => {
    expect(operation.description).toBe("Where it belongs.\n\nNeeds `runs:create` or `runs:record`.");
    expect(operation).not.toHaveProperty("security");
    expect(document.security).toEqual([{ apiKey: [] }]);
    expect(document.paths["/v1/problems"]?.get).toMatchObject({ security: [] });
  });
});
