import type { JsonObject, RecordedEvent } from "../../shared/domain/event.ts";
import type { RunRow } from "./runs.table.ts";
import { foldRun } from "./runs.ts";

const output = { sent: 3, skipped: 0 };
const error = { message: "the mail server answered 550", code: "rejected" };
const waitId = "wait_01h455vb4pex5vsknk084sn02q";

/** What comes after `run.started` in an example, and what is written in it. */
const contents: Record<string, JsonObject> = {
  "run.completed": { output },
  "run.failed": { error },
  "run.errored": { error },
  "run.awaiting_input": { prompt: "Which plan should the customer have?" },
  "run.awaiting_approval": { message: "Send to 12,000 people?" },
};

/** A run as a webhook of this type would tell it, and the event that it tells of: made up, and the same for
 *  the same request. */
export function exampleRun(type: string, asked: RecordedEvent): { run: RunRow; event: RecordedEvent } {
  const made = (revision: number, kind: string, data: JsonObject, content?: JsonObject): RecordedEvent => {
    const { content: _, ...event } = asked;
    const stream = "run-01h455vb4pex5vsknk084sn02q";
    return { ...event, stream, revision, type: kind, data, ...(content && { content }) };
  };
  const wait = type === "run.awaiting_input" || type === "run.awaiting_approval" ? { waitId } : {};
  const events = [
    made(0, "run.created", { workflow: "example" }, { input: { plan: "pro" } }),
    made(1, "run.started", {}),
    made(
      2,
      type,
      { ...wait, ...(contents[type]?.error === undefined ? {} : { hasError: true }) },
      contents[type],
    ),
  ];
  const [, , last] = events;
  const run = foldRun(events);
  if (!run || !last) throw new Error(`no example can be made of ${type}`);
  return { run, event: last };
}
