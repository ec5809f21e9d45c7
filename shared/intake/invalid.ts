import type { z } from "zod";
import { Problem } from "../platform/errors.ts";

/** How many places of an invalid body are listed. */
const ERRORS_MAX = 100;

type Issue = z.core.$ZodIssue;

/** 422: every place of the body that does not fit, as a JSON Pointer. */
export function invalidBody(issues: readonly Issue[]): Problem {
  const errors = issues.flatMap(places).slice(0, ERRORS_MAX);
  const detail = errors[0]
    ? `${errors[0].pointer || "The body"}: ${errors[0].detail}`
    : "The body does not fit.";
  return new Problem("invalid_body", detail, { errors });
}

/** 422 for one member that no schema can judge. */
export const invalidMember = (pointer: string, detail: string): Problem =>
  new Problem("invalid_body", `${pointer}: ${detail}`, { errors: [{ pointer, detail, code: "custom" }] });

type Place = { pointer: string; detail: string; code: string };

function places(issue: Issue): Place[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      pointer: pointer([...issue.path, key]),
      detail: "There is no such member.",
      code: "unknown_member",
    }));
  }
  return [{ pointer: pointer(issue.path), detail: issue.message, code: issue.code }];
}

/** RFC 6901. */
export const pointer = (path: readonly PropertyKey[]): string =>
  path.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
