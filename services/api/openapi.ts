import { z } from "zod";
import { STATUS_CODES } from "../../shared/platform/http.ts";
import { catalogue, type ProblemCode, type ProblemEntry } from "./problems.ts";
import type { RequestHeader, Route } from "./route.ts";

type Schema = { [member: string]: unknown };
type Components = { [id: string]: Schema };

/** What every answer to a failed request looks like. */
export const ProblemBody = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    detail: z.string(),
    requestId: z.string(),
  })
  .meta({ id: "Problem", description: "RFC 9457. `code` is stable; other members depend on it." });

const headerDescriptions: Record<RequestHeader, string> = {
  "Idempotency-Key":
    "A command id, 1 to 255 visible ASCII characters. The same command is answered alike, for ever.",
  "If-Match": "An ETag: another revision of the resource answers 412.",
  "If-None-Match": "An ETag: the same resource answers 304.",
  "Ledger-Min-Position": "A position that the view must have reached; waits up to two seconds for it.",
};

/** One type of webhook, as whoever receives it has to take it. */
export type WebhookOperation = {
  type: string;
  description: string;
  /** By the version of the body that the endpoint is pinned to. */
  bodies: readonly { bodyVersion: number; body: z.ZodType; example: unknown }[];
};

/** The OpenAPI 3.1 document of a route table, and of what is sent to webhook endpoints. */
export function openApi(
  routes: readonly Route[],
  version: string,
  webhooks: readonly WebhookOperation[] = [],
) {
  const components: Components = {};
  const paths: { [path: string]: { [method: string]: Schema } } = {};
  schemaOf(ProblemBody, components);
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: operation(route, components) };
  }
  const sent = webhooks.map((one) => [one.type, { post: webhookOperation(one, components) }] as const);
  return {
    openapi: "3.1.0",
    info: {
      title: "Runledger",
      version,
      description: "An open-source, event-sourced ledger for workflow runs.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{ apiKey: [] }],
    paths,
    ...(sent.length === 0 ? {} : { webhooks: Object.fromEntries(sent) }),
    components: {
      securitySchemes: { apiKey: { type: "http", scheme: "bearer", description: "An API key: `rl_…`." } },
      schemas: components,
    },
  };
}

const webhookHeaders: { [name: string]: string } = {
  "webhook-id": "The delivery: the same in every attempt.",
  "webhook-timestamp": "When this attempt was made, in seconds since 1970.",
  "webhook-signature": "Signatures over id, timestamp and body, with spaces between: see Standard Webhooks.",
  "ledger-position": "Where its event is in the log.",
};

function webhookOperation({ type, description, bodies }: WebhookOperation, components: Components): Schema {
  const schemas = bodies.map(({ body }) => schemaOf(body, components));
  return {
    summary: type,
    description,
    tags: ["webhooks"],
    security: [],
    parameters: Object.entries(webhookHeaders).map(([name, about]) => ({
      name,
      in: "header",
      required: true,
      description: about,
      schema: { type: "string" },
    })),
    requestBody: {
      required: true,
      content: { "application/json": media({ anyOf: schemas }, bodies[0]?.example) },
    },
    responses: {
      "2XX": { description: "It was taken. Every other answer is followed by another attempt." },
      "410": { description: "The endpoint is gone: it is disabled." },
    },
  };
}

function operation(route: Route, components: Components): Schema {
  const { operationId, summary, description, permission, request } = route;
  const isPublic = permission === "public";
  const needed = isPublic
    ? undefined
    : `Needs ${[permission]
        .flat()
        .map((one) => `\`${one}\``)
        .join(" or ")}.`;
  const text = [description, needed].filter((part) => part !== undefined).join("\n\n");
  const made: Schema = {
    operationId,
    summary,
    ...(text === "" ? {} : { description: text }),
    tags: [route.path.split("/")[2] ?? "server"],
    ...(isPublic ? { security: [] } : {}),
    parameters: [
      ...objectParameters("path", request.params, components),
      ...objectParameters("query", request.query, components),
      ...(request.headers ?? []).map(headerParameter),
    ],
    responses: { ...answers(route, components), ...problemAnswers(route) },
  };
  if (request.body) {
    const example = route.example?.body;
    made.requestBody = {
      required: true,
      content: {
        "application/json": media(schemaOf(request.bodyShape ?? request.body, components), example),
      },
    };
  }
  return made;
}

function media(schema: Schema, example: unknown): Schema {
  return example === undefined ? { schema } : { schema, example };
}

function objectParameters(
  place: "path" | "query",
  shape: z.ZodObject | undefined,
  components: Components,
): Schema[] {
  if (shape === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(shape, components) as {
    properties?: { [name: string]: Schema };
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => {
    const { description, ...rest } = schema;
    const isList = rest.type === "array";
    return {
      name,
      in: place,
      required: place === "path" || required.includes(name),
      ...(description === undefined ? {} : { description }),
      ...(isList ? { style: "form", explode: true } : {}),
      schema: rest,
    };
  });
}

function headerParameter(name: RequestHeader): Schema {
  return {
    name,
    in: "header",
    required: false,
    description: headerDescriptions[name],
    schema: { type: "string" },
  };
}

function answers(route: Route, components: Components): Schema {
  const made: Schema = {};
  for (const [status, schema] of Object.entries(route.responses)) {
    const description = STATUS_CODES[status] ?? status;
    if (schema === null) made[status] = { description };
    else {
      const type = route.produces ?? "application/json";
      const example = Number(status) < 300 ? route.example?.answer : undefined;
      made[status] = { description, content: { [type]: media(schemaOf(schema, components), example) } };
    }
  }
  return made;
}

/** The codes that any operation can answer with, because of what it takes. */
function commonProblems({ method, permission, request }: Route): ProblemCode[] {
  const codes: ProblemCode[] = ["not_acceptable", "internal", "shutting_down"];
  if (permission !== "public") codes.push("unauthenticated", "key_expired", "key_revoked", "forbidden");
  if (request.params) codes.push("not_found");
  if (request.query) codes.push("invalid_query");
  if (request.headers?.some((name) => name !== "If-None-Match") || method !== "get")
    codes.push("invalid_header");
  // Also where it is not taken: it would be lost.
  if (method !== "get") codes.push("invalid_command_id");
  if (request.body) codes.push("malformed_json", "invalid_body", "body_too_large", "unsupported_media_type");
  return codes;
}

function problemAnswers(route: Route): Schema {
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of new Set([...commonProblems(route), ...route.problems])) {
    const { status }: ProblemEntry = catalogue[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const made: Schema = {};
  for (const [status, codes] of [...byStatus].sort(([one], [other]) => one - other)) {
    made[status] = {
      description: codes.map((code) => `\`${code}\`: ${catalogue[code].title}`).join(". "),
      content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
    };
  }
  return made;
}

/** A schema as JSON Schema. What has an id of its own goes to the components, and is named from here. */
function schemaOf(schema: z.ZodType, components: Components): Schema {
  const made = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  const { $schema: _dialect, $defs = {}, id, ...rest }: Schema & { $defs?: Components } = rewritten(made);
  for (const [name, definition] of Object.entries($defs)) components[name] ??= withoutId(definition);
  if (typeof id !== "string") return rest;
  components[id] ??= rest;
  return { $ref: `#/components/schemas/${id}` };
}

const withoutId = ({ id: _id, ...rest }: Schema): Schema => rest;

/** OpenAPI keeps shared schemas elsewhere than JSON Schema does. */
function rewritten(schema: object): Schema {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/'));
}
