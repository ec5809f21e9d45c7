import type { IncomingMessage } from "node:http";
import { z } from "zod";
import { invalidBody } from "../../shared/intake/invalid.ts";
import { parseJson } from "../../shared/intake/json.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { BODY_BYTES_MAX, readBody, requireJson } from "./body.ts";
import type { Permission } from "./permissions.ts";
import { listNames, parseQuery } from "./query.ts";
import type { Answer, Route } from "./route.ts";
import { invalidQuery } from "./to-problem.ts";

/** A route with all that can be worked out before the first request. */
export type Prepared = {
  route: Route;
  /** One of them is needed; undefined for everybody. */
  permissions: readonly Permission[] | undefined;
  queryLists: ReadonlySet<string>;
  takesCommandId: boolean;
  /** Throws where an answer is not what the route promises. */
  checkAnswer(answer: Answer): void;
};

const nothing = z.strictObject({});

export function prepare(route: Route): Prepared {
  const { permission, request, method } = route;
  const named = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const parsed = Object.keys(request.params?.shape ?? {});
  if (String(named.sort()) !== String(parsed.sort()))
    throw new Error(`${route.operationId}: params are ${named}`);
  return {
    route,
    permissions: permission === "public" ? undefined : ([permission].flat() as readonly Permission[]),
    queryLists: listNames(request.query ?? nothing),
    takesCommandId: method === "get" || (request.headers?.includes("Idempotency-Key") ?? false),
    checkAnswer: (answer) => checkAnswer(route, answer),
  };
}

/** What the operation takes of a request, parsed. Whatever does not fit is thrown as its problem. */
export async function receive(prepared: Prepared, req: IncomingMessage, pathParams: unknown) {
  const { request, bodyBytesMax } = prepared.route;
  if (!prepared.takesCommandId && req.headers["idempotency-key"] !== undefined) {
    throw new Problem("invalid_command_id", "This operation takes no Idempotency-Key.");
  }
  let body: unknown;
  if (request.body) {
    requireJson(req.headers);
    body = parseJson(await readBody(req, bodyBytesMax ?? BODY_BYTES_MAX));
  }
  return {
    params: request.params && parseParams(request.params, pathParams),
    query: query(prepared, req.url ?? ""),
    body: request.body && parseBody(request.body, body),
  };
}

function parseParams(schema: z.ZodObject, params: unknown): unknown {
  const parsed = schema.safeParse(params);
  if (parsed.success) return parsed.data;
  throw new Problem("not_found", "There is nothing with such an id.");
}

function query({ route, queryLists }: Prepared, url: string): unknown {
  const schema = route.request.query;
  if (schema === undefined && !url.includes("?")) return undefined;
  const given = parseQuery(url, queryLists);
  const parsed = (schema ?? nothing).safeParse(given);
  if (parsed.success) return parsed.data;
  throw invalidQuery(parsed.error.issues, given);
}

function parseBody(schema: z.ZodType, body: unknown): unknown {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw invalidBody(parsed.error.issues);
}

function checkAnswer({ operationId, responses, produces }: Route, { status, text, body }: Answer): void {
  const schema = responses[status];
  if (schema === undefined) throw new Error(`${operationId} does not promise ${status}`);
  if (schema === null) {
    if (text !== undefined || body !== undefined)
      throw new Error(`${operationId} promises no body with ${status}`);
    return;
  }
  const json = text ?? JSON.stringify(body);
  const written: unknown = produces === undefined ? JSON.parse(json) : text;
  const checked = schema.safeParse(written);
  if (!checked.success) throw new Error(`${operationId} ${status}: ${z.prettifyError(checked.error)}`);
}
