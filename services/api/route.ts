import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { z } from "zod";
import type { Actor } from "../../shared/domain/event.ts";
import { correlationId, etagOf, idempotencyKey, ifMatch, noneMatch } from "./headers.ts";
import type { Permission } from "./permissions.ts";
import type { ProblemCode } from "./problems.ts";

/** Who holds the key that a request came with. */
export type Principal = {
  workspace: string;
  keyId: string;
  actor: Actor;
  permissions: ReadonlySet<Permission>;
};

/** The request headers that an operation can declare; it then reads them itself, or through `commandOf`. */
export type RequestHeader = "Idempotency-Key" | "If-Match" | "If-None-Match" | "Ledger-Min-Position";

/** What an operation takes. Without a schema it takes nothing there. */
export type RequestShape = {
  /** A path with other values than these is unknown: 404. */
  params?: z.ZodObject;
  query?: z.ZodObject;
  headers?: readonly RequestHeader[];
  body?: z.ZodType;
  /** What the documentation says of the body, where `body` is parsed in steps that it cannot look into. */
  bodyShape?: z.ZodType;
};

type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

/** One of these permissions is enough; `public` needs no key. */
export type Access = Permission | readonly Permission[] | "public";

/** One request, admitted and parsed. */
export type Call<Shape extends RequestShape = RequestShape, Who extends Access = Permission> = {
  params: Parsed<Shape["params"]>;
  query: Parsed<Shape["query"]>;
  body: Parsed<Shape["body"]>;
  principal: Who extends "public" ? undefined : Principal;
  requestId: string;
  headers: IncomingHttpHeaders;
  request: IncomingMessage;
};

/** What is answered: a value to be written as JSON, or, where it was made already, its text. */
export type Answer = {
  status: number;
  body?: unknown;
  text?: string;
  headers?: Readonly<Record<string, string>>;
};

type Method = "get" | "post" | "put" | "patch" | "delete";

type Definition<Shape extends RequestShape, Who extends Access> = {
  method: Method;
  /** Parameters in braces: `/v1/runs/{runId}`. */
  path: `/${string}`;
  operationId: string;
  summary: string;
  description?: string;
  permission: Who;
  request: Shape;
  /** By status, what the body is; `null` where there is none. */
  responses: Readonly<Record<number, z.ZodType | null>>;
  /** Beside those that every operation can have. */
  problems: readonly ProblemCode[];
  example?: { body?: unknown; answer?: unknown };
  bodyBytesMax?: number;
  /** What it answers with; JSON unless said. */
  produces?: string;
  handle(call: Call<Shape, Who>): Answer | Promise<Answer>;
};

/** One operation: routing, admission, validation and the documentation all follow from it. */
export type Route = Omit<Definition<RequestShape, Access>, "handle"> & {
  handle(call: ErasedCall): Answer | Promise<Answer>;
};

/** A call of whatever operation; only the operation's own `handle` knows the members' types. */
export type ErasedCall = Omit<Call, "params" | "query" | "body" | "principal"> & {
  params: unknown;
  query: unknown;
  body: unknown;
  principal: Principal | undefined;
};

/** Declares an operation. One without a permission does not compile. */
export function route<const Shape extends RequestShape, const Who extends Access>(
  definition: Definition<Shape, Who>,
): Route {
  // The table holds operations of every shape: app.ts calls each with exactly what its own schemas made.
  return definition as unknown as Route;
}

export function answer(status: number, body?: unknown, headers?: Readonly<Record<string, string>>): Answer {
  return headers ? { status, body, headers } : { status, body };
}

/** 200 with an `ETag`, or 304 where the client has this body already. */
export function taggedAnswer(call: Pick<ErasedCall, "headers">, revision: number, body: unknown): Answer {
  const text = JSON.stringify(body);
  const etag = etagOf(revision, text);
  if (noneMatch(call.headers, etag)) return { status: 304, headers: { ETag: etag } };
  return { status: 200, text, headers: { ETag: etag } };
}

type Asking = Pick<Call, "principal" | "requestId" | "headers">;

/** Who asks the ledger for something, and under which id. */
export function commandOf({ principal, requestId, headers }: Asking) {
  const commandId = idempotencyKey(headers);
  return {
    workspace: principal.workspace,
    actor: principal.actor,
    requestId,
    correlationId: correlationId(headers),
    ...(commandId === undefined ? {} : { commandId }),
  };
}

/** The same, on top of the revision that the caller has seen, where the operation declares `If-Match`. */
export function commandOnTopOf(call: Asking) {
  const ifRevision = ifMatch(call.headers);
  return ifRevision === undefined ? commandOf(call) : { ...commandOf(call), ifRevision };
}
