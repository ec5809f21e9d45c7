import { z } from "zod";
import { ProposedEvent } from "../../shared/intake/items.ts";
import { Problem } from "../../shared/platform/errors.ts";
import type { Permission } from "./permissions.ts";
import type { Principal } from "./route.ts";

const ProposedList = z.array(ProposedEvent).min(1).max(100);
/** One event, or 1–100 in an array. Not `z.union`: what is wrong is to be told of the form that was sent. */
export const ProposedEvents = z.unknown().transform((body, context): ProposedEvent[] => {
  const parsed = (Array.isArray(body) ? ProposedList : ProposedEvent).safeParse(body);
  if (parsed.success) return Array.isArray(parsed.data) ? parsed.data : [parsed.data];
  for (const issue of parsed.error.issues) context.issues.push({ ...issue, input: body } as never);
  return z.NEVER;
});
/** For the documentation, which cannot look into a transformation. */
export const ProposedEventsShape = z.union([ProposedEvent, ProposedList]);
/** Types that somebody may record who is not a producer. */
const special: Readonly<Record<string, Permission>> = {
  "run.cancel_requested": "runs:cancel",
  "run.input_given": "runs:answer",
  "run.approval_given": "approvals:decide",
  "run.approved": "approvals:decide",
  "run.rejected": "approvals:decide",
};

/** One of these is needed to record anything at all. */
export const recording = ["runs:record", "runs:cancel", "runs:answer", "approvals:decide"] as const;

/** The problem of a key that may not record this type. */
export function missingPermission(principal: Principal, type: string): Problem | undefined {
  const also = type === "run.created" ? "runs:create" : special[type];
  const needed: Permission[] = type === "run.created" ? ["runs:create"] : ["runs:record"];
  if (also && also !== needed[0]) needed.push(also);
  if (needed.some((permission) => principal.permissions.has(permission))) return undefined;
  return new Problem("forbidden", `The key lacks ${needed.join(" or ")}.`, { permissions: needed });
}
