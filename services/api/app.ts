import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import express from "express";
import { Problem } from "../../shared/platform/errors.ts";
import { newId } from "../../shared/verification/ids.ts";
import { Gone } from "./body.ts";
import { clientRequestId } from "./headers.ts";
import { type Prepared, prepare, receive } from "./receive.ts";
import { accepts, type Headers, send } from "./respond.ts";
import type { Answer, Principal, Route } from "./route.ts";
import { toProblem } from "./to-problem.ts";

/** One answered request, for the log and for metrics. `route` is the template, never the path. */
export type Answered = {
  method: string;
  route: string;
  status: number;
  durationMs: number;
  requestId: string;
  keyId?: string;
};

/** What becomes of a command, as it does. */
export type TracedCommand = { admitted(workspace: string): void; ended(status: number): void };
export type Trace = (command: {
  method: string;
  route: string;
  requestId: string;
  traceparent: string | undefined;
}) => TracedCommand;

export type AppDeps = {
  /** Matched in this order: the busiest first. */
  routes: readonly Route[];
  /** Whose key this is; a Problem says why it is nobody's. */
  authenticate: (token: string) => Principal | Problem | Promise<Principal | Problem>;
  log: { info(fields: object, message: string): void; error(fields: object, message: string): void };
  version: string;
  /** Origins whose pages may call the API from a browser; none unless given. */
  corsOrigins?: readonly string[];
  onAnswered?: (answered: Answered) => void;
  /** Told of each command, which is whatever asks for more than to read. */
  trace?: Trace;
  /** While true, what still comes over connections that are open is answered, and each of them then ends. */
  isDraining?: () => boolean;
  /** While true, everything is answered 503 `shutting_down`. */
  isClosing?: () => boolean;
  /** In tests: an answer that is not what its route promises becomes a fault. */
  checkAnswers?: boolean;
};

const JSON_TYPE = "application/json; charset=utf-8";
const PROBLEM_TYPE = "application/problem+json; charset=utf-8";
const EXPOSED =
  "Ledger-Position, Idempotency-Replayed, ETag, Location, Retry-After, X-Request-Id, Runledger-Version";

/** The API: an Express router with one handler for each route of the table. It stands without an app around
 *  it, whose dressing of every request and answer nothing here uses and costs a quarter of the whole. */
export function createApp(deps: AppDeps): RequestListener {
  const router = express.Router({ strict: true, caseSensitive: true });
  const exchange = exchanges(deps);
  const paths = new Map<string, Route[]>();
  for (const route of deps.routes) {
    const path = route.path.replaceAll(/\{(\w+)\}/g, ":$1");
    paths.set(path, [...(paths.get(path) ?? []), route]);
    const prepared = prepare(route);
    router[route.method](path, (req, res) =>
      exchange(req, res, route.path, (visit) => operate(deps, prepared, req, req.params, visit)),
    );
  }
  for (const [path, routes] of paths) {
    const allow = allowed(routes);
    router.all(path, (req, res) => exchange(req, res, path, () => otherMethod(deps, req, allow)));
  }
  // The router itself fails only at a path that is not percent-encoded UTF-8: nothing has that path.
  const lost = (req: IncomingMessage, res: ServerResponse) => exchange(req, res, "unmatched", notFound);
  // A router takes what any server hands out; its types ask for an app's requests.
  const handle = router as unknown as (req: IncomingMessage, res: ServerResponse, done: () => void) => void;
  return (req, res) => handle(req, res, () => void lost(req, res));
}

/** What is known of a request before it is admitted. */
type Visit = { requestId: string; principal?: Principal; traced?: TracedCommand };
type Respond = (visit: Visit) => Answer | Promise<Answer>;

/** Wraps whatever answers: request id, common headers, problems, the line in the log. Never rejects. */
function exchanges(deps: AppDeps) {
  const { log, version, corsOrigins = [], onAnswered, isDraining, isClosing } = deps;
  const origins = new Set(corsOrigins);
  return async (
    req: IncomingMessage,
    res: ServerResponse,
    route: string,
    respond: Respond,
  ): Promise<void> => {
    const startMs = performance.now();
    const requestId = clientRequestId(req.headers) ?? newId("req");
    const visit: Visit = { requestId };
    if (deps.trace && !reads.has(req.method ?? "")) visit.traced = traceOf(deps.trace, req, route, requestId);
    const common = ["X-Request-Id", requestId, "Runledger-Version", version];
    if (origins.size > 0) addCors(common, origins, req.headers.origin);
    let status: number;
    try {
      if (isClosing?.()) throw new Problem("shutting_down", "The server is stopping.");
      const responded = respond(visit);
      const answered = responded instanceof Promise ? await responded : responded;
      status = answered.status;
      const text = answered.text ?? (answered.body === undefined ? undefined : JSON.stringify(answered.body));
      // A connection that stays open would keep a server that stops from ending.
      if (isDraining?.()) res.shouldKeepAlive = false;
      send(req, res, status, common, answered.headers, JSON_TYPE, text);
    } catch (error) {
      if (isDraining?.()) res.shouldKeepAlive = false;
      status = refuse(error, requestId, req, res, common, log);
    }
    const durationMs = Math.round((performance.now() - startMs) * 100) / 100;
    const fields: Answered = { method: req.method ?? "", route, status, durationMs, requestId };
    if (visit.principal) fields.keyId = visit.principal.keyId;
    visit.traced?.ended(status);
    onAnswered?.(fields);
    log.info(fields, "request.answered");
  };
}

const reads: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

function traceOf(trace: Trace, req: IncomingMessage, route: string, requestId: string): TracedCommand {
  const traceparent = req.headers.traceparent;
  const given = typeof traceparent === "string" ? traceparent : undefined;
  return trace({ method: req.method ?? "", route, requestId, traceparent: given });
}

/** Answers with the problem that was thrown, and says a fault to the log, once. */
function refuse(
  error: unknown,
  requestId: string,
  req: IncomingMessage,
  res: ServerResponse,
  common: readonly string[],
  log: AppDeps["log"],
): number {
  // 499, as proxies log it: the client closed its connection, nothing can be written any more.
  if (error instanceof Gone) return 499;
  const problem = toProblem(error, requestId);
  if ("fault" in problem) log.error({ err: problem.fault, requestId }, "request.faulted");
  if (!res.headersSent) {
    send(req, res, problem.status, common, problem.headers, PROBLEM_TYPE, JSON.stringify(problem.body));
  }
  return problem.status;
}

/** Admission in the order in which it is documented: key, permission, media types, body, then what the
 *  schemas say. */
async function operate(
  deps: AppDeps,
  prepared: Prepared,
  req: IncomingMessage,
  pathParams: unknown,
  visit: Visit,
): Promise<Answer> {
  const { route } = prepared;
  if (prepared.permissions) {
    const known = deps.authenticate(bearer(req.headers.authorization));
    const principal = known instanceof Promise ? await known : known;
    if (principal instanceof Problem) throw principal;
    visit.principal = principal;
    visit.traced?.admitted(principal.workspace);
    if (!prepared.permissions.some((permission) => principal.permissions.has(permission))) {
      throw forbidden(prepared.permissions);
    }
  }
  if (!accepts(req.headers.accept, route.produces ?? "application/json")) {
    throw new Problem("not_acceptable", `This answers ${route.produces ?? "application/json"}.`);
  }
  const { params, query, body } = await receive(prepared, req, pathParams);
  const answered = await route.handle({
    params,
    query,
    body,
    principal: visit.principal,
    requestId: visit.requestId,
    headers: req.headers,
    request: req,
  });
  if (deps.checkAnswers) prepared.checkAnswer(answered);
  return answered;
}

function bearer(authorization: string | undefined): string {
  const token = authorization === undefined ? undefined : /^bearer +(\S+)$/i.exec(authorization)?.[1];
  if (token === undefined) throw new Problem("unauthenticated", "Authorization must be: Bearer rl_…");
  return token;
}

function forbidden(permissions: readonly string[]): Problem {
  return new Problem("forbidden", `The key lacks ${permissions.join(" or ")}.`, { permissions });
}

function notFound(): never {
  throw new Problem("not_found", "There is no such route.");
}

function allowed(routes: readonly Route[]): string {
  const methods = routes.map((route) => route.method.toUpperCase());
  return (methods.includes("GET") ? ["HEAD", ...methods] : methods).sort().join(", ");
}

/** A path that exists, with a method that it does not have: a browser's preflight, or 405. */
function otherMethod({ corsOrigins = [] }: AppDeps, req: IncomingMessage, allow: string): Answer {
  const { origin } = req.headers;
  const preflight = req.method === "OPTIONS" && req.headers["access-control-request-method"] !== undefined;
  if (preflight && origin !== undefined && corsOrigins.includes(origin)) {
    const headers: Headers = {
      "Access-Control-Allow-Methods": allow,
      "Access-Control-Allow-Headers": req.headers["access-control-request-headers"] ?? "",
      "Access-Control-Max-Age": "600",
    };
    return { status: 204, headers };
  }
  throw new Problem("method_not_allowed", `This path takes ${allow}.`, { allow });
}

function addCors(headers: string[], origins: ReadonlySet<string>, origin: string | undefined): void {
  headers.push("Vary", "Origin");
  if (origin === undefined || !origins.has(origin)) return;
  headers.push("Access-Control-Allow-Origin", origin, "Access-Control-Expose-Headers", EXPOSED);
}
