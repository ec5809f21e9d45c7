import { describe, expect, it } from "vitest";
import { z } from "zod";
import { catalogue } from "../../../services/api/problems.ts";
import { openTestServer } from "../../support/open-server.ts";

type Schema = { [member: string]: unknown };
type Content = { [type: string]: { schema: Schema; example?: unknown } };
type Operation = {
  operationId: string;
  summary: string;
  description?: string;
  tags: string[];
  security?: unknown[];
  parameters: { name: string; in: string; required: boolean; schema: Schema }[];
  requestBody?: { required: boolean; content: Content };
  responses: { [status: string]: { description: string; content?: Content } };
};
type Document = {
  openapi: string;
  paths: { [path: string]: { [method: string]: Operation } };
  components: { schemas: { [name: string]: Schema } };
};

/** As anybody gets it, without a key. */
async function served(): Promise<Document> {
  const server = await openTestServer();
  const response = await fetch(`${server.url}/openapi.json`);
  expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
  return (await response.json()) as Document;
}

const operationsOf = ({ paths }: Document) =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
  );

/** A schema of the document as a validator. */
const validatorOf = (schema: Schema, { components }: Document) =>
  z.fromJSONSchema(
    JSON.parse(
      JSON.stringify({ ...schema, $defs: components.schemas }).replaceAll(
        "#/components/schemas/",
        "#/$defs/",
      ),
    ),
  );

describe("the document of the whole API", () => {
  it("names every operation once, with what it needs and what it answers", async () => {
    const document = await served();
    expect(document.openapi).toBe("3.1.0");
    const operations = operationsOf(document);
    const ids = operations.map(({ operationId }) => operationId);
    expect(ids.toSorted()).toEqual(
      [
        ...["createRun", "recordEvents", "recordBatch", "getRun", "listRuns", "listRecipientRuns"],
        ...["listRunRecipientRuns", "listRunSteps", "listRunEvents", "listEvents", "listDeliveries"],
        ...["getDelivery", "createWebhookEndpoint", "listWebhookEndpoints", "getWebhookEndpoint"],
        ...[
          "changeWebhookEndpoint",
          "deleteWebhookEndpoint",
          "createKey",
          "listKeys",
          "rotateKey",
          "revokeKey",
        ],
        ...["createWorkspace", "getHealth", "getReadiness", "getMetrics", "listProblems", "getProblem"],
        ...["sendWebhookExample", "challengeWebhookEndpoint", "listWebhookEventTypes"],
        ...["rotateWebhookSecret", "endWebhookSecretOverlap", "revealWebhookSecret", "listWebhookKeys"],
        ...["resendDelivery", "explainDelivery", "createReplay", "listReplays", "getReplay", "cancelReplay"],
        ...["getWebhookEndpointHealth", "getOpenApi"],
      ].toSorted(),
    );
    for (const { operationId, path, summary, parameters, responses, security, description } of operations) {
      expect([operationId, summary.length > 0]).toEqual([operationId, true]);
      const inPath = parameters
        .filter((one) => one.in === "path")
        .map(({ name, required }) => [name, required]);
      expect([path, inPath]).toEqual([
        path,
        [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, true]),
      ]);
      expect(Object.keys(responses).some((status) => status.startsWith("2"))).toBe(true);
      const names = parameters.map((one) => `${one.in} ${one.name.toLowerCase()}`);
      expect(new Set(names).size).toBe(names.length);
      // Either everybody may, or it says which permission is needed.
      expect([operationId, security === undefined]).toEqual([
        operationId,
        /^Needs `|\n\nNeeds `/.test(description ?? ""),
      ]);
    }
  });

  it("has no reference that leads nowhere, and no schema that nobody uses", async () => {
    const document = await served();
    const text = JSON.stringify(document);
    const named = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref]) => ref ?? "");
    const names = new Set(named.map((ref) => ref.replace("#/components/schemas/", "")));
    expect([...names].toSorted()).toEqual(Object.keys(document.components.schemas).toSorted());
    for (const leftover of ["$defs", "$schema", '"id":"Run"', '"~standard"'])
      expect(text).not.toContain(leftover);
  });

  it("shows examples that fit, of every body, and of every answer that has one", async () => {
    const document = await served();
    for (const { operationId, requestBody, responses } of operationsOf(document)) {
      const bodies = requestBody ? [requestBody.content] : [];
      const answers = Object.entries(responses).flatMap(([status, { content }]) =>
        content && Number(status) < 300 ? [content] : [],
      );
      for (const content of [...bodies, ...answers]) {
        const json = content["application/json"];
        if (!json) continue;
        expect([operationId, json.example !== undefined]).toEqual([operationId, true]);
        const { error } = validatorOf(json.schema, document).safeParse(json.example);
        expect([operationId, error && z.prettifyError(error)]).toEqual([operationId, undefined]);
      }
    }
  });

  it("describes what can be reported, by itself, in an array and in a batch", async () => {
    const document = await served();
    const bodyOf = (path: string) => {
      const schema = document.paths[path]?.post?.requestBody?.content["application/json"]?.schema ?? {};
      const validator = validatorOf(schema, document);
      return (body: unknown) => validator.safeParse(body).success;
    };
    const events = bodyOf("/v1/runs/{runId}/events");
    const asks = { type: "run.awaiting_input", data: { prompt: "?" } };
    for (const good of [
      { type: "run.started" },
      [{ type: "run.started" }, asks],
      { ...asks, id: "a", at: "now" },
    ])
      expect([good, events(good)]).toEqual([good, true]);
    for (const bad of [
      { type: "run.created" },
      { type: "x" },
      [],
      [{}],
      { ...asks, data: {} },
      { ...asks, more: 1 },
    ])
      expect([bad, events(bad)]).toEqual([bad, false]);
    const batch = bodyOf("/v1/events");
    expect(
      batch([
        { type: "run.created", id: "a", data: { workflow: "w" } },
        { ...asks, runKey: "a" },
      ]),
    ).toBe(true);
    expect(batch({ type: "run.started", runKey: "a" })).toBe(false);
    expect(batch([{ type: "run.created", data: {} }])).toBe(false);
  });

  it("names for every operation the problems that it can answer with", async () => {
    const { paths } = await served();
    const problemsOf = (path: string, method: string, status: number) => {
      const text = paths[path]?.[method]?.responses[status]?.description ?? "";
      return [...text.matchAll(/`(\w+)`/g)].map(([, code]) => code);
    };
    expect(problemsOf("/v1/runs", "post", 422)).toEqual([
      "invalid_body",
      "at_in_future",
      "duplicate_recipients",
    ]);
    expect(problemsOf("/v1/runs", "post", 409)).toEqual(["idempotency_conflict"]);
    expect(problemsOf("/v1/runs/{runId}/events", "post", 412)).toEqual(["revision_mismatch"]);
    expect(problemsOf("/v1/events", "get", 410)).toEqual(["position_moved"]);
    expect(problemsOf("/v1/events", "post", 400)).toEqual([
      "invalid_header",
      "invalid_command_id",
      "malformed_json",
    ]);
    expect(problemsOf("/v1/runs", "get", 503)).toEqual([
      "shutting_down",
      "projection_behind",
      "views_rebuilding",
    ]);
    expect(problemsOf("/v1/webhook-endpoints/{endpointId}", "delete", 409)).toEqual(["endpoint_deleted"]);
  });
});

describe("the list of problems", () => {
  it("has every code, and each code's type leads to what it means", async () => {
    const { get } = await openTestServer();
    const { body } = await get<{ items: { code: string; type: string; status: number }[] }>("/v1/problems");
    expect(body.items.map(({ code }) => code)).toEqual(Object.keys(catalogue));
    for (const item of body.items) expect((await get(item.type)).body).toEqual(item);
    expect((await get("/v1/problems/no_such")).status).toBe(404);
    expect((await get("/v1/problems/__proto__")).status).toBe(404);
    const { body: problem } = await get("/v1/runs/x");
    expect((await get(String(problem.type))).body).toMatchObject({ code: "not_found", status: 404 });
  });
});
