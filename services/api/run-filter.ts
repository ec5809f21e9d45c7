import { z } from "zod";
import type { RunFilter } from "../../projections/runs/runs.table.ts";
import { Instant, Name } from "../../shared/domain/event.ts";
import { Recipient, RunId } from "../../shared/domain/run/events.ts";
import { parseJson } from "../../shared/intake/json.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { statuses } from "./run-json.ts";

/** What lists of runs can be filtered by. `…From` is included, `…To` is not. */
export const filterQuery = {
  workflow: Name.optional(),
  status: z.array(z.enum(statuses)).optional(),
  recipient: z.string().optional().describe("An id, or a JSON object with id and collection."),
  hasErrors: z.enum(["true", "false"]).optional(),
  parentId: RunId.optional(),
  createdFrom: Instant.optional(),
  createdTo: Instant.optional(),
  updatedFrom: Instant.optional(),
  updatedTo: Instant.optional(),
};
type FilterQuery = z.infer<z.ZodObject<typeof filterQuery>>;

/** The filter that a query stands for. */
export function filterOf(query: FilterQuery): RunFilter {
  const { workflow, status, recipient, hasErrors, parentId, createdFrom, createdTo, updatedFrom, updatedTo } =
    query;
  return {
    ...(workflow === undefined ? {} : { workflow }),
    ...(status === undefined ? {} : { status: [...new Set(status)] }),
    ...(recipient === undefined ? {} : { recipient: recipientOf(recipient) }),
    ...(hasErrors === undefined ? {} : { hasErrors: hasErrors === "true" }),
    ...(parentId === undefined ? {} : { parentId }),
    ...(createdFrom === undefined ? {} : { createdFromMs: Date.parse(createdFrom) }),
    ...(createdTo === undefined ? {} : { createdToMs: Date.parse(createdTo) }),
    ...(updatedFrom === undefined ? {} : { updatedFromMs: Date.parse(updatedFrom) }),
    ...(updatedTo === undefined ? {} : { updatedToMs: Date.parse(updatedTo) }),
  };
}

/** A recipient in a query: what begins with a brace is an object, anything else an id. */
function recipientOf(text: string): z.infer<typeof Recipient> {
  const invalid = () =>
    new Problem("invalid_query", "recipient must be an id, or {id, collection}", { parameter: "recipient" });
  if (!text.startsWith("{")) {
    const id = Recipient.safeParse(text);
    if (id.success) return id.data;
    throw invalid();
  }
  try {
    return Recipient.parse(parseJson(Buffer.from(text)));
  } catch {
    throw invalid();
  }
}
