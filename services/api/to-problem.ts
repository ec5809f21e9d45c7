import type { z } from "zod";
import { Refusal } from "../../shared/ledger/command.ts";
import { Problem, type ProblemExtras } from "../../shared/platform/errors.ts";
import { catalogue, isProblemCode, type ProblemCode, type ProblemEntry, problemUrl } from "./problems.ts";

/** A problem, ready to be written. `fault` is what the log should hear of: nothing of it is in the answer. */
export type ProblemAnswer = {
  status: number;
  headers: Record<string, string>;
  body: ProblemExtras;
  fault?: unknown;
};

/** What is answered to anything that was thrown while answering. */
export function toProblem(error: unknown, requestId: string): ProblemAnswer {
  const known = knownProblem(error);
  if (known) return problemAnswer(known.code, known.detail, requestId, known.extras);
  return { ...problemAnswer("internal", catalogue.internal.description, requestId), fault: error };
}

function knownProblem(
  error: unknown,
): { code: ProblemCode; detail: string; extras: ProblemExtras } | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  const { code } = error;
  if (code === "postgres_away")
    return { code: "overloaded", detail: catalogue.overloaded.description, extras: {} };
  if (!isProblemCode(code)) return undefined;
  // All that is unknown is answered alike, so that nobody learns which ids exist elsewhere.
  if (code === "not_found") return { code, detail: catalogue.not_found.description, extras: {} };
  if (error instanceof Problem) return { code, detail: error.message, extras: error.extras };
  if (error instanceof Refusal) return { code, detail: error.message, extras: error.extra };
  // The store's own messages name files; what is to be known is in the catalogue. Codes of others' errors are
  // not ours.
  return catalogue[code].status === 503
    ? { code, detail: catalogue[code].description, extras: {} }
    : undefined;
}

function problemAnswer(
  code: ProblemCode,
  detail: string,
  requestId: string,
  extras: ProblemExtras = {},
): ProblemAnswer {
  const { status, title, permanent, retryAfterS }: ProblemEntry = catalogue[code];
  const headers: Record<string, string> = {};
  if (permanent) headers["x-should-retry"] = "false";
  if (retryAfterS !== undefined) headers["Retry-After"] = String(extras.retryAfterS ?? retryAfterS);
  if (typeof extras.allow === "string") headers.Allow = extras.allow;
  if (status === 401) headers["WWW-Authenticate"] = "Bearer";
  return {
    status,
    headers,
    body: { ...extras, type: problemUrl(code), title, status, code, detail, requestId },
  };
}

type Issue = z.core.$ZodIssue;

/** 400: the first query parameter that cannot be read. */
export function invalidQuery(issues: readonly Issue[], query: { readonly [name: string]: unknown }): Problem {
  const [issue] = issues;
  const isUnknown = issue?.code === "unrecognized_keys";
  const parameter = String(isUnknown ? issue.keys[0] : (issue?.path[0] ?? ""));
  if (isUnknown) return new Problem("invalid_query", `There is no parameter ${parameter}.`, { parameter });
  const value = String(query[parameter]);
  const shown = value.length > 80 ? `${value.slice(0, 80)}…` : value;
  return new Problem("invalid_query", `${parameter}=${shown}: ${issue?.message}`, { parameter });
}
